"""What `lr-find` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _
from nndiag.schema.result import Interval

Row = Mapping[str, Any]

#: As good as the best: within one point of accuracy.
_NEAR = 0.01


def reading(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        found: `suggestion`, `rows` and `fixed` of the result.
    """
    if found["suggestion"] is None:
        return []
    return [
        *_suggestion(found["suggestion"]),
        *_three(found["rows"]),
        *_check(found["fixed"], found["suggestion"]),
    ]


def _rate(number: Interval) -> str:
    return f"{number.mean:.2g}"


def _suggestion(one: Mapping[str, Interval]) -> Iterator[str]:
    yield _(
        "Suggested: {lr}, between {low}, where the loss falls fastest, and {high}, where it stops "
        "falling (geometric means over the seeds)."
    ).format(lr=_rate(one["lr"]), low=_rate(one["low"]), high=_rate(one["high"]))
    yield _(
        "From {rate} on the loss is above its start or no number (Smith 2015: the best rate is "
        "within a factor of two of the largest that converges)."
    ).format(rate=_rate(one["too_large"]))


def _three(rows: Sequence[Row]) -> Iterator[str]:
    parts = [
        _("{label} ({lr}) reaches {accuracy}").format(
            label=row["label"], lr=f"{row['lr']:.2g}", accuracy=said.percent(row["test_accuracy"])
        )
        for row in rows
    ]
    if parts:
        yield _("Trained with a fixed rate: {parts}.").format(parts="; ".join(parts))


def _check(fixed: Sequence[Row], suggestion: Mapping[str, Interval]) -> Iterator[str]:
    """Say whether the best of some fixed rates lies where the range test says."""
    if not fixed:
        return
    best = max(fixed, key=lambda row: row["val_accuracy"].mean)
    limit = best["val_accuracy"].mean - _NEAR
    near = [row["lr"] for row in fixed if row["val_accuracy"].mean >= limit]
    low, high = suggestion["low"].mean, suggestion["high"].mean
    text = _(
        "Check: of {count} fixed rates {lr} is best on validation, {accuracy} on the test set"
    ).format(count=len(fixed), lr=f"{best['lr']:.2g}", accuracy=said.percent(best["test_accuracy"]))
    if low <= best["lr"] <= high:
        yield text + ", " + _("inside the interval.")
    elif any(low <= rate <= high for rate in near):
        yield text + ", " + _("outside the interval, but within a point of rates that are inside.")
    else:
        yield (
            text
            + ", "
            + _("outside the interval: one short test with a rising rate does not replace trying.")
        )
