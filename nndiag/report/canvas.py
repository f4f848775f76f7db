"""Panels drawn by matplotlib (`Figure` itself, never pyplot: no global state, no window)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nndiag.locales import _, localised
from nndiag.report import style
from nndiag.report.bars import log_axis
from nndiag.report.numbers import place
from nndiag.report.panels import Heat, Heights, Line, Panel, Strip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: So few points on a log axis are its ticks.
_MOST_TICKS = 6
#: A log axis that spans less names 1, 2 and 5 of each decade; matplotlib's own would overlap.
_FEW_DECADES = 100
_MOST_NAMES = 16
#: A legend of more curves would hide what it stands on: a map, or other curves.
_MOST_ON_A_MAP, _MOST_ON_CURVES = 3, 8
_MOST_STRIPS = 60
_ROW_INCHES = 0.16
# Layers whose ranges differ by more than this factor need a logarithmic axis to be seen at all.
_WIDE = 100


def figure(panels: Sequence[Panel], heading: str = "") -> Figure:
    """Return the panels side by side, two a row."""
    from matplotlib.figure import Figure

    panels = panels or [Panel(title="", note=_("nothing to draw"))]
    rows = _rows(panels)
    heights = [max(_inches(panel) for panel in row) for row in rows]
    columns = max(map(len, rows))
    size = (style.PANEL_INCHES[0] * columns, sum(heights) + (0.5 if heading else 0.2))
    drawn = Figure(figsize=size, layout="constrained")
    if heading:
        drawn.suptitle(heading, fontsize=12)
    # A subfigure a row: a colour bar in one row does not push the others apart.
    parts = drawn.subfigures(len(rows), 1, squeeze=False, height_ratios=heights).ravel()
    for part, row in zip(parts, rows, strict=True):
        width = 1 if _is_tall(row[0]) else columns
        axes = part.subplots(1, width, squeeze=False).ravel()
        for axis, panel in zip(axes, row, strict=False):
            _draw(axis, panel)
        for axis in axes[len(row) :]:
            axis.remove()
    return drawn


def _rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Return two panels a row; a tall one has a row of its own."""
    rows: list[list[Panel]] = []
    for panel in panels:
        if rows and len(rows[-1]) == 1 and not (_is_tall(panel) or _is_tall(rows[-1][0])):
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def _is_tall(panel: Panel) -> bool:
    return _inches(panel) > 1.5 * style.PANEL_INCHES[1]


def _inches(panel: Panel) -> float:
    return max(style.PANEL_INCHES[1], _ROW_INCHES * len(panel.down) + 1.2)


def _draw(axis: Axes, panel: Panel) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(panel.title, fontsize=11)
    axis.set_xlabel(panel.x_name)
    axis.set_ylabel(panel.y_name)
    if panel.log_x:
        axis.set_xscale("log")
    if panel.log_y:
        axis.set_yscale("log")
    if panel.heights is not None:
        _draw_heights(axis, panel.heights)
    elif panel.heat is not None:
        _draw_heat(axis, panel.heat)
    else:
        axis.grid(alpha=style.GRID_ALPHA, axis="x" if panel.down else "both")
    if panel.usual is not None:
        axis.axhspan(*panel.usual, color=style.GREEN, alpha=0.08, lw=0, label=_("usual"))
    _draw_strips(axis, panel.strips)
    shown = [line for line in panel.lines if line.shown]
    for line in shown:
        _draw_line(axis, line.drawable, log_y=panel.log_y, sideways=bool(panel.down))
    _mark_lost(axis, shown)
    _finish(axis, panel)


def _finish(axis: Axes, panel: Panel) -> None:
    """Set ends, ticks and the legend."""
    from matplotlib.ticker import MaxNLocator

    _draw_ticks(axis, panel)
    if panel.whole:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    if panel.x_limits is not None:
        axis.set_xlim(*panel.x_limits)
    if panel.y_limits is not None:
        axis.set_ylim(*panel.y_limits)
    elif panel.log_y:
        _whole_decades(axis, panel.lines)
    if panel.note and not any(len(line.y) for line in panel.lines):
        axis.text(0.5, 0.5, panel.note, transform=axis.transAxes, ha="center", color="gray")
    named = len(axis.get_legend_handles_labels()[0])
    if named > (_MOST_ON_CURVES if panel.heights is None else _MOST_ON_A_MAP):
        axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    elif named:
        axis.legend(fontsize=8, frameon=panel.heights is not None)


def _whole_decades(axis: Axes, lines: Sequence[Line]) -> None:
    """Give a log axis whole decades where it would span less than two."""
    limits = log_axis(float(y) for line in lines for y in line.y)
    if limits is not None and limits.high - limits.low <= 2:
        axis.set_ylim(10.0**limits.low / 1.2, 1.2 * 10.0**limits.high)


def _draw_ticks(axis: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    places = sorted({float(x) for line in panel.lines for x in line.x})
    if panel.ticks:
        axis.set_xticks(range(1, len(panel.ticks) + 1), panel.ticks)
        axis.set_xlim(0.5, len(panel.ticks) + 0.5)
    elif panel.down:
        count = len(panel.down)
        axis.set_yticks(range(1, count + 1), panel.down, fontsize=7 if count > 20 else 9)
        axis.set_ylim(count + 0.6, 0.4)
    elif panel.log_x and 0 < len(places) <= _MOST_TICKS:
        axis.set_xticks(places, [place(x) for x in places])
        axis.minorticks_off()
    elif panel.log_x and places and places[-1] < _FEW_DECADES * places[0]:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _place: localised(f"{x:g}")))
        axis.xaxis.set_minor_formatter(NullFormatter())


def _draw_heights(axis: Axes, heights: Heights) -> None:
    z = np.asarray(heights.z, dtype=float)
    if heights.border is None:
        axis.contourf(heights.x, heights.y, z, levels=18, cmap=style.GROUND, alpha=0.5)
        axis.contour(heights.x, heights.y, z, levels=18, colors="0.6", linewidths=0.4)
    else:
        mesh = axis.pcolormesh(
            heights.x, heights.y, z, cmap=style.HEAT, shading="gouraud", rasterized=True
        )
        axis.figure.colorbar(mesh, ax=axis)
        if z.min() < heights.border < z.max():
            axis.contour(heights.x, heights.y, z, levels=[heights.border], colors="white")
    axis.set_xlim(min(heights.x), max(heights.x))
    axis.set_ylim(min(heights.y), max(heights.y))


def _draw_heat(axis: Axes, heat: Heat) -> None:
    from matplotlib.colors import LogNorm, Normalize

    table = heat.table.T
    if np.isnan(table).all():
        axis.text(0.5, 0.5, _("no finite value"), transform=axis.transAxes, ha="center")
        return
    limits = log_axis(table[np.isfinite(table)].tolist())
    if heat.log and limits is not None:
        norm: Normalize = LogNorm(10.0**limits.low, 10.0**limits.high)
    else:
        norm = Normalize(min(0.0, float(np.nanmin(table))), max(1e-9, float(np.nanmax(table))))
    mesh = axis.pcolormesh(
        np.asarray(heat.steps, dtype=float),
        np.arange(1, len(heat.names) + 1),
        np.ma.masked_invalid(table),
        norm=norm,
        cmap=style.HEAT,
        shading="nearest",
        rasterized=True,
    )
    every = -(-len(heat.names) // _MOST_NAMES)
    axis.set_yticks(
        range(1, len(heat.names) + 1, every),
        [name if len(name) <= 18 else ".." + name[-16:] for name in heat.names[::every]],
        fontsize=8,
    )
    if heat.across:
        axis.set_xticks(list(heat.steps), heat.across, fontsize=8)
    axis.invert_yaxis()
    axis.figure.colorbar(mesh, ax=axis)


def _draw_strips(axis: Axes, strips: Sequence[Strip]) -> None:
    """One vertical strip a layer, darkest at the layer's most frequent activation."""
    if not strips:
        return
    few = min(_MOST_STRIPS, len(strips))
    chosen = [strips[int(k)] for k in np.unique(np.linspace(0, len(strips) - 1, few).round())]
    borders = _borders(np.array([strip.index for strip in chosen], dtype=float))
    extents = []
    for strip, left, right in zip(chosen, borders[:-1], borders[1:], strict=True):
        density, edges = np.array(strip.density, float), np.array(strip.edges, float)
        peak = density.max(initial=0)
        if not (np.isfinite(edges).all() and peak > 0):
            continue
        axis.pcolormesh(
            [left, right],
            edges,
            density[:, None] / peak,
            cmap=style.DENSITY,
            vmin=0,
            vmax=1,
            rasterized=True,
        )
        extents.append(float(np.abs(edges).max()))
    if extents and max(extents) > _WIDE * min(extents):
        axis.set_yscale("symlog", linthresh=max(min(extents), 1e-12 * max(extents)))


def _borders(places: np.ndarray) -> np.ndarray:
    """Return the n + 1 edges halfway between n places, half a layer beyond the outer ones."""
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate([[places[0] - 0.5], middles, [places[-1] + 0.5]])


def _draw_line(axis: Axes, line: Line, *, log_y: bool, sideways: bool) -> None:
    from matplotlib.patheffects import Normal, Stroke

    if not len(line.y):
        return
    paint = style.colour(line.colour)
    marker = style.MARKERS[line.shape % len(style.MARKERS)]
    many = -(-len(line.x) // style.MOST_MARKERS)
    marked = line.dots or (not line.dashed and many <= 3)
    axis.plot(
        line.x,
        line.y,
        color=paint,
        ls="" if line.dots else _dash(line),
        marker=marker if marked else "",
        markevery=1 if line.dots else many,
        ms=6 if line.dots else 3.5,
        lw=1.5,
        mec="white" if line.dots else None,
        label=line.name or None,
        zorder=3 if line.dots else 2,
    )
    if line.low is not None and line.high is not None:
        low, high = np.asarray(line.low, float), np.asarray(line.high, float)
        if log_y and not sideways:
            # An interval that reaches zero has no lower edge on a log axis.
            low = np.where(low > 0, low, line.y)
        if line.dots and sideways:
            axis.hlines(line.y, low, high, color=paint, lw=1.2)
        elif line.dots:
            axis.vlines(line.x, low, high, color=paint, lw=1.2)
        elif np.any(high > low):
            axis.fill_between(line.x, low, high, color=paint, alpha=style.BAND_ALPHA, lw=0)
    for x, y, text in zip(line.x, line.y, line.labels, strict=False):
        label = axis.annotate(text, (x, y), (6, 4), textcoords="offset points", fontsize=9)
        label.set_path_effects([Stroke(linewidth=2.5, foreground="white"), Normal()])


def _dash(line: Line) -> object:
    return style.THEORY_DASH if line.dashed else style.DASHES[style.dash(line.colour)]


def _mark_lost(axis: Axes, lines: Sequence[Line]) -> None:
    """Mark the places of NaN and infinity along the upper edge."""
    x = sorted({place for line in lines for place in line.lost})
    if x:
        axis.plot(
            x,
            [0.98] * len(x),
            transform=axis.get_xaxis_transform(),
            color=style.VERMILLION,
            marker="x",
            ls="",
            label=_("NaN or infinite"),
        )
