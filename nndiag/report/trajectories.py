"""Tables and contour figures of optimizers' paths."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.glyphs import glyphs_for
from nndiag.report.interactive import page
from nndiag.report.numbers import compact, percent
from nndiag.report.prose import sentence
from nndiag.schema.result import Result
from nndiag.zoo.surfaces import SURFACES, Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
#: Okabe and Ito's palette, told apart by readers who are colour-blind.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = "os^Dv<>P"


def table(result: Result) -> RenderableType:
    """Return what `nndiag compare-optimizers --trajectory` prints."""
    return _Tables(result)


@dataclass(frozen=True)
class _Tables:
    result: Result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs, width = glyphs_for(options.ascii_only), options.max_width
        for name, rows in _by_surface(self.result.result["rows"]).items():
            surface = SURFACES[name]
            yield Text(f"{name} ({surface.reference})", style="bold")
            columns = fit(_columns(rows), width)
            yield from heading(columns)
            for place in range(len(rows)):
                yield body(columns, place)
            yield Text()
        for text in self.result.result["reading"]:
            yield from sentence(glyphs.text(text), width, bullet=f"{glyphs.dot} ")


def _by_surface(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["surface"], []).append(row)
    return {name: sorted(own, key=_rank) for name, own in found.items()}


def _rank(row: Row) -> tuple[float, float]:
    return (-row["reached"], row["steps"].mean if row["steps"] is not None else np.inf)


def _columns(rows: Sequence[Row]) -> list[Column]:
    def cells(text: Any) -> tuple[str, ...]:
        return tuple(text(row) for row in rows)

    return [
        Column(title=_("optimizer"), cells=cells(lambda row: row["label"]), left=True),
        Column(title=_("best lr"), cells=cells(lambda row: compact(row["best_lr"], 2))),
        Column(title=_("steps"), cells=cells(_steps)),
        Column(title=_("arrived"), cells=cells(lambda row: f"{percent(row['reached'])} %")),
        Column(
            title=_("to and fro"), cells=cells(lambda row: compact(row["reversals"].mean)), rank=1
        ),
        Column(title=_("detour"), cells=cells(lambda row: compact(row["detour"].mean)), rank=2),
        Column(
            title=_("rates that diverge"), cells=cells(lambda row: str(row["diverged"])), rank=3
        ),
    ]


def _steps(row: Row) -> str:
    steps = row["steps"]
    if steps is None:
        return "-"
    return f"{steps.mean:.0f} [{steps.low:.0f}, {steps.high:.0f}]"


def figure(result: Result) -> Figure:
    """Return a contour panel a surface, with one path an optimizer."""
    from matplotlib.figure import Figure

    groups = _by_surface(result.result["rows"])
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    drawn = Figure(figsize=(5.2 * columns, 4.6 * lines + 0.9), layout="constrained")
    axes = drawn.subplots(lines, columns, squeeze=False).ravel()
    names = list(dict.fromkeys(row["label"] for row in result.result["rows"]))
    for axis, (name, rows) in zip(axes, groups.items(), strict=False):
        _draw(axis, SURFACES[name], rows, names)
    for axis in axes[len(groups) :]:
        axis.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return drawn


def _grid(surface: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left, right, low, high = surface.window
    x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
    return x, y, np.asarray(surface.value(x, y))


def _draw(axis: Axes, surface: Surface, rows: Sequence[Row], names: Sequence[str]) -> None:
    x, y, z = _grid(surface)
    heights = z if not surface.minima else np.log10(z + 1e-3)
    axis.contourf(x, y, heights, levels=18, cmap="Greys", alpha=0.55)
    axis.contour(x, y, heights, levels=18, colors="0.6", linewidths=0.4)
    for row in sorted(rows, key=lambda row: names.index(row["label"])):
        place = names.index(row["label"])
        path = np.array(row["path"])
        axis.plot(
            path[:, 0],
            path[:, 1],
            color=_COLOURS[place % len(_COLOURS)],
            marker=_MARKERS[place % len(_MARKERS)],
            ls="-" if place < len(_COLOURS) else "--",
            ms=3,
            markevery=max(1, len(path) // 12),
            lw=1.3,
            label=row["label"],
        )
    for point in surface.minima:
        axis.plot(*point, marker="*", ms=13, color="white", mec="black", zorder=5)
    axis.plot(*surface.start, marker="X", ms=8, color="black", zorder=5)
    left, right, low, high = surface.window
    axis.set(xlim=(left, right), ylim=(low, high), title=surface.name, xlabel="x", ylabel="y")


def figure_page(result: Result) -> str:
    """Return the same as one self-contained page."""
    import plotly.graph_objects as go

    drawn = []
    for name, rows in _by_surface(result.result["rows"]).items():
        surface = SURFACES[name]
        x, y, z = _grid(surface)
        heights = z if not surface.minima else np.log10(z + 1e-3)
        parts: list[Any] = [
            go.Contour(x=x[0], y=y[:, 0], z=heights, showscale=False, colorscale="Greys")
        ]
        for row in rows:
            path = np.array(row["path"])
            parts.append(go.Scatter(x=path[:, 0], y=path[:, 1], name=row["label"], mode="lines"))
        left, right, low, high = surface.window
        chart = go.Figure(parts)
        chart.update_layout(
            title=f"{name} ({surface.reference})",
            xaxis_range=[left, right],
            yaxis_range=[low, high],
        )
        drawn.append(chart)
    text = "".join(f"<p>{html.escape(said)}</p>" for said in result.result["reading"])
    return page(_("Paths of optimizers"), text, drawn)
