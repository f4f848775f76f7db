"""Published claims, one file a claim, which holds its `CLAIM`.

The names are the files', and the folder says whether networks are trained: asking for either
imports nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from nndiag.schema.claim import Claim
from nndiag.schema.errors import unknown_name

_FOLDERS = {False: "at_initialisation", True: "with_training"}


def names(*, trains: bool) -> list[str]:
    """Return the names of the claims that train networks, or of those that do not."""
    folder = Path(__file__).parent / _FOLDERS[trains]
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules([str(folder)]))


def every_name() -> list[str]:
    """Return every name, claims at initialisation first."""
    return names(trains=False) + names(trains=True)


def check(name: str) -> None:
    """Raise UsageError, with the nearest name, for a claim that does not exist."""
    if name not in every_name():
        raise unknown_name("NAME", name, ["all", "list", *every_name()])


def get(name: str) -> Claim:
    """Return the claim of that name.

    Raises:
        UsageError: there is none.
    """
    check(name)
    folder = _FOLDERS[name in names(trains=True)]
    claim = importlib.import_module(f"{__name__}.{folder}.{name.replace('-', '_')}").CLAIM
    assert isinstance(claim, Claim)
    return claim
