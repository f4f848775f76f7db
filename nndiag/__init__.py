"""nndiag: see, layer by layer, why a network does not train, and prove which fix works."""

from __future__ import annotations

__version__ = "0.1.0"
