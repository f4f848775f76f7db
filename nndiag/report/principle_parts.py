"""Parts of a principle's report: a table, its cells, and the frame with the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.numbers import compact, percent
from nndiag.report.prose import sentence
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]
Lines = Iterator[Text]


@dataclass(frozen=True)
class View:
    """Draws itself as wide as the console, then the reading in words."""

    result: Result
    parts: Callable[[Result, int, Glyphs], Iterator[Lines]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, glyphs = options.max_width, glyphs_for(options.ascii_only)
        for part in self.parts(self.result, width, glyphs):
            lines = list(part)
            yield from lines
            if lines:
                yield Text()
        for text in self.result.result["reading"]:
            yield from sentence(glyphs.text(text), width, bullet=f"{glyphs.dot} ")


def table(title: str, columns: Sequence[Column], width: int, glyphs: Glyphs) -> Lines:
    """Yield a title and a table as wide as fits."""
    yield from sentence(glyphs.text(title), width, style="bold")
    chosen = fit(columns, width)
    yield from heading(chosen)
    for row in range(len(columns[0].cells)):
        yield body(chosen, row)


def column(title: str, rows: Sequence[Row], cell: Callable[[Row], str], **facts: Any) -> Column:
    return Column(title=title, cells=tuple(cell(row) for row in rows), **facts)


def within(number: Interval | None, digits: int = 3) -> str:
    """Return `9.70 [8.79, 10.6]`, or `-`."""
    if number is None:
        return "-"
    if number.low == number.high:
        return compact(number.mean, digits)
    low, high = compact(number.low, digits), compact(number.high, digits)
    return f"{compact(number.mean, digits)} [{low}, {high}]"


def numbers(values: Sequence[float]) -> str:
    """Return `4, -2`."""
    return ", ".join(f"{value:g}" for value in values)


def share(number: Interval) -> str:
    """Return a share and its interval in percent: `35 [18, 57]`."""
    return f"{percent(number.mean)} [{percent(number.low)}, {percent(number.high)}]"
