"""How the metric of a sweep is named and written."""

from __future__ import annotations

import math
from typing import Any

from nndiag.locales import _, localised
from nndiag.report.numbers import compact
from nndiag.schema.result import Interval


def metric_title(metric: str) -> str:
    """Return the short name of a metric with its unit, for a column or an axis."""
    titles = {
        "val_accuracy": _("val %"),
        "val_loss": _("val loss"),
        "test_accuracy": _("test %"),
        "test_loss": _("test loss"),
        "train_loss": _("train loss"),
    }
    return titles[metric]


def scaled(value: float, metric: str) -> float:
    """Return a metric in the unit of its title."""
    return 100 * value if metric.endswith("accuracy") else value


def metric_value(value: float, metric: str) -> str:
    """Return a metric without its unit: accuracies in percent, to a tenth."""
    if not metric.endswith("accuracy"):
        return compact(value, 2)
    return localised(f"{100 * value:.1f}") if math.isfinite(value) else compact(value)


def metric_interval(number: Interval, metric: str, plus_minus: str) -> str:
    """Return a metric with half its interval's width: `95.9 ±0.4`."""
    half = (number.high - number.low) / 2
    text = metric_value(number.mean, metric)
    if not (math.isfinite(half) and half > 0):
        return text
    return f"{text} {plus_minus}{metric_value(half, metric)}"


def setting_text(value: Any) -> str:
    """Return a setting for a narrow place: numbers of three digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return compact(value) if isinstance(value, float) else str(value)


def level_text(label: str, digits: int = 3) -> str:
    """Return the label of a value, or of a range of values, with numbers of few digits."""
    low, dots, high = label.partition("..")
    return dots.join(_short(part, digits) for part in ((low, high) if dots else (low,)))


def _short(text: str, digits: int) -> str:
    try:
        return text if text.isdigit() else compact(float(text), digits)
    except ValueError:
        return text
