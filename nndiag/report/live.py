"""What is seen while a network trains: progress, loss, accuracy and a bar a layer, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from nndiag.locales import _
from nndiag.report.bars import bar, log_axis
from nndiag.report.folding import shown_rows
from nndiag.report.glyphs import STYLES, glyphs_for
from nndiag.report.numbers import compact, duration, percent, scientific, widest

_MOST_BARS = 20
_PLAIN_LINE_SECONDS = 10.0


class _Speed(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        text = _("{speed} steps/s").format(speed=compact(task.speed)) if task.speed else ""
        return Text(text, style="cyan")


class TrainingDisplay:
    """A context manager that shows `update` calls on a terminal, or prints a line now and then.

    Args:
        total: optimizer steps of the run.
        layers: names of the layers whose norms are shown, input side first.
        console: where to draw (default: stderr); only a terminal gets the moving picture.
        line_every: seconds between plain lines elsewhere.
    """

    def __init__(
        self,
        total: int,
        layers: Sequence[str] = (),
        *,
        console: Console | None = None,
        line_every: float = _PLAIN_LINE_SECONDS,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._total, self._layers, self._line_every = total, list(layers), line_every
        self._step, self._loss, self._accuracy = 0, None, None  # type: int, float | None, float | None
        self._norms: Sequence[float] = ()
        self._started = self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            _Speed(),
            TimeRemainingColumn(),
            console=self._console,
            expand=True,
        )
        self._task = self._progress.add_task(_("training"), total=total)
        moving = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(self, console=self._console, transient=True) if moving else None

    def __enter__(self) -> TrainingDisplay:
        self._started = self._last_line = time.monotonic()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(
        self,
        step: int,
        *,
        loss: float | None = None,
        accuracy: float | None = None,
        norms: Sequence[float] | None = None,
    ) -> None:
        """Take the newest numbers; what is not given keeps its last value.

        Args:
            step: optimizer steps done.
            loss: of the last batch.
            accuracy: validation accuracy, 0 to 1.
            norms: output gradient norm of each layer, in the order of `layers`.
        """
        self._step = step
        self._loss = self._loss if loss is None else loss
        self._accuracy = self._accuracy if accuracy is None else accuracy
        self._norms = self._norms if norms is None else norms
        if self._live is not None:
            self._progress.update(self._task, completed=step)
        elif time.monotonic() - self._last_line >= self._line_every:
            self._last_line = time.monotonic()
            self._console.print(self._plain_line(), soft_wrap=True, highlight=False, markup=False)

    def _plain_line(self) -> str:
        parts = [_("step {step}/{total}").format(step=self._step, total=self._total)]
        elapsed = time.monotonic() - self._started
        if elapsed > 0 and self._step:
            speed = self._step / elapsed
            parts.append(_("{speed} steps/s").format(speed=compact(speed)))
            left = duration((self._total - self._step) / speed)
            parts.append(_("{left} left").format(left=left))
        return ", ".join([*parts, *self._numbers()])

    def _numbers(self) -> Iterator[str]:
        if self._loss is not None:
            yield _("loss {loss}").format(loss=compact(self._loss))
        if self._accuracy is not None:
            yield _("accuracy {accuracy} %").format(accuracy=percent(self._accuracy))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._progress.get_renderable()
        yield Text(", ".join(self._numbers()))
        rows = min(_MOST_BARS, (options.height or console.height) - 4)
        yield from self._bars(options.max_width, rows, options.ascii_only)

    def _bars(self, width: int, rows: int, ascii_only: bool) -> Iterator[Text]:
        norms, glyphs = self._norms, glyphs_for(ascii_only)
        axis = log_axis(norms)
        if not norms or axis is None or rows < 2:
            return
        shown = shown_rows(len(norms))
        if len(shown) > rows:
            step = (len(norms) - 1) / (rows - 1)
            shown = sorted({round(k * step) for k in range(rows)})
        margin = min(24, widest(self._layers[place] for place in shown))
        room = max(8, width - margin - 12)
        yield Text(" " * (margin + 11) + axis.title(room), style="dim")
        for place in shown:
            line = Text(glyphs.text(self._layers[place])[-margin:].ljust(margin), no_wrap=True)
            line.append(f" {scientific(norms[place]):>8}  ")
            line.append(bar(norms[place], axis, room, glyphs), style=STYLES[None])
            yield line


class StepLine:
    """One line on stderr that says where a script's training is; only on a terminal.

    It is rewritten in place at most twice a second, so that the script's own output stays readable.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._moves = self._stream.isatty()
        self._total, self._next, self._started = 0, 0.0, time.monotonic()
        self._drawn = False

    def __enter__(self) -> StepLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def stage(
        self,
        text: str,
        total: int,
        *,
        layers: Sequence[str] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Begin: `total` steps, 0 where nobody knows."""
        self._total, self._started = total, time.monotonic()

    def update(
        self,
        done: int,
        *,
        numbers: Mapping[str, float] | None = None,
        norms: Sequence[float] | None = None,
    ) -> None:
        """Say that so many steps are taken."""
        now = time.monotonic()
        if not self._moves or now < self._next:
            return
        self._next = now + 0.5
        speed = done / max(now - self._started, 1e-9)
        text = _("nndiag: step {step}, loss {loss}, {speed} steps/s").format(
            step=f"{done}/{self._total}" if self._total else done,
            loss=compact((numbers or {}).get("loss", float("nan"))),
            speed=compact(speed),
        )
        self._stream.write(f"\r\x1b[K{text}\r")
        self._stream.flush()
        self._drawn = True
