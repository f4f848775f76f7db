"""The screen's side of `schema.progress.Watch`: what a command shows on stderr while it works."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from nndiag.report.live import TrainingDisplay

#: A stage shorter than this shows nothing: no flicker where nobody waits.
_PATIENCE_SECONDS = 1.0


class Display:
    """Shows the stage at work: a bar, or for a training the picture of `report.live`.

    Args:
        layers: names of the layers whose norms a training shows, if known.
    """

    def __init__(self) -> None:
        self._text, self._total, self._started = "", 0, 0.0
        self._bar: Progress | None = None
        self._training: TrainingDisplay | None = None

    def stage(self, text: str, total: int, *, layers: Sequence[str] | None = None) -> None:
        """Begin a stage; one with `layers` is a training and gets the live picture."""
        self.close()
        self._text, self._total, self._started = text, total, time.monotonic()
        if layers is not None:
            from nndiag.report.live import TrainingDisplay

            self._training = TrainingDisplay(total, layers).__enter__()

    def update(
        self,
        done: int,
        *,
        numbers: Mapping[str, float] | None = None,
        norms: Sequence[float] | None = None,
    ) -> None:
        """Move the stage on."""
        if self._training is not None:
            known = numbers or {}
            self._training.update(
                done, loss=known.get("loss"), accuracy=known.get("accuracy"), norms=norms
            )
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif time.monotonic() - self._started > _PATIENCE_SECONDS and done < self._total:
            self._open(done)

    def _open(self, done: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.add_task(self._text, total=self._total, completed=done)
        self._bar.start()

    def close(self) -> None:
        """Take everything off the screen."""
        if self._bar is not None:
            self._bar.stop()
        if self._training is not None:
            self._training.__exit__(None, None, None)
        self._bar = self._training = None


@contextmanager
def display() -> Iterator[Display]:
    """Yield a display that is cleared on the way out, also after an error or Ctrl-C."""
    shown = Display()
    try:
        yield shown
    finally:
        shown.close()
