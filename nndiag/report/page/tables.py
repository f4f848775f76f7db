"""The numbers of any result as tables: a table a list of rows, a column a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nndiag.locales import _
from nndiag.report.keys import key_words
from nndiag.report.numbers import compact, count, prose_number
from nndiag.schema.result import Interval, Result

#: Longer tables are cut: the JSON has the rest.
MOST_ROWS = 500
_MOST_COLUMNS = 16
_MOST_TEXT = 160
_FIRST = ("rows", "layers")


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it sorts by (None: its text)."""

    text: str
    order: float | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        numeric: for each column, whether it holds numbers (they stand at the right).
        left_out: rows that are not shown.
        main: stands open on the page.
    """

    title: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0
    main: bool = False


def tables(result: Result) -> Iterator[Table]:
    """Yield the scalars of a result, then a table for each list of rows in it."""
    numbers = scalars(result.result)
    if numbers:
        yield Table(
            title=_("Overview"),
            columns=[_("quantity"), _("value")],
            numeric=[False, True],
            rows=[[Cell(key_words(name)), cell(value)] for name, value in numbers.items()],
            main=True,
        )
    found = dict(_lists(result.result))
    for name in sorted(found, key=lambda name: (name not in _FIRST, name == "layers")):
        table = of_rows(key_words(name), found[name], main=name in _FIRST)
        if table is not None:
            yield table


def of_rows(title: str, rows: Sequence[Mapping[str, Any]], *, main: bool = False) -> Table | None:
    """Return a table of the keys that hold something that a cell can show; None without any."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    shown = [key for key in keys if _in_a_cell([row.get(key) for row in rows])][:_MOST_COLUMNS]
    if not shown:
        return None
    cells = [[cell(row.get(key)) for key in shown] for row in rows[:MOST_ROWS]]
    return Table(
        title=title,
        columns=[key_words(key) for key in shown],
        numeric=[any(row[place].order is not None for row in cells) for place in range(len(shown))],
        rows=cells,
        left_out=max(0, len(rows) - MOST_ROWS),
        main=main,
    )


def cell(value: Any) -> Cell:
    """Return a value as a reader of the language in use writes it."""
    if value is None:
        return Cell("-")
    if isinstance(value, bool):
        return Cell(_("yes") if value else _("no"))
    if isinstance(value, Interval):
        return Cell(prose_number(value), value.mean)
    if isinstance(value, int):
        return Cell(count(value) if abs(value) >= 10_000 else str(value), value)
    if isinstance(value, float):
        return Cell(compact(value), value)
    if isinstance(value, list | tuple):
        return Cell(", ".join(cell(one).text for one in value))
    return Cell(str(value))


def scalars(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers that stand alone, those of inner groups as `group: name`."""
    found: dict[str, Any] = {}
    for key, value in numbers.items():
        if isinstance(value, Mapping):
            inner = {
                f"{key}.{name}": one for name, one in value.items() if _is_scalar(one) and one != ""
            }
            found |= inner
        elif _is_scalar(value) and value != "":
            found[key] = value
    return found


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | str | Interval)


def _lists(numbers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    for key, value in numbers.items():
        if isinstance(value, Mapping):
            yield from _lists(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value and all(map(_is_row, value)):
            yield f"{prefix}{key}", list(value)


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping)


def _in_a_cell(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(_fits(value) for value in known)


def _fits(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 8 and all(_is_scalar(one) for one in value)
    return _is_scalar(value) and len(str(value)) <= _MOST_TEXT
