"""A CSV file: a header, one column of labels, every other column numeric."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from nndiag.datasets.splits import Array

DELIMITERS = ",;\t"
_NAMES_SHOWN = 12


def check(path: Path, target: str | None) -> None:
    """Read the header and find the target in it; errors as `read`."""
    with _opened(path) as file:
        names, _delimiter = _header(file, path)
        _target(names, target, path)


def features(path: Path, target: str | None) -> list[str]:
    """Return the names of the columns but the target's; errors as `read`."""
    with _opened(path) as file:
        names, _delimiter = _header(file, path)
        place = _target(names, target, path)
    return [*names[:place], *names[place + 1 :]]


def read(path: Path, target: str | None) -> tuple[Array, Array, str]:
    """Return features (N, columns - 1) float64, labels (N,) as text, and the target's place.

    The delimiter (comma, semicolon or tab) is the one that cuts the header into most columns.
    Blank lines are skipped; a row's number is that of its first line in the file, the header's 1.

    Raises:
        UsageError: no target given.
        DataError: with file, row and column.
    """
    import numpy as np

    with _opened(path) as file:
        names, delimiter = _header(file, path)
        place = _target(names, target, path)
        values, labels, rows = _rows(file, delimiter, names, place, path)
    if not labels:
        raise DataError(_("{file}: there is no row below the header").format(file=path))
    x = np.frombuffer(values, dtype=np.float64).reshape(len(labels), len(names) - 1)
    if not np.isfinite(x).all():
        sample, feature = np.argwhere(~np.isfinite(x))[0]
        name = [*names[:place], *names[place + 1 :]][feature]
        raise _cell(path, rows[sample], name, _not_finite(float(x[sample, feature])))
    where = _("{file}, column '{name}'").format(file=path, name=names[place])
    return x, np.array(labels), where


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise DataError(
            _("{file}: cannot be read ({reason})").format(file=path, reason=error.strerror)
        ) from None
    except UnicodeDecodeError:
        raise DataError(
            _("{file}, row {row}: not UTF-8 text").format(file=path, row=_undecodable(path))
        ) from None


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _header(file: TextIO, path: Path) -> tuple[list[str], str]:
    """Return the column names and the delimiter; leave the file at its beginning."""
    widest: list[str] = []
    chosen = DELIMITERS[0]
    for delimiter in DELIMITERS:
        file.seek(0)
        try:
            cells = next(
                (row for row in csv.reader(file, delimiter=delimiter) if not _blank(row)), []
            )
        except csv.Error as error:
            raise _malformed(path, 1, error) from None
        if len(cells) > len(widest):
            widest, chosen = cells, delimiter
    file.seek(0)
    if not widest:
        raise DataError(_("{file}: the file is empty").format(file=path))
    names = [name.strip() for name in widest]
    _check_names(names, path)
    return names, chosen


def _check_names(names: list[str], path: Path) -> None:
    if len(names) == 1:
        raise DataError(
            _(
                "{file}, row 1: one column only ('{name}'); accepted: two or more, separated by "
                "comma, semicolon or tab"
            ).format(file=path, name=names[0])
        )
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(
                _("{file}, row 1: column {number} has no name").format(file=path, number=number)
            )
        if name in names[: number - 1]:
            raise DataError(
                _("{file}, row 1: column '{name}' is there twice").format(file=path, name=name)
            )


def _target(names: list[str], target: str | None, path: Path) -> int:
    """Return the place of the target column."""
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    if target is None:
        raise UsageError(
            _("--target: name the column of {file} that holds the labels: {names}").format(
                file=path, names=shown
            )
        )
    if target in names:
        return names.index(target)
    close = nearest(target, names)
    hint = (
        _("did you mean {name}?").format(name=close[0])
        if close
        else _("columns: {names}").format(names=shown)
    )
    raise DataError(
        _("--target: {file} has no column '{target}'; {hint}").format(
            file=path, target=target, hint=hint
        )
    )


def _rows(
    file: TextIO, delimiter: str, names: list[str], place: int, path: Path
) -> tuple[array[float], list[str], array[int]]:
    """Return the features row after row, the labels, and each sample's row in the file."""
    values, labels, rows = array("d"), [], array("q")
    reader = csv.reader(file, delimiter=delimiter)
    below_header, following = False, 1
    try:
        for cells in reader:
            row, following = following, reader.line_num + 1
            if _blank(cells):
                continue
            if not below_header:
                below_header = True
                continue
            if len(cells) != len(names):
                raise _ragged(path, row, len(cells), len(names))
            label = cells.pop(place).strip()
            if label.lower() in ("", "nan"):
                raise _cell(path, row, names[place], _("the label is missing"))
            try:
                values.extend(map(float, cells))
            except ValueError:
                raise _not_numeric(path, row, cells, names, place) from None
            labels.append(label)
            rows.append(row)
    except csv.Error as error:
        raise _malformed(path, following, error) from None
    return values, labels, rows


def _blank(cells: list[str]) -> bool:
    return len(cells) < 2 and not "".join(cells).strip()


def _not_numeric(path: Path, row: int, cells: list[str], names: list[str], place: int) -> DataError:
    """Name the first cell of a row that is no finite number."""
    for name, cell in zip([*names[:place], *names[place + 1 :]], cells, strict=True):
        if not cell.strip():
            return _cell(path, row, name, _("the cell is empty"))
        try:
            number = float(cell)
        except ValueError:
            return _cell(path, row, name, _("'{cell}' is not a number").format(cell=cell.strip()))
        if not math.isfinite(number):
            return _cell(path, row, name, _not_finite(number))
    raise AssertionError("every cell is a number")


def _not_finite(number: float) -> str:
    return _("{number} is not a finite number").format(number=number)


def _cell(path: Path, row: int, name: str, problem: str) -> DataError:
    return DataError(
        _("{file}, row {row}, column '{name}': {problem}").format(
            file=path, row=row, name=name, problem=problem
        )
    )


def _ragged(path: Path, row: int, got: int, wanted: int) -> DataError:
    return DataError(
        _("{file}, row {row}: {got} cells under a header of {wanted}").format(
            file=path, row=row, got=got, wanted=wanted
        )
    )


def _malformed(path: Path, row: int, error: csv.Error) -> DataError:
    return DataError(
        _("{file}, row {row}: not a CSV file ({reason})").format(file=path, row=row, reason=error)
    )
