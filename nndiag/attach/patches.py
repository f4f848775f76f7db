"""Functions of torch replaced for a while by ones that look on, and put back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Wrapper = Callable[..., Any]


class Patches:
    """Replaced attributes; `undo` restores them all, newest first."""

    def __init__(self) -> None:
        self._originals: list[tuple[Any, str, Any, bool]] = []

    def wrap(self, owner: Any, name: str, around: Callable[[Callable[..., Any]], Wrapper]) -> None:
        """Replace `owner.name` by `around(original)`, which keeps its name and docstring."""
        original = getattr(owner, name)
        own = name in vars(owner)
        replacement = around(original)
        functools.update_wrapper(replacement, original)
        setattr(owner, name, replacement)
        self._originals.append((owner, name, original, own))

    def undo(self) -> None:
        """Put everything back."""
        while self._originals:
            owner, name, original, own = self._originals.pop()
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
