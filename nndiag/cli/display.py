"""The screen's side of `schema.progress.Watch`: what a command shows on stderr while it works."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nndiag.locales import _

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from nndiag.report.live import TrainingDisplay

#: A stage shorter than this shows nothing: no flicker where nobody waits.
_PATIENCE_SECONDS = 1.0
#: A stage that will take longer says so before it begins.
_LONG_SECONDS = 5.0
#: Without a terminal a line of progress follows the last one after so long.
_PLAIN_LINE_SECONDS = 10.0


class Display:
    """Shows the stage at work: a bar, or for a training the picture of `report.live`."""

    def __init__(self) -> None:
        self._text, self._total, self._started, self._said = "", 0, 0.0, 0.0
        self._console: Console | None = None
        self._bar: Progress | None = None
        self._training: TrainingDisplay | None = None

    def stage(
        self,
        text: str,
        total: int,
        *,
        layers: Sequence[str] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Begin a stage; one with `layers` is a training and gets the live picture."""
        self.close()
        self._text, self._total = text, total
        self._started = self._said = time.monotonic()
        if seconds is not None and seconds > _LONG_SECONDS:
            from nndiag.report.numbers import duration

            self._say(_("{what}: about {time}").format(what=text, time=duration(round(seconds))))
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
        now = time.monotonic()
        if self._training is not None:
            known = numbers or {}
            self._training.update(
                done, loss=known.get("loss"), accuracy=known.get("accuracy"), norms=norms
            )
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif now - self._started > _PATIENCE_SECONDS and done < self._total:
            if self._stderr().is_terminal:
                self._open(done)
            elif now - self._said > _PLAIN_LINE_SECONDS:
                self._said = now
                self._say(self._line(done, now - self._started))

    def _line(self, done: int, elapsed: float) -> str:
        from nndiag.report.numbers import duration

        left = elapsed * (self._total - done) / max(done, 1)
        return _("{what}: {done}/{total}, {left} left").format(
            what=self._text, done=done, total=self._total, left=duration(left)
        )

    def _say(self, text: str) -> None:
        self._stderr().print(text, soft_wrap=True, highlight=False, markup=False)

    def _stderr(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True)
        return self._console

    def _open(self, done: int) -> None:
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
            console=self._stderr(),
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
