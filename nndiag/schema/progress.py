"""How a long run tells the screen where it is, without knowing the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Watch(Protocol):
    """Something that shows progress; every call must be cheap."""

    def stage(
        self,
        text: str,
        total: int,
        *,
        layers: Sequence[str] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Begin a stage of `total` units of work.

        Args:
            layers: a training names those that it will show.
            seconds: that the stage will take, where somebody knows.
        """

    def update(
        self,
        done: int,
        *,
        numbers: Mapping[str, float] | None = None,
        norms: Sequence[float] | None = None,
    ) -> None:
        """Report that `done` units of the stage are complete, with what was measured last."""


class Silent:
    """Shows nothing."""

    def stage(
        self,
        text: str,
        total: int,
        *,
        layers: Sequence[str] | None = None,
        seconds: float | None = None,
    ) -> None:
        pass

    def update(
        self,
        done: int,
        *,
        numbers: Mapping[str, float] | None = None,
        norms: Sequence[float] | None = None,
    ) -> None:
        pass


class Tally:
    """Adds up the units that are done and tells a watch."""

    def __init__(self, watch: Watch, text: str, total: int) -> None:
        self._watch, self._done = watch, 0
        watch.stage(text, total)

    def add(self, units: int) -> None:
        """Note that so many more units are done."""
        self._done += units
        self._watch.update(self._done)
