"""Figures by matplotlib (`Figure` itself, never pyplot: no global state, no window)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nndiag.locales import _
from nndiag.report.bars import log_axis
from nndiag.report.numbers import percent
from nndiag.report.reading import Row, finite_means, means, measured
from nndiag.schema.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by every kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
)
_PANEL_INCHES = (5.4, 3.3)
#: Shapes tell the curves of one panel apart where colours do not.
_MARKERS = {BLUE: "o", GREEN: "o", ORANGE: "s", PURPLE: "^", VERMILLION: "o", SKY: "s"}
# More markers on a curve, or strips in a panel, are a smear.
_MOST_MARKERS = 40
_MOST_STRIPS = 60
# Layers whose ranges differ by more than this factor need a logarithmic axis to be seen at all.
_WIDE = 100

Draw = Callable[["Axes"], None]


def gradients(result: Result) -> Figure:
    """Return the figure of `nndiag gradients`: one panel for each thing the result holds."""
    from matplotlib.figure import Figure

    panels = list(_panels(result))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    size = (_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title(result), fontsize=12)
    # A subfigure a row: a colour bar in one row does not push the others apart.
    for row, part in enumerate(figure.subfigures(rows, 1, squeeze=False).ravel()):
        drawn = panels[row * columns : (row + 1) * columns]
        axes = part.subplots(1, columns, squeeze=False).ravel()
        for draw, axis in zip(drawn, axes, strict=False):
            axis.spines[["top", "right"]].set_visible(False)
            draw(axis)
        for axis in axes[len(drawn) :]:
            axis.set_visible(False)
    return figure


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


def _panels(result: Result) -> Iterator[Draw]:
    numbers = result.result
    rows: Sequence[Row] = numbers.get("layers", ())
    yield lambda axis: _norm_panel(axis, rows)
    yield lambda axis: _weight_panel(axis, rows)
    if distributions := numbers.get("distributions"):
        yield lambda axis: _distribution_panel(axis, distributions, rows)
    yield lambda axis: _saturation_panel(axis, rows)
    if steps := numbers.get("time_steps"):
        yield lambda axis: _time_panel(axis, steps)
    training = numbers.get("training") or {}
    if training.get("loss"):
        yield lambda axis: _loss_panel(axis, training)
    layers = training.get("layers") or {}
    for name, label, log in (
        ("output_grad_norm", _("Output gradient norm while training"), True),
        ("saturated_fraction", _("Saturated units while training (%)"), False),
        ("update_ratio", _("Update / weight while training"), True),
    ):
        if len(layers.get("steps", ())) > 1 and layers.get(name):
            yield _heat_drawer(layers, name, label, log)


def series(rows: Sequence[Row], name: str, *, log: bool) -> tuple[np.ndarray, ...]:
    """Return layer index, mean, low and high of a statistic where it exists and can be drawn.

    Args:
        log: also leave out what has no logarithm.
    """
    found = [
        (row.get("index", place), number.mean, number.low, number.high)
        for place, row in enumerate(rows, start=1)
        if (number := measured(row, name)) is not None
        and np.isfinite(number.mean)
        and (number.mean > 0 or not log)
    ]
    columns = np.array(found, dtype=float).reshape(-1, 4).T
    return tuple(columns)


def _curve(
    axis: Axes, rows: Sequence[Row], name: str, label: str, colour: str, *, scale: float = 1.0
) -> None:
    log = axis.get_yscale() == "log"
    x, mean, low, high = series(rows, name, log=log)
    if not x.size:
        return
    axis.plot(
        x,
        scale * mean,
        color=colour,
        marker=_MARKERS.get(colour, "^"),
        markersize=3.5,
        markevery=-(-x.size // _MOST_MARKERS),
        lw=1.6,
        label=label,
    )
    if log:
        # An interval that reaches zero has no lower edge on a log axis.
        low = np.where(low > 0, low, mean)
    if np.any(high > low):
        band = axis.fill_between(x, scale * low, scale * high, color=colour, alpha=0.25, lw=0)
        if name == "output_grad_norm":
            band.set_label(_("95 % interval"))


def _theory(axis: Axes, rows: Sequence[Row], name: str) -> None:
    x, mean, _low, _high = series(rows, name, log=axis.get_yscale() == "log")
    if x.size:
        axis.plot(x, mean, color="black", ls=(0, (4, 2)), lw=1.3, label=_("theory"))


def _norm_panel(axis: Axes, rows: Sequence[Row]) -> None:
    _by_layer(axis, rows, _("Backpropagated signal"), _("output gradient norm"))
    axis.set_yscale("log")
    _curve(axis, rows, "output_grad_norm", _("measured"), BLUE)
    _theory(axis, rows, "predicted_output_grad_norm")
    bounds = [row for row in rows if (n := measured(row, "output_grad_norm")) and n.upper_bound]
    x, mean, *_edges = series(bounds, "output_grad_norm", log=True)
    if x.size:
        axis.plot(x, mean, color=VERMILLION, marker="v", ls="", label=_("underflow: at most"))
    _mark_non_finite(axis, rows, "output_grad_norm")
    _finish_log(axis, finite_means(rows, "output_grad_norm", "predicted_output_grad_norm"))


def _finish_log(axis: Axes, values: Sequence[float]) -> None:
    """Give a log axis whole decades where it would span less than two, and its legend."""
    limits = log_axis(values)
    if limits is not None and limits.high - limits.low <= 2:
        axis.set_ylim(10.0**limits.low, 10.0**limits.high)
    _legend(axis)


def _mark_non_finite(axis: Axes, rows: Sequence[Row], name: str) -> None:
    """Mark layers whose statistic is NaN or infinite along the upper edge."""
    x = [
        row.get("index", place)
        for place, row in enumerate(rows, start=1)
        if (number := measured(row, name)) is not None and not np.isfinite(number.mean)
    ]
    if x:
        axis.plot(
            x,
            [0.98] * len(x),
            transform=axis.get_xaxis_transform(),
            color=VERMILLION,
            marker="x",
            ls="",
            label=_("NaN or infinite"),
        )


def _weight_panel(axis: Axes, rows: Sequence[Row]) -> None:
    _by_layer(axis, rows, _("Weight gradient"), _("weight gradient norm"))
    axis.set_yscale("log")
    _curve(axis, rows, "weight_grad_norm", _("gradient"), GREEN)
    _curve(axis, rows, "relative_grad", _("gradient / weight"), ORANGE)
    _curve(axis, rows, "update_ratio", _("update / weight"), PURPLE)
    _mark_non_finite(axis, rows, "weight_grad_norm")
    _finish_log(axis, finite_means(rows, "weight_grad_norm", "relative_grad", "update_ratio"))


def _saturation_panel(axis: Axes, rows: Sequence[Row]) -> None:
    _by_layer(axis, rows, _("Units that do not pass the gradient"), _("share of units (%)"))
    for name, label, colour in (
        ("saturated_fraction", _("saturated"), VERMILLION),
        ("off_fraction", _("off (half is normal)"), SKY),
        ("dead_fraction", _("dead"), "black"),
    ):
        _curve(axis, rows, name, label, colour, scale=100)
    axis.set_ylim(-3, 103)
    if not axis.lines:
        _say(axis, _("no saturating activation"))
    _legend(axis)


def _distribution_panel(
    axis: Axes, distributions: Sequence[Mapping[str, Any]], rows: Sequence[Row]
) -> None:
    """One vertical strip a layer, darkest at the layer's most frequent activation."""
    chosen = np.unique(
        np.linspace(0, len(distributions) - 1, min(_MOST_STRIPS, len(distributions))).round()
    ).astype(int)
    strips = [distributions[place] for place in chosen]
    known = {row["name"]: row.get("index", i) for i, row in enumerate(rows, start=1)}
    indices = [known.get(strip["name"], i + 1) for i, strip in zip(chosen, strips, strict=True)]
    borders = _borders(np.array(indices, dtype=float))
    extents = []
    for strip, left, right in zip(strips, borders[:-1], borders[1:], strict=True):
        density, edges = np.array(strip["density"], float), np.array(strip["edges"], float)
        peak = density.max(initial=0)
        if not (np.isfinite(edges).all() and peak > 0):
            continue
        axis.pcolormesh(
            [left, right],
            edges,
            density[:, None] / peak,
            cmap="Blues",
            vmin=0,
            vmax=1,
            rasterized=True,
        )
        extents.append(float(np.abs(edges).max()))
    if extents and max(extents) > _WIDE * min(extents):
        smallest = max(min(extents), 1e-12 * max(extents))
        axis.set_yscale("symlog", linthresh=smallest)
    _by_layer(axis, rows, _("Activations (each layer to its own peak)"), _("activation"))


def _borders(places: np.ndarray) -> np.ndarray:
    """Return the n + 1 edges halfway between n places, half a layer beyond the outer ones."""
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate([[places[0] - 0.5], middles, [places[-1] + 0.5]])


def _time_panel(axis: Axes, steps: Sequence[Row]) -> None:
    rows = [{**row, "index": row["step"]} for row in steps]
    axis.set_title(_("Backpropagated signal through time"))
    axis.set_xlabel(_("time step"))
    axis.set_ylabel(_("output gradient norm"))
    axis.set_yscale("log")
    axis.grid(alpha=0.25)
    _curve(axis, rows, "output_grad_norm", _("measured"), BLUE)
    _mark_non_finite(axis, rows, "output_grad_norm")
    _finish_log(axis, finite_means(rows, "output_grad_norm"))


def _loss_panel(axis: Axes, training: Mapping[str, Any]) -> None:
    axis.set_title(_("Training"))
    axis.set_xlabel(_("step"))
    axis.set_ylabel(_("loss"), color=BLUE)
    axis.grid(alpha=0.25)
    axis.plot(training["steps"], means(training["loss"]), color=BLUE, lw=1.6, label=_("loss"))
    accuracy = training.get("validation_accuracy") or {}
    if accuracy.get("values"):
        twin = axis.twinx()
        values = 100 * np.array(means(accuracy["values"]))
        twin.plot(accuracy["steps"], values, color=VERMILLION, marker="o", ls="--", markersize=3.5)
        twin.set_ylabel(_("validation accuracy (%)"), color=VERMILLION)
        twin.set_ylim(-3, 103)
        twin.spines["top"].set_visible(False)
    final = measured(training, "test_accuracy")
    if final is not None:
        text = _("Training: test accuracy {accuracy} %").format(accuracy=percent(final.mean))
        axis.set_title(text)


def _heat_drawer(layers: Mapping[str, Any], name: str, label: str, log: bool) -> Draw:
    return lambda axis: _heat_panel(axis, layers, name, label, log)


def _heat_panel(axis: Axes, layers: Mapping[str, Any], name: str, label: str, log: bool) -> None:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator

    table = np.array([means(np.nan if v is None else v for v in row) for row in layers[name]])
    table = table.T if log else 100 * table.T
    drawable = np.isfinite(table) & ((table > 0) | (not log))
    axis.set_title(label)
    axis.set_xlabel(_("step"))
    axis.set_ylabel(_("layer (input at the top)"))
    if not drawable.any():
        _say(axis, _("no finite value"))
        return
    limits = log_axis(table[drawable].tolist())
    if log and limits is not None:
        norm: Normalize = LogNorm(10.0**limits.low, 10.0**limits.high)
    else:
        norm = Normalize(0, max(1.0, float(table[drawable].max())))
    mesh = axis.pcolormesh(
        np.asarray(layers["steps"], dtype=float),
        np.arange(1, table.shape[0] + 1),
        np.ma.masked_array(table, ~drawable),
        norm=norm,
        cmap="cividis",
        shading="nearest",
        rasterized=True,
    )
    axis.invert_yaxis()
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.figure.colorbar(mesh, ax=axis)


def _by_layer(axis: Axes, rows: Sequence[Row], heading: str, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_title(heading)
    axis.set_xlabel(_("layer (input at the left)"))
    axis.set_ylabel(unit)
    axis.grid(alpha=0.25)
    axis.set_xlim(0.4, max(len(rows), 1) + 0.6)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _legend(axis: Axes) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8)


def _say(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="gray")
