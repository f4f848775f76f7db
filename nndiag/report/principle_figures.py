"""What `--plot` draws for the first principles: panels from a result's numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report.panels import Heights, Line, Panel
from nndiag.schema.result import Result

Row = Mapping[str, Any]


def perceptron(result: Result) -> Iterator[Panel]:
    """Yield the neuron's plane, the errors of each epoch and the share of solved starts."""
    found = result.result
    if found["plane"] is not None:
        plane, points = found["plane"], found["points"]
        dots = Line(
            x=[point["x"][0] for point in points],
            y=[point["x"][1] for point in points],
            labels=[f"{point['output']:.3g}" for point in points],
            dots=True,
            colour=1,
        )
        heights = Heights(x=plane["x"], y=plane["y"], z=plane["value"], border=plane["border"])
        title = _("Output of the neuron ({act})").format(act=result.spec["act"])
        yield Panel(title=title, lines=[dots], x_name="x1", y_name="x2", heights=heights)
    curves = [
        Line(x=range(1, len(row["errors"]) + 1), y=row["errors"], name=row["label"], colour=place)
        for place, row in enumerate(found["rows"])
    ]
    if curves:
        yield Panel(
            title=_("Perceptron rule: updates in each epoch"),
            lines=curves,
            x_name=_("epoch"),
            y_name=_("updates"),
            log_x=True,
        )
    for one in found["layered"]:
        rows = one["rows"]
        solved = Line(
            x=[row["hidden"] for row in rows],
            y=[row["solved"].mean for row in rows],
            low=[row["solved"].low for row in rows],
            high=[row["solved"].high for row in rows],
        )
        yield Panel(
            title=_("{table} by two layers, gradient descent").format(table=one["label"]),
            lines=[solved],
            x_name=_("hidden units"),
            y_name=_("share of starts that arrive"),
        )


def ewma(result: Result) -> Iterator[Panel]:
    """Yield the series under its averages, their start, and noise and lag against theory."""
    found = result.result
    steps = range(1, len(found["series"]) + 1)
    lines = [Line(x=steps, y=found["series"], name=_("series"), dots=True, colour=5)]
    if found["signal"] is not None:
        lines.append(Line(x=steps, y=found["signal"], name=_("signal"), dashed=True, colour=None))
    lines += [
        Line(x=steps, y=one["corrected"], name=f"beta {one['label']}", colour=place)
        for place, one in enumerate(found["averages"])
    ]
    yield Panel(
        title=_("Averages, bias corrected"), lines=lines, x_name=_("step"), y_name=_("value")
    )
    slow = max(found["rows"], key=lambda row: row["beta"])
    curves = found["averages"][found["rows"].index(slow)]
    yield Panel(
        title=_("The start, beta {beta}").format(beta=slow["label"]),
        lines=[
            Line(x=steps, y=curves["raw"], name=_("as it is"), colour=1),
            Line(x=steps, y=curves["corrected"], name=_("divided by 1 - beta^t"), colour=0),
        ],
        x_name=_("step"),
        y_name=_("value"),
    )
    yield _against_theory(
        found["rows"], "variance_ratio", _("Variance of noise that is left"), _("share")
    )
    yield _against_theory(found["rows"], "lag", _("Lag behind a steady rise"), _("samples"))


def _against_theory(rows: Sequence[Row], name: str, title: str, unit: str) -> Panel:
    ordered = sorted(rows, key=lambda row: row["window"])
    x = [row["window"] for row in ordered]
    theory = [row[f"predicted_{name}"] for row in ordered]
    return Panel(
        title=title,
        lines=[
            Line(x=x, y=theory, name=_("theory"), dashed=True, colour=None),
            Line(
                x=x,
                y=[row[name].mean for row in ordered],
                low=[row[name].low for row in ordered],
                high=[row[name].high for row in ordered],
                name=_("measured"),
                dots=True,
            ),
        ],
        x_name=_("window 1 / (1 - beta)"),
        y_name=unit,
        log_x=True,
        log_y=all(value > 0 for value in theory),
    )


def backprop(result: Result) -> Iterator[Panel]:
    """Yield the three gradients of the small network, the chain's product and activations."""
    found = result.result
    rows = found["network"]["gradients"]
    names = {"product": _("by hand"), "autograd": _("autograd"), "differences": _("differences")}
    yield Panel(
        title=_("One gradient by three ways"),
        lines=[
            Line(
                x=[place + 0.15 * (k - 1) for place in range(1, len(rows) + 1)],
                y=[row[key] for row in rows],
                name=name,
                colour=k,
                dots=True,
            )
            for k, (key, name) in enumerate(names.items())
        ],
        ticks=[row["label"] for row in rows],
        x_name=_("parameter"),
        y_name=_("derivative of the loss"),
    )
    layers = found["chain"]["layers"]
    units, bounds = [int(row["label"]) for row in layers], [row["bound"] for row in layers]
    product = [abs(row["product"]) for row in layers]
    yield Panel(
        title=_("The chain: derivative of the output by each unit's input"),
        lines=[
            Line(x=units, y=product, name=_("product of the factors")),
            Line(x=units, y=bounds, name=_("bound: largest slopes"), dashed=True, colour=None),
        ],
        x_name=_("unit"),
        y_name=_("derivative of the output"),
        log_y=any(value > 0 for value in product),
    )
    shown = [row for row in found["rows"] if row["log10_gradient"] is not None]
    yield Panel(
        title=_("Derivative through the chain, by activation"),
        lines=[
            Line(
                x=range(1, len(shown) + 1),
                y=[row["log10_gradient"].mean for row in shown],
                low=[row["log10_gradient"].low for row in shown],
                high=[row["log10_gradient"].high for row in shown],
                dots=True,
            )
        ],
        ticks=[row["label"] for row in shown],
        x_name=_("activation"),
        y_name=_("log10 of the derivative"),
    )


def losses(result: Result) -> Iterator[Panel]:
    """Yield loss and gradient by the score, and the trainings from the wrong start."""
    found = result.result
    scores = [point["score"] for point in found["curve"]]
    for key, title, unit in (
        ("value", _("Loss of a sample of class 1"), _("loss")),
        ("slope", _("Its derivative by the score"), _("derivative")),
    ):
        yield Panel(
            title=title,
            lines=[
                Line(
                    x=scores, y=[point[key][name] for point in found["curve"]], name=name, colour=k
                )
                for k, name in enumerate(found["formulas"])
            ],
            x_name=_("score z"),
            y_name=unit,
        )
    for key, title, unit, log in (
        ("accuracy", _("Accuracy from a wrong start"), _("share of samples"), False),
        ("gradient", _("Gradient norm from a wrong start"), _("gradient norm"), True),
    ):
        yield Panel(
            title=title,
            lines=[
                Line(
                    x=one["steps"],
                    y=[point.mean for point in one[key]],
                    low=[point.low for point in one[key]],
                    high=[point.high for point in one[key]],
                    name=one["label"],
                    colour=k,
                )
                for k, one in enumerate(found["curves"])
            ],
            x_name=_("step"),
            y_name=unit,
            log_y=log,
        )


def descent(result: Result) -> Iterator[Panel]:
    """Yield the surface with its paths, the losses, one noisy loss each, and noise by size."""
    found = result.result
    surface, minimum = found["surface"], found["minimum"]
    depths = [[math.sqrt(max(value, 0.0)) for value in row] for row in surface["excess"]]
    paths = [
        Line(
            x=[point[0] for point in one["path"]],
            y=[point[1] for point in one["path"]],
            name=one["label"],
            colour=place,
        )
        for place, one in enumerate(found["curves"])
    ]
    star = Line(x=minimum[:1], y=minimum[1:], name=_("minimum"), dots=True, colour=None)
    yield Panel(
        title=_("Paths of the first seed, by batch size"),
        lines=[*paths, star],
        x_name=_("first weight"),
        y_name=_("second weight"),
        heights=Heights(x=surface["x"], y=surface["y"], z=depths),
    )
    yield Panel(
        title=_("Loss above the minimum"),
        lines=[
            Line(
                x=one["epochs"],
                y=[point.mean for point in one["excess"]],
                low=[max(point.low, point.mean / 100) for point in one["excess"]],
                high=[point.high for point in one["excess"]],
                name=one["label"],
                colour=place,
            )
            for place, one in enumerate(found["curves"])
        ],
        x_name=_("epoch"),
        y_name=_("loss - least loss"),
        log_y=True,
    )
    yield Panel(
        title=_("What the training sees: loss of each batch, first seed"),
        lines=[
            Line(x=one["epochs"], y=one["batch_loss"], name=one["label"], colour=place)
            for place, one in enumerate(found["curves"])
        ],
        x_name=_("epoch"),
        y_name=_("loss"),
        log_y=True,
    )
    yield _noise(found["rows"])


def _noise(rows: Sequence[Row]) -> Panel:
    sampled = sorted(
        (row for row in rows if row["predicted_noise_minimum"] > 0),
        key=lambda row: row["batch_size"],
    )
    lines = []
    sizes = [row["batch_size"] for row in sampled]
    for place, (key, name) in enumerate((("start", _("start")), ("minimum", _("minimum")))):
        theory = [row[f"predicted_noise_{key}"] for row in sampled]
        measured = [row[f"noise_{key}"] for row in sampled]
        lines.append(
            Line(x=sizes, y=theory, name="" if place else _("theory"), dashed=True, colour=None)
        )
        lines.append(
            Line(
                x=sizes,
                y=[number.mean for number in measured],
                low=[number.low for number in measured],
                high=[number.high for number in measured],
                name=_("at the {place}").format(place=name),
                dots=True,
                colour=place,
            )
        )
    return Panel(
        title=_("Noise of the gradient against S^2 / B (1 - B / N)"),
        lines=lines,
        x_name=_("batch size"),
        y_name=_("variance"),
        log_x=bool(sampled),
        log_y=bool(sampled),
    )


DRAWINGS = {
    "perceptron": perceptron,
    "ewma": ewma,
    "backprop": backprop,
    "losses": losses,
    "descent": descent,
}
