"""What a comparison of variants says, in sentences that follow from its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.schema.result import Interval

Row = Mapping[str, Any]


def percent(number: Interval) -> str:
    """Return an accuracy with its interval: `97.2 % [96.8, 97.6]`."""
    if number.low == number.high:
        return f"{100 * number.mean:.1f} %"
    return f"{100 * number.mean:.1f} % [{100 * number.low:.1f}, {100 * number.high:.1f}]"


def points(number: Interval) -> str:
    """Return a difference of accuracies in points: `+0.8 points [+0.2, +1.5]`."""
    text = _("{points} points").format(points=f"{100 * number.mean:+.1f}")
    if number.low == number.high:
        return text
    return f"{text} [{100 * number.low:+.1f}, {100 * number.high:+.1f}]"


def names(rows: Sequence[Row]) -> str:
    """Return labels joined by commas."""
    return ", ".join(row["label"] for row in rows)


def best_of(rows: Sequence[Row]) -> Row:
    """Return the row with the best validation accuracy: the test set has no say."""
    return max(rows, key=lambda row: (row["val_accuracy"].mean, -row["val_loss"].mean))


def best(rows: Sequence[Row]) -> Iterator[str]:
    """Say which variant is best on validation, and what the test set says of it."""
    if not rows:
        return
    row = best_of(rows)
    yield _("Best on validation: {label}, {accuracy} on the test set.").format(
        label=row["label"], accuracy=percent(row["test_accuracy"])
    )


def against_reference(rows: Sequence[Row]) -> Iterator[str]:
    """Say which variants differ from the reference beyond chance."""
    others = [row for row in rows if not row["reference"]]
    reference = next((row for row in rows if row["reference"]), None)
    if reference is None or not others:
        return
    better = [row for row in others if not row["tied"] and row["gain"].mean > 0]
    worse = [row for row in others if not row["tied"] and row["gain"].mean < 0]
    test = _("paired t-test over {seeds} seeds, Holm-corrected, 5 %").format(
        seeds=reference["runs"]
    )
    for chosen, text in (
        (better, _("Better than {reference} beyond chance ({test}): {which}.")),
        (worse, _("Worse than {reference} beyond chance ({test}): {which}.")),
    ):
        if chosen:
            which = ", ".join(f"{row['label']} ({points(row['gain'])})" for row in chosen)
            yield text.format(reference=reference["label"], which=which, test=test)
    if not better and not worse:
        yield _("None is told apart from {reference} on the test set ({test}).").format(
            reference=reference["label"], test=test
        )


def caveats(found: Mapping[str, Any]) -> Iterator[str]:
    """Say where a grid of rates ended too soon, and what diverged at the chosen rates."""
    for largest, text in (
        (True, _("The best rate is the largest that was tried for {which}: look beyond it.")),
        (False, _("The best rate is the smallest that was tried for {which}: look below it.")),
    ):
        which = [one["label"] for one in found["edges"] if one["largest"] is largest]
        if which:
            yield text.format(which=", ".join(which))
    lost = [row for row in found["rows"] if row["diverged"]]
    if lost:
        yield _("Runs that diverged at the chosen rate: {which}.").format(
            which=", ".join(f"{row['label']} {row['diverged']}/{row['runs']}" for row in lost)
        )
