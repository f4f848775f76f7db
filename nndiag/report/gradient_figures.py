"""What `nndiag gradients` draws: a panel for each thing that the result holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nndiag.locales import _
from nndiag.report.numbers import percent
from nndiag.report.panels import Heat, Line, Panel, Strip
from nndiag.report.reading import Row, means, measured
from nndiag.schema.result import Result

_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE, _SKY = range(6)
_BOUND = 3  # points down


def title(result: Result) -> str:
    """Return one line that says which run a figure shows."""
    network, init = result.result.get("network", {}), result.result.get("init", {})
    parts = [str(network.get("net", network.get("text", "")))]
    if "depth" in network and "width" in network:
        size = _("depth {depth}, width {width}")
        parts.append(size.format(depth=network["depth"], width=network["width"]))
    parts += [str(part) for part in (network.get("act"), init.get("name")) if part]
    if network.get("norm", "none") != "none":
        parts.append(_("{norm} normalisation").format(norm=network["norm"]))
    if seeds := result.result.get("seeds"):
        parts.append(_("1 seed") if seeds == 1 else _("{count} seeds").format(count=seeds))
    return " · ".join(part for part in parts if part)


def gradients(result: Result) -> Iterator[Panel]:
    """Yield gradients by layer, activations, shares of idle units, and what training changed."""
    numbers = result.result
    rows: Sequence[Row] = numbers.get("layers", ())
    yield _signal(rows)
    yield _weights(rows)
    if distributions := numbers.get("distributions"):
        yield _distributions(distributions, rows)
    yield _idle(rows)
    if steps := numbers.get("time_steps"):
        yield _through_time(steps)
    yield from _training(numbers.get("training") or {})


def series(rows: Sequence[Row], name: str, *, log: bool) -> tuple[np.ndarray, ...]:
    """Return layer index, mean, low and high of a statistic where it exists and can be drawn.

    Args:
        log: also leave out what has no logarithm; NaN and infinity stay, to be marked.
    """
    found = [
        (row.get("index", place), number.mean, number.low, number.high)
        for place, row in enumerate(rows, start=1)
        if (number := measured(row, name)) is not None
        and (number.mean > 0 or not log or not np.isfinite(number.mean))
    ]
    return tuple(np.array(found, dtype=float).reshape(-1, 4).T)


def _line(
    rows: Sequence[Row],
    name: str,
    label: str,
    colour: int | None,
    *,
    scale: float = 1.0,
    log: bool = True,
    theory: bool = False,
) -> Line:
    x, mean, low, high = series(rows, name, log=log)
    names = {row.get("index", place): row.get("name", "") for place, row in enumerate(rows, 1)}
    return Line(
        x=x.tolist(),
        y=(scale * mean).tolist(),
        low=None if theory else (scale * low).tolist(),
        high=None if theory else (scale * high).tolist(),
        name=label,
        dashed=theory,
        points=[str(names.get(index, "")) for index in x],
        colour=colour,
    )


def _by_layer(heading: str, unit: str, rows: Sequence[Row], lines: Sequence[Line]) -> Panel:
    return Panel(
        title=heading,
        x_name=_("layer (input at the left)"),
        y_name=unit,
        lines=[line for line in lines if len(line.x)],
        x_limits=(0.4, max(len(rows), 1) + 0.6),
        whole=True,
        log_y=True,
    )


def _signal(rows: Sequence[Row]) -> Panel:
    bounds = [row for row in rows if (n := measured(row, "output_grad_norm")) and n.upper_bound]
    x, mean, *_edges = series(bounds, "output_grad_norm", log=True)
    under = Line(
        x=x.tolist(),
        y=mean.tolist(),
        name=_("underflow: at most"),
        colour=_VERMILLION,
        dots=True,
        marker=_BOUND,
    )
    lines = [
        _line(rows, "output_grad_norm", _("measured, 95 % interval"), _BLUE),
        _line(rows, "predicted_output_grad_norm", _("theory"), None, theory=True),
        under,
    ]
    return _by_layer(_("Backpropagated signal"), _("output gradient norm"), rows, lines)


def _weights(rows: Sequence[Row]) -> Panel:
    lines = [
        _line(rows, "weight_grad_norm", _("gradient"), _GREEN),
        _line(rows, "relative_grad", _("gradient / weight"), _ORANGE),
        _line(rows, "update_ratio", _("update / weight"), _PURPLE),
    ]
    return _by_layer(_("Weight gradient"), _("weight gradient norm"), rows, lines)


def _distributions(distributions: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> Panel:
    known = {row["name"]: row.get("index", place) for place, row in enumerate(rows, start=1)}
    return Panel(
        title=_("Activations (each layer to its own peak)"),
        x_name=_("layer (input at the left)"),
        y_name=_("activation"),
        strips=[
            Strip(
                name=one["name"],
                index=known.get(one["name"], place),
                edges=one["edges"],
                density=one["density"],
            )
            for place, one in enumerate(distributions, start=1)
        ],
        x_limits=(0.4, max(len(rows), 1) + 0.6),
        whole=True,
    )


def _idle(rows: Sequence[Row]) -> Panel:
    lines = [
        _line(rows, name, label, colour, scale=100, log=False)
        for name, label, colour in (
            ("saturated_fraction", _("saturated"), _VERMILLION),
            ("off_fraction", _("off (half is normal)"), _SKY),
            ("dead_fraction", _("dead"), None),
        )
    ]
    return Panel(
        title=_("Units that do not pass the gradient"),
        x_name=_("layer (input at the left)"),
        y_name=_("share of units (%)"),
        lines=[line for line in lines if len(line.x)],
        x_limits=(0.4, max(len(rows), 1) + 0.6),
        y_limits=(-3, 103),
        whole=True,
        note=_("no saturating activation"),
    )


def _through_time(steps: Sequence[Row]) -> Panel:
    rows = [{**row, "index": row["step"]} for row in steps]
    return Panel(
        title=_("Backpropagated signal through time"),
        x_name=_("time step"),
        y_name=_("output gradient norm"),
        lines=[_line(rows, "output_grad_norm", _("measured, 95 % interval"), _BLUE)],
        whole=True,
        log_y=True,
    )


def _training(training: Mapping[str, Any]) -> Iterator[Panel]:
    if training.get("loss"):
        loss = Line(x=training["steps"], y=means(training["loss"]), colour=_BLUE)
        yield Panel(title=_("Training"), x_name=_("step"), y_name=_("loss"), lines=[loss])
    accuracy = training.get("validation_accuracy") or {}
    if accuracy.get("values"):
        heading = _("Validation accuracy")
        final = measured(training, "test_accuracy")
        if final is not None:
            heading = _("Validation accuracy (test: {accuracy} %)").format(
                accuracy=percent(final.mean)
            )
        values = [100 * value for value in means(accuracy["values"])]
        line = Line(x=accuracy["steps"], y=values, colour=_VERMILLION)
        yield Panel(
            title=heading,
            x_name=_("step"),
            y_name=_("accuracy (%)"),
            lines=[line],
            y_limits=(-3, 103),
        )
    layers = training.get("layers") or {}
    for name, heading, unit, log in (
        (
            "output_grad_norm",
            _("Output gradient norm while training"),
            _("output gradient norm"),
            True,
        ),
        (
            "saturated_fraction",
            _("Saturated units while training (share)"),
            _("share of units"),
            False,
        ),
        ("update_ratio", _("Update / weight while training"), _("update / weight"), True),
    ):
        if len(layers.get("steps", ())) > 1 and layers.get(name):
            yield Panel(
                title=heading,
                x_name=_("step"),
                y_name=_("layer (input at the top)"),
                heat=_heat(layers, name, unit, log),
            )


def _heat(layers: Mapping[str, Any], name: str, unit: str, log: bool) -> Heat:
    members = layers.get("members") or {}
    seeds = [_("seed {seed}").format(seed=seed) for seed in members.get("seeds", ())]
    return Heat(
        steps=layers["steps"],
        names=layers["names"],
        z=layers[name],
        unit=unit,
        log=log,
        members=dict(zip(seeds, members.get(name, ()), strict=True)),
        member_steps=members.get("steps", ()),
    )
