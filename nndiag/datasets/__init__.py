"""Data sets: a name or a file of the user's own becomes standardised train, validation, test.

`check` answers a wrong `--data` or `--target` in milliseconds; `load` reads. Neither numpy nor
torch is imported before it is needed.
"""

from __future__ import annotations

from nndiag.datasets.catalogue import BUILT_IN, check, load

__all__ = ["BUILT_IN", "check", "load"]
