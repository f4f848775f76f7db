"""Class names from a column of labels, and what makes such a column unusable."""

from __future__ import annotations

import re

import numpy as np

from nndiag.datasets.splits import FRACTIONS, Array, Indices
from nndiag.locales import _
from nndiag.schema.errors import DataError

SMALLEST_CLASS = round(1 / min(FRACTIONS))
_CLASSES_BEYOND_DOUBT = 20


def encode(values: Array, where: str) -> tuple[Indices, tuple[str, ...]]:
    """Number the classes, in order of value for numbers, in natural order for text.

    Args:
        values: (N,) numbers or text, none missing; text that is all numbers counts as numbers, so
            that `1` and `1.0` are one class.
        where: what to begin an error with: file and column.

    Returns:
        (N,) class indices and the classes' names.

    Raises:
        DataError: a single class, a class too small to be in every split, or a quantity.
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    numbers = _numbers(distinct)
    if numbers is None:
        names = [str(value) for value in distinct]
        order = sorted(range(len(names)), key=lambda index: _natural(names[index]))
        place = np.empty(len(names), dtype=np.int64)
        place[order] = np.arange(len(names))
        classes = tuple(names[index] for index in order)
    else:
        ordered, place = np.unique(numbers, return_inverse=True)
        _refuse_quantity(ordered, len(values), where)
        classes = tuple(_name(value) for value in ordered.tolist())
    y = place[inverse].astype(np.int64)
    _refuse_too_few(y, classes, where)
    return y, classes


def _numbers(distinct: Array) -> Array | None:
    """Return the distinct values as numbers, or None where one of them is not a finite number."""
    if distinct.dtype.kind != "U":
        return distinct
    try:
        numbers = np.array([float(text) for text in distinct.tolist()])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _name(value: float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sorting key that puts `item 2` before `item 10`."""
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name


def _refuse_quantity(values: Array, samples: int, where: str) -> None:
    """Refuse numbers that are too many, or too fractional, to be classes."""
    crowded = len(values) * SMALLEST_CLASS <= samples
    many = len(values) > _CLASSES_BEYOND_DOUBT
    whole = values.dtype.kind != "f" or bool((values == np.floor(values)).all())
    if (whole and many and not crowded) or (
        not whole and len(values) > 2 and (many or not crowded)
    ):
        raise DataError(
            _(
                "{where}: {count} different numbers in {samples} samples look like a quantity; "
                "accepted: classes"
            ).format(where=where, count=len(values), samples=samples)
        )


def _refuse_too_few(y: Indices, classes: tuple[str, ...], where: str) -> None:
    if len(classes) == 1:
        raise DataError(
            _("{where}: one class only ('{name}'); accepted: two or more").format(
                where=where, name=classes[0]
            )
        )
    counts = np.bincount(y)
    smallest = int(counts.argmin())
    if counts[smallest] < SMALLEST_CLASS:
        raise DataError(
            _(
                "{where}: class '{name}' has {count} of the {least} samples needed to be in the "
                "training, validation and test splits"
            ).format(
                where=where,
                name=classes[smallest],
                count=counts[smallest],
                least=SMALLEST_CLASS,
            )
        )
