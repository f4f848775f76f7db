"""The figure of `nndiag diagnose`: loss, rate, gradients by layer, size of the updates."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nndiag.locales import _
from nndiag.report.interactive import page
from nndiag.schema.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"
_COLOURS = (_BLUE, _GREEN, "#CC79A7", "#56B4E9")


def diagnose(result: Result) -> Figure:
    """Return four panels: loss with evaluations, rate, gradient norms by layer, updates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    figure.suptitle(_title(result), fontsize=12)
    loss, rate, norms, updates = figure.subplots(2, 2).ravel()
    numbers = result.result
    _draw_loss(loss, numbers)
    _draw_series(rate, numbers, "lr", _("learning rate"))
    _draw_norms(norms, numbers)
    _draw_series(updates, numbers, "update_ratio", _("norm of a step / norm of the weights"))
    updates.axhspan(1e-4, 1e-1, color=_GREEN, alpha=0.08, lw=0)
    for axis in (loss, rate, updates):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel(_("optimizer step"))
    return figure


def _title(result: Result) -> str:
    serious = [f.symptom.value for f in result.findings if f.severity.value != "info"]
    said = ", ".join(serious[:3]) or _("no finding of severity warning or more")
    return f"{result.spec.get('script', '')}: {said}".strip(": ")


def _draw_loss(axis: Axes, numbers: Mapping[str, Any]) -> None:
    several = len(numbers["optimizers"]) > 1
    lowest, highest = np.inf, 0.0
    for place, one in enumerate(numbers["optimizers"]):
        values = np.array(one["loss"]["values"], float)
        if not values.size:
            continue
        label = one["kind"] if several else _("training")
        axis.plot(one["loss"]["steps"], values, color=_COLOURS[place % 4], lw=1, label=label)
        finite = values[np.isfinite(values)]
        if finite.size:
            lowest, highest = min(lowest, finite.min()), max(highest, finite.max())
    known = [e for e in numbers["evaluations"] if np.isfinite(e["loss"]) and not e["seen"] > 0.5]
    if known:
        axis.plot(
            [e["step"] for e in known],
            [e["loss"] for e in known],
            color=_ORANGE,
            marker="s",
            ms=4,
            label=_("evaluation"),
        )
    axis.set_title(_("Loss"))
    if 0 < 10 * lowest < highest:
        axis.set_yscale("log")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)


def _draw_series(axis: Axes, numbers: Mapping[str, Any], name: str, title: str) -> None:
    for place, one in enumerate(numbers["optimizers"]):
        values = np.array(one[name]["values"], float)
        if values.size:
            label = f"{one['kind']} {place + 1}" if len(numbers["optimizers"]) > 1 else None
            axis.plot(one[name]["steps"], values, color=_COLOURS[place % 4], lw=1, label=label)
            if (values[np.isfinite(values)] > 0).any():
                axis.set_yscale("log")
    axis.set_title(title)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)


def _draw_norms(axis: Axes, numbers: Mapping[str, Any]) -> None:
    from matplotlib.colors import LogNorm

    axis.set_title(_("output gradient norm by layer"))
    axis.set_xlabel(_("optimizer step"))
    model = next((m for m in numbers["models"] if m["output_grad_norm"]), None)
    if model is None:
        axis.set_axis_off()
        return
    table = np.array(model["output_grad_norm"], float)
    table = np.where(np.isfinite(table) & (table > 0), table, np.nan)
    steps = np.array(model["steps"], float)
    names = [layer["name"] for layer in model["layers"]]
    if len(steps) < 2 or np.isnan(table).all():
        axis.set_axis_off()
        return
    low, high = np.nanmin(table), np.nanmax(table)
    mesh = axis.pcolormesh(
        steps,
        np.arange(len(table)),
        table,
        norm=LogNorm(low, max(high, low * 1.001)),
        cmap="viridis",
        shading="nearest",
    )
    axis.invert_yaxis()
    every = max(1, len(names) // 12)
    axis.set_yticks(range(0, len(names), every), names[::every], fontsize=8)
    axis.figure.colorbar(mesh, ax=axis)


def diagnose_page(result: Result) -> str:
    """Return the same as one self-contained page, the findings above the figures."""
    parts = [f"<h2>{html.escape(_title(result))}</h2>"]
    for finding in result.findings:
        fixes = "".join(f"<li>{html.escape(fix)}</li>" for fix in finding.fixes)
        parts.append(
            f"<h3>{html.escape(finding.severity.value)}: {html.escape(finding.symptom.value)}</h3>"
            f"<p>{html.escape(finding.cause)}</p><ul>{fixes}</ul>"
        )
    return page(_title(result), "\n".join(parts), _plotly(result.result))


def _plotly(numbers: Mapping[str, Any]) -> Iterator[Any]:
    import plotly.graph_objects as go

    for name, title in (
        ("loss", _("Loss")),
        ("lr", _("learning rate")),
        ("update_ratio", _("norm of a step / norm of the weights")),
    ):
        lines = [
            go.Scatter(x=one[name]["steps"], y=one[name]["values"], name=one["kind"], mode="lines")
            for one in numbers["optimizers"]
            if one[name]["values"]
        ]
        figure = go.Figure(lines)
        figure.update_layout(title=title, xaxis_title=_("optimizer step"), template="plotly_white")
        figure.update_yaxes(type="log" if name != "loss" else "linear")
        yield figure
    for model in numbers["models"]:
        if model["output_grad_norm"]:
            table = np.array(model["output_grad_norm"], float)
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.where(table > 0, np.log10(table), np.nan)
            heat = go.Heatmap(
                x=model["steps"], y=[layer["name"] for layer in model["layers"]], z=logs
            )
            figure = go.Figure(heat)
            title = _("{name}: output gradient norm by layer (log10)").format(name=model["name"])
            figure.update_layout(title=title, yaxis_autorange="reversed", template="plotly_white")
            yield figure
