"""What the presets draw: accuracy with its interval, sensitivity to the rate, curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nndiag.locales import _
from nndiag.report.panels import Heights, Line, Panel
from nndiag.report.variants import shown_labels
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]

#: Scale of shares.
_PERCENT = 100.0


def accuracy_panel(rows: Sequence[Row], title: str = "") -> Panel:
    """Return test accuracies with their intervals, a line a variant."""
    values = [row["test_accuracy"] for row in rows]
    dots = Line(
        x=[100 * value.mean for value in values],
        y=range(1, len(rows) + 1),
        low=[100 * value.low for value in values],
        high=[100 * value.high for value in values],
        dots=True,
    )
    return Panel(
        title=title or _("Test accuracy at the best rate"),
        x_name=_("test accuracy (%), 95 % interval over seeds"),
        lines=[dots],
        down=[row["label"] for row in rows],
    )


def curve(one: Row, x: str, y: str, place: int, shown: bool = True, scale: float = 1.0) -> Line:
    """Return a line with its band from a list of intervals; a share's ends at none and at all."""
    values: Sequence[Interval] = one[y]
    low, high = [scale * value.low for value in values], [scale * value.high for value in values]
    if scale == _PERCENT:
        low, high = [max(0.0, end) for end in low], [min(scale, end) for end in high]
    return Line(
        x=one[x],
        y=[scale * value.mean for value in values],
        low=low,
        high=high,
        name=one["label"],
        colour=place,
        shown=shown,
    )


def curves(
    entries: Sequence[Row], x: str, y: str, labels: Sequence[str], scale: float
) -> list[Line]:
    """Return a line an entry, those in `labels` shown at first."""
    ordered = sorted(entries, key=lambda one: one["label"] not in labels)
    known = [one for one in ordered if y in one]
    return [
        curve(one, x, y, place, one["label"] in labels, scale) for place, one in enumerate(known)
    ]


def sensitivity_panels(found: Mapping[str, Any], labels: Sequence[str]) -> Iterator[Panel]:
    """Yield validation accuracy by learning rate, where rates were varied."""
    if found["sensitivity"]:
        yield Panel(
            title=_("Validation accuracy by learning rate"),
            x_name=_("learning rate"),
            y_name=_("accuracy (%)"),
            lines=curves(found["sensitivity"], "rates", "val_accuracy", labels, 100),
            log_x=True,
        )


def time_panel(found: Mapping[str, Any], labels: Sequence[str], name: str, title: str) -> Panel:
    """Return a loss or an accuracy over the steps."""
    accuracy = name.endswith("accuracy")
    return Panel(
        title=title,
        x_name=_("step"),
        y_name=_("accuracy (%)") if accuracy else _("loss"),
        lines=curves(found["curves"], "steps", name, labels, 100 if accuracy else 1),
        log_y=not accuracy,
    )


def schedules(result: Result) -> Iterator[Panel]:
    """Yield the shapes of the schedules, accuracies, sensitivity and curves."""
    found = result.result
    labels = shown_labels(found["rows"], "constant")
    yield Panel(
        title=_("Factor of the learning rate"),
        x_name=_("step"),
        lines=[
            Line(
                x=one["steps"],
                y=one["factor"],
                name=one["label"],
                colour=place,
            )
            for place, one in enumerate(found["shapes"])
        ],
    )
    yield accuracy_panel(found["rows"])
    yield from sensitivity_panels(found, labels)
    yield time_panel(found, labels, "val_loss", _("Validation loss at the best rate"))


def batch_sizes(result: Result) -> Iterator[Panel]:
    """Yield accuracy and noise by size, sensitivity to the rate, steps and seconds."""
    found = result.result
    rows = sorted(found["rows"], key=lambda row: row["batch_size"])
    yield Panel(
        title=_("Test accuracy by batch size"),
        x_name=_("batch size"),
        y_name=_("accuracy (%)"),
        lines=[
            by_size(rows, lambda row: row["test_accuracy"], _("own best rate"), 0, 100),
            by_size(rows, _part("scaled", "test_accuracy"), _("rate scaled"), 1, 100),
            by_size(rows, _part("unscaled", "test_accuracy"), _("one rate for all"), 2, 100),
        ],
        log_x=True,
    )
    noise = []
    for place, (suffix, name) in enumerate((("", _("before training")), ("_end", _("after it")))):
        theory = by_size(rows, _key(f"predicted_noise{suffix}"), "", None)
        noise.append(replace(theory, low=None, high=None, dashed=True))
        noise.append(replace(by_size(rows, _key(f"noise{suffix}"), name, place), dots=True))
    yield Panel(
        title=_("Noise of the gradient (dashed: from single samples)"),
        x_name=_("batch size"),
        y_name="|g_B - g| / |g|",
        lines=noise,
        log_x=True,
        log_y=True,
    )
    labels = [one["label"] for one in found["sensitivity"]][::2]
    yield from sensitivity_panels(found, labels)
    yield Panel(
        title=_("Steps to the target accuracy"),
        x_name=_("batch size"),
        y_name=_("steps"),
        lines=[by_size(rows, _key("steps_to_target"), "", 0)],
        log_x=True,
        log_y=True,
    )


Pick = Callable[[Row], Interval | None]


def _key(name: str) -> Pick:
    return lambda row: row.get(name)


def _part(name: str, key: str) -> Pick:
    return lambda row: None if row[name] is None else row[name][key]


def by_size(
    rows: Sequence[Row], pick: Pick, name: str, place: int | None, scale: float = 1.0
) -> Line:
    """Return a line over batch sizes of what `pick` finds, positive or not at all."""
    known = [(row["batch_size"], found) for row in rows if (found := pick(row)) is not None]
    known = [(size, value) for size, value in known if value.mean > 0]
    return Line(
        x=[size for size, _value in known],
        y=[scale * value.mean for _size, value in known],
        low=[scale * max(value.low, value.mean / 10) for _size, value in known],
        high=[scale * value.high for _size, value in known],
        name=name,
        colour=place,
    )


def regularizers(result: Result) -> Iterator[Panel]:
    """Yield accuracies, gaps, loss curves, the weights, and the balls of L1 and L2."""
    found = result.result
    rows = found["rows"]
    labels = shown_labels([r for r in rows if not r["label"].startswith("cnn")], "none")
    yield accuracy_panel(rows, _("Test accuracy at the best strength and rate"))
    yield named_panel(rows, "gap", _("Gap: training minus validation accuracy (points)"), 100)
    yield time_panel(found, labels, "train_loss", _("Training loss"))
    yield time_panel(found, labels, "val_loss", _("Validation loss"))
    yield named_panel(rows, "sparsity", _("Weights that are zero (%)"), 100)
    yield named_panel(rows, "weight_norm", _("Norm of all weight matrices"))
    yield _balls_panel(found["balls"])


def named_panel(rows: Sequence[Row], key: str, title: str, scale: float = 1.0) -> Panel:
    """Return a measure with its intervals, a line a variant."""
    values = [row[key] for row in rows]
    dots = Line(
        x=[scale * value.mean for value in values],
        y=range(1, len(rows) + 1),
        low=[scale * value.low for value in values],
        high=[scale * value.high for value in values],
        dots=True,
    )
    return Panel(title=title, lines=[dots], down=[row["label"] for row in rows])


def _balls_panel(balls: Row) -> Panel:
    lines = []
    for place, name in enumerate(("l1", "l2")):
        edge, touch = balls["edges"][name], balls["touch"][name]
        lines.append(Line(x=edge["x"], y=edge["y"], name=name.upper(), colour=place))
        lines.append(Line(x=touch[:1], y=touch[1:], dots=True, colour=place))
    minimum = balls["minimum"]
    lines.append(Line(x=minimum[:1], y=minimum[1:], name=_("minimum"), dots=True, colour=None))
    return Panel(
        title=_("Smallest loss within the L1 and the L2 ball"),
        lines=lines,
        x_name="w1",
        y_name="w2",
        heights=Heights(x=balls["x"], y=balls["y"], z=balls["loss"]),
    )


def lr_find(result: Result) -> Iterator[Panel]:
    """Yield the range test, accuracy by fixed rate, and the three trainings."""
    found = result.result
    if found["range"]:
        yield _range_panel(found["range"], found["suggestion"])
    if found["fixed"]:
        values = [row["val_accuracy"] for row in found["fixed"]]
        yield Panel(
            title=_("Validation accuracy by fixed rate"),
            x_name=_("learning rate"),
            y_name=_("accuracy (%)"),
            lines=[
                Line(
                    x=[row["lr"] for row in found["fixed"]],
                    y=[100 * value.mean for value in values],
                    low=[100 * value.low for value in values],
                    high=[100 * value.high for value in values],
                )
            ],
            log_x=True,
        )
    yield Panel(
        title=_("Training loss of the three"),
        x_name=_("step"),
        y_name=_("loss"),
        lines=[
            Line(
                x=one["batch_loss"]["steps"],
                y=one["batch_loss"]["values"],
                name=one["label"],
                colour=place,
            )
            for place, one in enumerate(found["curves"])
        ],
        log_y=True,
    )


def _range_panel(one: Row, suggestion: Mapping[str, Interval]) -> Panel:
    """Return the loss by rate, with the places that were read off it."""
    rates, losses = one["rates"], one["loss"]
    marks = {"low": _("steepest"), "lr": _("suggested"), "high": _("lowest")}
    places = {
        name: min(range(len(rates)), key=lambda k: abs(math.log(rates[k] / suggestion[name].mean)))
        for name in marks
    }
    return Panel(
        title=_("Range test: training loss while the rate rises"),
        x_name=_("learning rate"),
        y_name=_("loss"),
        lines=[
            Line(x=rates, y=one["raw"], name=_("first seed, as it is"), colour=5),
            Line(
                x=rates,
                y=[value.mean for value in losses],
                low=[value.low for value in losses],
                high=[value.high for value in losses],
                name=_("smoothed, mean over seeds"),
            ),
            *(
                Line(x=[rates[p]], y=[losses[p].mean], name=marks[name], dots=True, colour=place)
                for place, (name, p) in enumerate(places.items(), start=1)
            ),
        ],
        log_x=True,
        log_y=True,
        y_limits=(min(value.mean for value in losses) / 3, 5 * losses[0].mean),
    )


def inits(result: Result) -> Iterator[Panel]:
    """Yield accuracies, gradient and signal by layer before training, sensitivity to the rate."""
    found = result.result
    labels = shown_labels(found["rows"])
    yield accuracy_panel(found["rows"])
    for x, key, title in (
        ("layers", "output_grad_norm", _("Gradient by layer before training")),
        ("activation_layers", "activation_rms", _("Signal by layer before training")),
    ):
        alive = [one for one in found["profiles"] if all(value.mean > 0 for value in one[key])]
        yield Panel(
            title=title,
            x_name=_("hidden layer"),
            lines=[curve(one, x, key, place) for place, one in enumerate(alive)],
            log_y=True,
            whole=True,
        )
    yield from sensitivity_panels(found, labels)


def activations(result: Result) -> Iterator[Panel]:
    """Yield functions and derivatives with their saturated zones, accuracies, units that die."""
    found = result.result
    for key, title in (("value", _("Activation functions")), ("slope", _("Their derivatives"))):
        yield Panel(
            title=title + _(" (dots: where saturation begins)"),
            x_name="z",
            lines=[
                line
                for place, one in enumerate(found["functions"])
                for line in _function_lines(one, key, place)
            ],
        )
    yield accuracy_panel(found["rows"])
    yield from sensitivity_panels(found, shown_labels(found["rows"]))
    for statistic, title in (
        ("saturated_fraction", _("Saturated outputs over the training (%)")),
        ("dead_fraction", _("Dead units over the training (%)")),
    ):
        entries = [one for one in found["units"] if one["statistic"] == statistic]
        if entries:
            lines = [
                curve(one, "steps", "values", place, scale=100) for place, one in enumerate(entries)
            ]
            yield Panel(title=title, x_name=_("step"), lines=lines)
    if found["dying"]:
        yield Panel(
            title=_("Dead units after training, by learning rate (%)"),
            x_name=_("learning rate"),
            lines=[
                curve(one, "rates", "dead_fraction", place, scale=100)
                for place, one in enumerate(found["dying"])
            ],
            log_x=True,
        )


def _function_lines(one: Row, key: str, place: int) -> Iterator[Line]:
    yield Line(x=one["z"], y=one[key], name=one["label"], colour=place)
    if one["gate"]:
        return
    ends = [end for end in (one["saturated_below"], one["saturated_above"]) if end is not None]
    inside = [end for end in ends if one["z"][0] <= end <= one["z"][-1]]
    if inside:
        near = [min(range(len(one["z"])), key=lambda k: abs(one["z"][k] - end)) for end in inside]
        yield Line(x=inside, y=[one[key][k] for k in near], dots=True, colour=place)


DRAWINGS = {
    "compare-inits": inits,
    "compare-activations": activations,
    "lr-find": lr_find,
    "compare-schedules": schedules,
    "compare-batch-sizes": batch_sizes,
    "compare-regularizers": regularizers,
}
