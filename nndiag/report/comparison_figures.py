"""Figures of the comparisons: accuracy with its interval, and curves beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nndiag.locales import _
from nndiag.report.figures import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from nndiag.schema.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE)
STYLES = ("-", "--", "-.", ":")
_MOST_CURVES = 6

Row = Mapping[str, Any]
Line = tuple[str, list[float], list[float]]


def compare_optimizers(result: Result) -> Figure:
    """Return accuracy by optimizer, sensitivity to the learning rate and curves over time."""
    found = result.result
    shown = [row["label"] for row in found["rows"][:_MOST_CURVES]]
    figure, (bars, rates, times) = _panels(3, len(found["rows"]))
    _accuracies(bars, found["rows"], [row["label"] for row in found["rows"]])
    _curves(rates, sensitivity_lines(found, shown), _("learning rate"), _("accuracy (%)"))
    rates.set_xscale("log")
    rates.set_title(_("Validation accuracy by learning rate"))
    _curves(times, time_lines(found, shown), _("step"), _("accuracy (%)"))
    times.set_title(_("Validation accuracy over time, best rate"))
    return figure


def compare_fixes(result: Result) -> Figure:
    """Return accuracy by fix and optimizer, and the gradient norm over time."""
    found = result.result
    figure, (bars, times) = _panels(2, len(found["rows"]))
    labels = [f"{row['fix']} ({row['optimizer']})" for row in found["rows"]]
    _accuracies(bars, found["rows"], labels)
    _curves(times, norm_lines(found), _("step"), _("gradient norm before clipping"))
    times.set_yscale("log")
    times.set_title(_("Gradient norm over time"))
    return figure


def sensitivity_lines(found: Mapping[str, Any], shown: Sequence[str]) -> list[Line]:
    """Return (label, rates, accuracies in %) of the optimizers shown."""
    return [
        (one["label"], one["rates"], [100 * p.mean for p in one["validation_accuracy"]])
        for one in found["sensitivity"]
        if one["label"] in shown
    ]


def time_lines(found: Mapping[str, Any], shown: Sequence[str]) -> list[Line]:
    """Return (label, steps, accuracies in %) of the optimizers shown."""
    return [
        (one["label"], one["steps"], [100 * p.mean for p in one["validation_accuracy"]])
        for one in found["curves"]
        if one["label"] in shown
    ]


def norm_lines(found: Mapping[str, Any]) -> list[Line]:
    """Return (label, steps, norms) with and without clipping; gaps where not positive."""
    return [
        (
            f"{one['label']} ({one['optimizer']})",
            one["steps"],
            [value if value > 0 else math.nan for value in one["gradient_norm"]],
        )
        for one in found["norms"]
    ][:_MOST_CURVES]


def _panels(count: int, rows: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    height = max(4.0, 0.16 * rows + 1.2)
    figure = Figure(figsize=(5.4 * count, height), layout="constrained")
    axes = list(figure.subplots(1, count, squeeze=False).ravel())
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _accuracies(axis: Axes, rows: Sequence[Row], labels: Sequence[str]) -> None:
    places = list(range(len(rows)))
    means = [100 * row["test_accuracy"].mean for row in rows]
    below = [100 * (r["test_accuracy"].mean - r["test_accuracy"].low) for r in rows]
    above = [100 * (r["test_accuracy"].high - r["test_accuracy"].mean) for r in rows]
    axis.errorbar(means, places, xerr=[below, above], fmt="o", color=BLUE, capsize=2)
    axis.set_yticks(places, labels, fontsize=7 if len(rows) > 20 else 9)
    axis.invert_yaxis()
    axis.set_xlabel(_("test accuracy (%), 95 % interval over seeds"))
    axis.grid(axis="x", alpha=0.3)


def _curves(axis: Axes, lines: Sequence[Line], x: str, y: str) -> None:
    for number, (label, steps, values) in enumerate(lines):
        axis.plot(
            steps,
            values,
            STYLES[number % len(STYLES)],
            color=COLOURS[number % len(COLOURS)],
            label=label,
        )
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3)
    if lines:
        axis.legend(fontsize=8, frameon=False)


def compare_optimizers_page(result: Result) -> str:
    """Return the comparison of optimizers as one HTML page that works offline."""
    found = result.result
    shown = [row["label"] for row in found["rows"]]
    return _page(
        _("Optimizers compared"),
        [
            _bars(found["rows"], shown),
            _plot(sensitivity_lines(found, shown), _("learning rate"), _("accuracy (%)"), x="log"),
            _plot(time_lines(found, shown), _("step"), _("accuracy (%)")),
        ],
    )


def compare_fixes_page(result: Result) -> str:
    """Return the comparison of fixes as one HTML page that works offline."""
    found = result.result
    labels = [f"{row['fix']} ({row['optimizer']})" for row in found["rows"]]
    norms = _plot(norm_lines(found), _("step"), _("gradient norm before clipping"), y="log")
    return _page(_("Fixes compared"), [_bars(found["rows"], labels), norms], found["reading"])


def _bars(rows: Sequence[Row], labels: Sequence[str]) -> Any:
    from plotly.graph_objects import Figure, Scatter

    accuracy = [row["test_accuracy"] for row in rows]
    figure = Figure(
        Scatter(
            x=[100 * one.mean for one in accuracy],
            y=list(labels),
            mode="markers",
            marker_color=BLUE,
            error_x={
                "array": [100 * (one.high - one.mean) for one in accuracy],
                "arrayminus": [100 * (one.mean - one.low) for one in accuracy],
            },
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=_("test accuracy (%), 95 % interval over seeds"))
    return figure.update_layout(height=max(380, 18 * len(labels)), template="simple_white")


def _plot(lines: Sequence[Line], x_name: str, y_name: str, x: str = "", y: str = "") -> Any:
    from plotly.graph_objects import Figure, Scatter

    figure = Figure([Scatter(x=steps, y=values, name=name) for name, steps, values in lines])
    figure.update_xaxes(title=x_name, type=x or "linear")
    figure.update_yaxes(title=y_name, type=y or "linear")
    return figure.update_layout(template="simple_white", colorway=list(COLOURS))


def _page(title: str, figures: Sequence[Any], sentences: Sequence[str] = ()) -> str:
    from nndiag.report.interactive import page

    return page(title, "".join(_paragraphs(sentences)), figures)


def _paragraphs(sentences: Sequence[str]) -> Iterator[str]:
    import html

    for text in sentences:
        yield f"<p>{html.escape(text)}</p>\n"
