"""What `--plot` draws for bias and variance, divisions of the data and learning curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report import learning_curves
from nndiag.report.panels import Line, Panel
from nndiag.schema.result import Interval, Result

#: More classes than this have no names on the axis.
_MOST_TICKS = 12


def bias_variance(result: Result) -> Iterator[Panel]:
    """Yield the complexity curve, the gap to training, and models beside the truth."""
    found = result.result
    rows, axis, names = found["rows"], found["axis"], found["parts"]
    if not rows:
        return
    x = [row[axis] for row in rows]
    squared = found["task"] == "regression"
    parts = {
        "error": _("error on new data"),
        "bias": _("bias^2") if squared else _("bias"),
        "variance": _("variance"),
        "noise": _("noise"),
    }
    lines = [
        curve(x, [row[names[part]] for row in rows], name, place)
        for place, (part, name) in enumerate(parts.items())
    ]
    if "predicted_variance" in rows[0]:
        lines += [
            Line(x=x, y=[row[key] for row in rows], name=name, dashed=True, colour=place)
            for key, name, place in (
                ("predicted_bias_squared", _("bias^2, closed form"), 1),
                ("predicted_variance", _("variance, closed form"), 2),
            )
        ]
    title = (
        _("MSE = bias^2 + variance + noise")
        if squared
        else _("Error = bias + net variance + net noise (Domingos 2000)")
    )
    logarithmic = axis != "degree"
    yield Panel(title=title, lines=lines, x_name=axis, log_x=logarithmic)
    yield Panel(
        title=_("Error on training and on new data"),
        lines=[
            curve(x, [row["train_error"] for row in rows], _("training samples"), 4),
            curve(x, [row[names["error"]] for row in rows], _("new data"), 0),
        ],
        x_name=axis,
        log_x=logarithmic,
    )
    if found["drawn"] is not None:
        yield from _models(found["drawn"], axis)


def _models(drawn: dict[str, Any], axis: str) -> Iterator[Panel]:
    x, truth = drawn["x"], drawn["truth"]
    low, high = min(truth), max(truth)
    margin = 0.4 * (high - low)
    for one in drawn["values"]:
        models = [Line(x=x, y=y, colour=5) for y in one["models"]]
        yield Panel(
            title=_("{axis} {value}: models of {count} training sets").format(
                axis=axis, value=one["value"], count=len(models)
            ),
            lines=[
                *models,
                Line(x=x, y=one["mean"], name=_("their average"), colour=1),
                Line(x=x, y=truth, name=_("truth"), dashed=True, colour=None),
            ],
            x_name="x",
            y_limits=(low - margin, high + margin),
        )


def curve(x: Sequence[float], values: Sequence[Interval], name: str, colour: int) -> Line:
    """Return a line with its band."""
    return Line(
        x=x,
        y=[value.mean for value in values],
        low=[value.low for value in values],
        high=[value.high for value in values],
        name=name,
        colour=colour,
    )


def split(result: Result) -> Iterator[Panel]:
    """Yield the shares of the classes in each part, and how uneven divisions are."""
    found = result.result
    words = {"train": _("training"), "validation": _("validation"), "test": _("test")}
    classes, parts = found["classes"], found["parts"]
    few = len(classes) <= _MOST_TICKS
    places = range(1, len(classes) + 1)
    yield Panel(
        title=_("Share of each class (%), divided by class"),
        lines=[
            Line(
                x=[at + 0.15 * (k - (len(parts) - 1) / 2) for at in places],
                y=[100 * row["parts"][k] / part["samples"] for row in classes],
                name=words[part["name"]],
                dots=True,
                colour=k,
            )
            for k, part in enumerate(parts)
        ],
        ticks=[row["label"][:10] for row in classes] if few else (),
        x_name=_("class"),
        y_limits=(0, 1.3 * max(100 * row["samples"] / found["samples"] for row in classes)),
    )
    names = {"stratified": _("by class"), "random": _("at random")}
    rows = found["rows"]
    deviations = [row["largest_deviation"] for row in rows]
    yield Panel(
        title=_("Largest deviation of a class share (points)"),
        lines=[
            Line(
                x=[100 * number.mean for number in deviations],
                y=range(1, len(rows) + 1),
                low=[100 * number.low for number in deviations],
                high=[100 * number.high for number in deviations],
                dots=True,
            )
        ],
        down=[names[row["label"]] for row in rows],
        x_name=_("points"),
    )


DRAWINGS = {
    "bias-variance": bias_variance,
    "split": split,
    "learning-curve": learning_curves.panels,
}
