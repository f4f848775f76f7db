"""What the comparisons draw: accuracy with its interval, and curves beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report.panels import Line, Panel
from nndiag.schema.result import Interval, Result

#: More curves in one panel are a thicket; a page has the others to switch on.
_MOST_CURVES = 6

Row = Mapping[str, Any]


def compare_optimizers(result: Result) -> Iterator[Panel]:
    """Yield accuracy by optimizer, sensitivity to the learning rate and curves over time."""
    found = result.result
    labels = [row["label"] for row in found["rows"]]
    yield _accuracies(found["rows"], labels)
    yield Panel(
        title=_("Validation accuracy by learning rate"),
        x_name=_("learning rate"),
        y_name=_("accuracy (%)"),
        lines=_curves(found["sensitivity"], "rates", labels),
        log_x=True,
    )
    yield Panel(
        title=_("Validation accuracy over time, best rate"),
        x_name=_("step"),
        y_name=_("accuracy (%)"),
        lines=_curves(found["curves"], "steps", labels),
    )


def compare_fixes(result: Result) -> Iterator[Panel]:
    """Yield accuracy by fix and optimizer, and the gradient norm over time."""
    found = result.result
    labels = [f"{row['fix']} ({row['optimizer']})" for row in found["rows"]]
    yield _accuracies(found["rows"], labels)
    norms = [
        Line(
            x=one["steps"],
            y=[value if value > 0 else math.nan for value in one["gradient_norm"]],
            name=f"{one['label']} ({one['optimizer']})",
            colour=place,
            shown=place < _MOST_CURVES,
        )
        for place, one in enumerate(found["norms"])
    ]
    if norms:
        yield Panel(
            title=_("Gradient norm over time"),
            x_name=_("step"),
            y_name=_("gradient norm before clipping"),
            lines=norms,
            log_y=True,
        )


def _accuracies(rows: Sequence[Row], labels: Sequence[str]) -> Panel:
    accuracy = [row["test_accuracy"] for row in rows]
    dots = _in_percent(list(range(1, len(rows) + 1)), accuracy)
    return Panel(
        title=_("Test accuracy, 95 % interval over seeds"),
        x_name=_("test accuracy (%)"),
        down=labels,
        lines=[Line(x=dots.y, y=dots.x, low=dots.low, high=dots.high, dots=True)],
    )


def _curves(found: Sequence[Row], x: str, labels: Sequence[str]) -> list[Line]:
    """Return the curves in the order of the ranking, the first few shown."""
    ordered = sorted(found, key=lambda one: labels.index(one["label"]))
    return [
        _in_percent(one[x], one["validation_accuracy"], one["label"], place)
        for place, one in enumerate(ordered)
    ]


def _in_percent(
    x: Sequence[float], values: Sequence[Interval], name: str = "", place: int = 0
) -> Line:
    return Line(
        x=x,
        y=[100 * value.mean for value in values],
        low=[100 * value.low for value in values],
        high=[100 * value.high for value in values],
        name=name,
        colour=place,
        shown=place < _MOST_CURVES,
    )
