"""One series of numbers: a column of the user's CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError, unknown_name


def read(path: Path, column: str | None) -> tuple[float, ...]:
    """Return the numbers of one column, from the top.

    The first line is a header unless all its cells are numbers. Blank lines are skipped.

    Args:
        column: its name; may be left out where there is one column.

    Raises:
        UsageError: which column is meant is not said.
        DataError: with file, row and column.
    """
    lines = _lines(path)
    if not lines:
        raise DataError(_("{file}: the file is empty").format(file=path))
    names, body = lines[0][1], lines[1:]
    if all(_number(cell) is not None for cell in names):
        names, body = [str(place) for place in range(1, len(names) + 1)], lines
    place = _place(names, column, path)
    if not body:
        raise DataError(_("{file}: there is no row below the header").format(file=path))
    return tuple(_cell(cells, row, place, names[place], path) for row, cells in body)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of each line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except OSError as error:
        raise DataError(
            _("{file}: cannot be read ({reason})").format(file=path, reason=error.strerror)
        ) from None
    except UnicodeDecodeError:
        raise DataError(_("{file}: not UTF-8 text").format(file=path)) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    cut = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
    return [(row, cells) for row, cells in cut if any(cells)]


def _place(names: list[str], column: str | None, path: Path) -> int:
    if column is None:
        if len(names) == 1:
            return 0
        raise UsageError(
            _("--column: {file} has {count} columns; accepted: one of {names}").format(
                file=path, count=len(names), names=", ".join(names[:12])
            )
        )
    if column not in names:
        raise unknown_name("--column", column, names)
    return names.index(column)


def _cell(cells: list[str], row: int, place: int, name: str, path: Path) -> float:
    text = cells[place] if place < len(cells) else ""
    number = _number(text)
    if number is None:
        raise DataError(
            _("{file}, row {row}, column '{name}': got '{text}'; accepted: a number").format(
                file=path, row=row, name=name, text=text
            )
        )
    return number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
