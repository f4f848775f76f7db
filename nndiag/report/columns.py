"""Columns of text of an exact width: what does not fit gives way in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.text import Text

from nndiag.report.numbers import decimals, widest

ALWAYS = 10_000


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        group: heading over neighbouring columns of the same group.
        styles: one Rich style a cell, or none at all.
        rank: columns of the highest rank are the first to give way.
        until: gives way to a richer column as soon as that rank fits.
        shrinks_to: the width that a left column may be shortened to, from its left end.
    """

    title: str
    cells: tuple[str, ...]
    group: str = ""
    styles: tuple[str, ...] = ()
    left: bool = False
    rank: int = 0
    until: int = ALWAYS
    shrinks_to: int = ALWAYS

    @property
    def width(self) -> int:
        return max(len(self.title), widest(self.cells))

    def style(self, row: int) -> str:
        return self.styles[row] if self.styles else ""


def total_width(columns: Sequence[Column], gap: int = 2) -> int:
    """Return the width of a line, one space inside a group and `gap` between groups."""
    groups = [list(members) for _name, members in groupby(columns, key=lambda c: c.group)]
    inside = sum(max(_span(members), len(members[0].group)) for members in groups)
    return inside + gap * (len(groups) - 1)


def _span(members: Sequence[Column]) -> int:
    return sum(column.width for column in members) + len(members) - 1


def fit(columns: Sequence[Column], width: int, gap: int = 2) -> list[Column]:
    """Return the richest choice of columns that `width` holds (the poorest if none does)."""
    chosen: list[Column] = []
    for rank in sorted({column.rank for column in columns}, reverse=True):
        chosen = [column for column in columns if column.rank <= rank < column.until]
        chosen = _shrunk(chosen, total_width(chosen, gap) - width)
        if total_width(chosen, gap) <= width:
            break
    return chosen


def _shrunk(columns: Sequence[Column], excess: int) -> list[Column]:
    return [
        _shortened(column, max(column.shrinks_to, column.width - excess))
        if excess > 0 and column.width > column.shrinks_to
        else column
        for column in columns
    ]


def _shortened(column: Column, width: int) -> Column:
    cells = (cell if len(cell) <= width else ".." + cell[2 - width :] for cell in column.cells)
    return replace(column, cells=tuple(cells))


def heading(columns: Sequence[Column], gap: int = 2) -> Iterator[Text]:
    """Yield the line of group names (if any group has one) and the line of titles."""
    groups, titles = [], []
    for name, members in groupby(columns, key=lambda c: c.group):
        row = list(members)
        text = " ".join(_aligned(column, column.title) for column in row)
        size = max(len(text), len(name))
        groups.append(name.center(size) if not row[0].left else name.ljust(size))
        titles.append(text.rjust(size) if not row[0].left else text.ljust(size))
    if any(group.strip() for group in groups):
        yield Text((" " * gap).join(groups).rstrip(), style="dim", no_wrap=True)
    yield Text((" " * gap).join(titles).rstrip(), style="bold", no_wrap=True)


def body(columns: Sequence[Column], row: int, gap: int = 2) -> Text:
    """Return one line of cells."""
    line = Text(no_wrap=True)
    for name, members in groupby(columns, key=lambda c: c.group):
        cells = list(members)
        line.append(" " * gap if len(line) else "")
        if not cells[0].left:
            line.append(" " * (len(name) - _span(cells)))
        for place, column in enumerate(cells):
            line.append(" " if place else "")
            text = column.cells[row] if column.left else decimals(column.cells[row])
            line.append(_aligned(column, text), style=column.style(row))
    line.rstrip()
    return line


def _aligned(column: Column, text: str) -> str:
    return text.ljust(column.width) if column.left else text.rjust(column.width)
