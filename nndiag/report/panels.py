"""Panels of lines, bands and height maps: described once, drawn by matplotlib or by plotly."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nndiag.locales import _
from nndiag.report.figures import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from nndiag.report.interactive import page
from nndiag.report.numbers import compact

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = "osDv^P"
_INCHES = (5.4, 3.9)
#: So few points on a log axis are its ticks.
_MOST_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve, or points.

    Attributes:
        low, high: edges of a 95 % interval, drawn as a band (as bars where there is no line).
        dashed: for theory and bounds.
        dots: points without a line.
        labels: a text beside each point.
        colour: place in COLOURS; None is black.
    """

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    dots: bool = False
    labels: Sequence[str] = ()
    colour: int | None = 0

    @property
    def drawable(self) -> Line:
        """The points that are finite, with edges that are."""
        y = np.asarray(self.y, dtype=float)
        kept = np.isfinite(y) & np.isfinite(np.asarray(self.x, dtype=float))
        if kept.all() and self.low is None:
            return self

        def edge(values: Sequence[float] | None) -> Any:
            if values is None:
                return None
            ends = np.asarray(values, dtype=float)
            return np.where(np.isfinite(ends), ends, y)[kept]

        return replace(
            self,
            x=np.asarray(self.x, dtype=float)[kept].tolist(),
            y=y[kept].tolist(),
            low=edge(self.low),
            high=edge(self.high),
            labels=[text for text, is_in in zip(self.labels, kept, strict=False) if is_in],
        )

    @property
    def paint(self) -> str:
        return "black" if self.colour is None else COLOURS[self.colour % len(COLOURS)]


@dataclass(frozen=True, kw_only=True)
class Heights:
    """A height over each point of a grid.

    Attributes:
        z: (rows of y, columns of x).
        border: z at this height is drawn as a line; None: evenly spaced contours.
    """

    x: Sequence[float]
    y: Sequence[float]
    z: Any
    border: float | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system and what is in it.

    Attributes:
        ticks: names of the places 1, 2, ... where x is not a quantity.
    """

    title: str
    lines: Sequence[Line]
    ticks: Sequence[str] = ()
    x_name: str = ""
    y_name: str = ""
    log_x: bool = False
    log_y: bool = False
    heights: Heights | None = None


def figure(panels: Sequence[Panel], heading: str = "") -> Figure:
    """Return the panels side by side, two a row."""
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    size = (_INCHES[0] * columns, _INCHES[1] * rows + 0.3)
    drawn = Figure(figsize=size, layout="constrained")
    if heading:
        drawn.suptitle(heading, fontsize=12)
    axes = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return drawn


def _draw(axis: Axes, panel: Panel) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(panel.title, fontsize=11)
    axis.set_xlabel(panel.x_name)
    axis.set_ylabel(panel.y_name)
    if panel.log_x:
        axis.set_xscale("log")
    if panel.log_y:
        axis.set_yscale("log")
    if panel.heights is None:
        axis.grid(alpha=0.25)
    else:
        _draw_heights(axis, panel.heights)
    for line in panel.lines:
        _draw_line(axis, line.drawable)
    _draw_ticks(axis, panel)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=panel.heights is not None, fontsize=8)


def _draw_ticks(axis: Axes, panel: Panel) -> None:
    places = sorted({float(x) for line in panel.lines for x in line.x})
    if panel.ticks:
        axis.set_xticks(range(1, len(panel.ticks) + 1), panel.ticks)
        axis.set_xlim(0.5, len(panel.ticks) + 0.5)
    elif panel.log_x and 0 < len(places) <= _MOST_TICKS:
        axis.set_xticks(places, [compact(place) for place in places])
        axis.minorticks_off()


def _draw_heights(axis: Axes, heights: Heights) -> None:
    z = np.asarray(heights.z, dtype=float)
    if heights.border is None:
        axis.contourf(heights.x, heights.y, z, levels=18, cmap="Greys", alpha=0.5)
        axis.contour(heights.x, heights.y, z, levels=18, colors="0.6", linewidths=0.4)
    else:
        mesh = axis.pcolormesh(
            heights.x, heights.y, z, cmap="cividis", shading="gouraud", rasterized=True
        )
        axis.figure.colorbar(mesh, ax=axis)
        if z.min() < heights.border < z.max():
            axis.contour(heights.x, heights.y, z, levels=[heights.border], colors="white")
    axis.set_xlim(min(heights.x), max(heights.x))
    axis.set_ylim(min(heights.y), max(heights.y))


def _draw_line(axis: Axes, line: Line) -> None:
    place = line.colour or 0
    marker = _MARKERS[place % len(_MARKERS)]
    few = len(line.x) <= 40 and not line.dashed
    axis.plot(
        line.x,
        line.y,
        color=line.paint,
        ls="" if line.dots else ((0, (4, 2)) if line.dashed else "-"),
        marker=marker if line.dots or few else "",
        ms=6 if line.dots else 3.5,
        lw=1.4,
        mec="white" if line.dots else None,
        label=line.name or None,
        zorder=3 if line.dots else 2,
    )
    if line.low is not None and line.high is not None:
        if line.dots:
            axis.vlines(line.x, line.low, line.high, color=line.paint, lw=1.2)
        else:
            axis.fill_between(line.x, line.low, line.high, color=line.paint, alpha=0.22, lw=0)
    for x, y, text in zip(line.x, line.y, line.labels, strict=False):
        axis.annotate(text, (x, y), (6, 4), textcoords="offset points", fontsize=9)


def figure_page(panels: Sequence[Panel], heading: str, said: Sequence[str]) -> str:
    """Return the panels as one self-contained page below the sentences."""
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)
    return page(heading, text, [_chart(panel) for panel in panels])


def _chart(panel: Panel) -> Any:
    import plotly.graph_objects as go

    chart = go.Figure()
    chart.update_layout(
        title=html.escape(panel.title),
        template="plotly_white",
        height=460,
        legend={"orientation": "h", "y": -0.2},
    )
    chart.update_xaxes(title=html.escape(panel.x_name), type="log" if panel.log_x else "linear")
    chart.update_yaxes(title=html.escape(panel.y_name), type="log" if panel.log_y else "linear")
    if panel.ticks:
        places = list(range(1, len(panel.ticks) + 1))
        names = [html.escape(name) for name in panel.ticks]
        chart.update_xaxes(tickvals=places, ticktext=names)
    if panel.heights is not None:
        _add_heights(chart, panel.heights)
    for line in panel.lines:
        _add_line(chart, line.drawable)
    return chart


def _add_heights(chart: Any, heights: Heights) -> None:
    z = np.asarray(heights.z, dtype=float)
    common = {"x": list(heights.x), "y": list(heights.y), "z": z.tolist()}
    if heights.border is None:
        chart.add_contour(**common, colorscale="Greys", showscale=False, ncontours=18)
        return
    chart.add_contour(
        **common, colorscale="Cividis", contours={"coloring": "heatmap"}, line_width=0
    )
    chart.add_contour(
        **common,
        contours={
            "coloring": "lines",
            "start": heights.border,
            "end": heights.border,
            "size": 1,
        },
        colorscale=[[0, "white"], [1, "white"]],
        showscale=False,
        name=_("boundary"),
    )


def _add_line(chart: Any, line: Line) -> None:
    x, y = [float(v) for v in line.x], [float(v) for v in line.y]
    bars = None
    if line.low is not None and line.high is not None:
        bars = {
            "type": "data",
            "symmetric": False,
            "array": (np.asarray(line.high, dtype=float) - np.asarray(y)).tolist(),
            "arrayminus": (np.asarray(y) - np.asarray(line.low, dtype=float)).tolist(),
        }
    chart.add_scatter(
        x=x,
        y=y,
        name=html.escape(line.name),
        showlegend=bool(line.name),
        mode=("markers" if line.dots else "lines") + ("+text" if line.labels else ""),
        text=[html.escape(text) for text in line.labels] or None,
        textposition="top center",
        line={"color": line.paint, "dash": "dash" if line.dashed else "solid"},
        marker={"color": line.paint, "size": 9},
        error_y=bars if bars is not None and len(x) <= 40 else None,
    )
