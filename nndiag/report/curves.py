"""A line plot of text: braille dots, or one sign a curve where the terminal is ASCII only."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from nndiag.report.glyphs import glyphs_for
from nndiag.report.numbers import compact, widest

# Bit of each of the 2 x 4 dots of a braille cell, by column and row (Unicode, Braille Patterns).
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BRAILLE = 0x2800
_ASCII_SIGNS = "*+ox#%"
_STYLES = ("blue", "red", "green", "magenta", "cyan", "yellow")


@dataclass(frozen=True)
class Curve:
    """One line; points that are not finite (on a log axis: not positive) leave a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A Rich renderable, as wide as the console.

    Attributes:
        height: rows of the drawing, without title, axis and legend.
        log: logarithmic vertical axis.
        x_name: what runs along the horizontal axis.
    """

    curves: Sequence[Curve]
    title: str = ""
    height: int = 8
    log: bool = False
    x_name: str = ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(24, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width, ascii_only=options.ascii_only)

    def lines(self, width: int, *, ascii_only: bool = False) -> Iterator[Text]:
        """Yield the plot's lines, none longer than `width`."""
        curves = [_Points.of(curve, log=self.log) for curve in self.curves]
        if self.title:
            yield Text(glyphs_for(ascii_only).text(self.title), style="bold")
        if not any(points.x for points in curves):
            return
        (x_low, x_high), (y_low, y_high) = _range(p.x for p in curves), _range(p.y for p in curves)
        labels = _labels(y_low, y_high, self.height, log=self.log)
        margin = widest(labels)
        grid = _Grid(
            max(8, width - margin - 2), self.height, ascii_only=ascii_only, several=len(curves) > 1
        )
        for number, points in enumerate(curves):
            grid.draw(
                number,
                [_share(x, x_low, x_high) for x in points.x],
                [_share(y, y_low, y_high) for y in points.y],
                points.gaps,
            )
        edge = "|" if ascii_only else "│"
        for label, line in zip(labels, grid.lines(), strict=True):
            yield Text(f"{label.rjust(margin)} {edge}", style="dim").append_text(line)
        yield self._x_axis(margin + 2, grid.width, x_low, x_high)
        if len(curves) > 1 or self.curves[0].name:
            yield from self._legend(margin + 2, width, ascii_only)

    def _x_axis(self, margin: int, width: int, low: float, high: float) -> Text:
        left, right = compact(low), compact(high)
        middle = self.x_name.center(width - len(left) - len(right))
        return Text(" " * margin + (left + middle + right)[-width:], style="dim")

    def _legend(self, margin: int, width: int, ascii_only: bool) -> Iterator[Text]:
        """Yield the names of all curves, on as many lines as they need."""
        line = Text(" " * margin)
        for number, curve in enumerate(self.curves):
            sign = _ASCII_SIGNS[number % len(_ASCII_SIGNS)] if ascii_only else _letter(number)
            entry = Text(f"{sign} {curve.name}", style=_STYLES[number % len(_STYLES)])
            if len(line) > margin and len(line) + len(entry) > width:
                line.rstrip()
                yield line
                line = Text(" " * margin)
            line.append_text(entry).append("  ")
        line.rstrip()
        line.truncate(width)
        yield line


def _letter(number: int) -> str:
    return chr(ord("a") + number % 26)


@dataclass(frozen=True)
class _Points:
    x: list[float]
    y: list[float]
    gaps: set[int]

    @classmethod
    def of(cls, curve: Curve, *, log: bool) -> _Points:
        """Keep what can be drawn; `gaps` are the points that do not join the one before."""
        x: list[float] = []
        y: list[float] = []
        gaps: set[int] = set()
        joined = False
        for at, value in zip(curve.x, curve.y, strict=True):
            drawable = math.isfinite(value) and (not log or value > 0)
            if drawable:
                if not joined:
                    gaps.add(len(x))
                x.append(float(at))
                y.append(math.log10(value) if log else float(value))
            joined = drawable
        return cls(x, y, gaps)


def _range(lists: Iterator[list[float]]) -> tuple[float, float]:
    values = [value for values in lists for value in values]
    low, high = min(values), max(values)
    if low / 2 == high / 2:
        half, most = abs(low) / 2 or 0.5, sys.float_info.max
        return max(low - half, -most), min(high + half, most)
    return low, high


def _share(value: float, low: float, high: float) -> float:
    # Halves, because the difference of the largest floats is not one.
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def _power(exponent: float) -> float:
    return math.exp(min(exponent * math.log(10), math.log(sys.float_info.max)))


def _labels(low: float, high: float, height: int, *, log: bool) -> list[str]:
    ends = (high, low / 2 + high / 2, low)
    texts = [compact(_power(end) if log else end) for end in ends]
    labels = [""] * height
    for row, text in zip((0, (height - 1) // 2, height - 1), texts, strict=True):
        labels[row] = text
    return labels


class _Grid:
    """Cells that curves are drawn into; the last curve drawn gives a shared cell its colour."""

    def __init__(self, width: int, height: int, *, ascii_only: bool, several: bool) -> None:
        # A letter at the end tells curves apart without colours; ASCII curves have their own signs.
        self._lettered = several and not ascii_only
        self.width, self.height, self._ascii = width, height, ascii_only
        self._across, self._down = (1, 1) if ascii_only else (2, 4)
        self._bits = [[0] * width for _row in range(height)]
        self._signs = [[""] * width for _row in range(height)]
        self._owner = [[-1] * width for _row in range(height)]

    def draw(self, number: int, x: list[float], y: list[float], gaps: set[int]) -> None:
        """Join points in the unit square; each of `gaps` starts afresh."""
        last_column = self.width * self._across - 1
        last_row = self.height * self._down - 1
        spots = [(round(a * last_column), round((1 - b) * last_row)) for a, b in zip(x, y)]  # noqa: B905
        for place, spot in enumerate(spots):
            start = spot if place in gaps else spots[place - 1]
            for column, row in _segment(start, spot):
                self._dot(number, column, row)
        if spots and self._lettered:
            column, row = spots[-1]
            self._signs[row // self._down][column // self._across] = _letter(number)

    def _dot(self, number: int, column: int, row: int) -> None:
        cell_row, cell_column = row // self._down, column // self._across
        self._owner[cell_row][cell_column] = number
        if self._ascii:
            self._signs[cell_row][cell_column] = _ASCII_SIGNS[number % len(_ASCII_SIGNS)]
        else:
            self._bits[cell_row][cell_column] |= _DOTS[column % 2][row % 4]

    def lines(self) -> Iterator[Text]:
        """Yield the rows from the top."""
        for bits, signs, owners in zip(self._bits, self._signs, self._owner, strict=True):
            line = Text()
            for bit, sign, owner in zip(bits, signs, owners, strict=True):
                text = sign or (chr(_BRAILLE + bit) if bit else " ")
                line.append(text, style="" if owner < 0 else _STYLES[owner % len(_STYLES)])
            line.rstrip()
            yield line


def _segment(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        yield round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
