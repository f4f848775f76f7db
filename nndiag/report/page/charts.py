"""Panels as interactive charts: plotly's JSON, with what a page adds around it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nndiag.locales import _
from nndiag.report import style
from nndiag.report.numbers import place as place_text
from nndiag.report.page import describing
from nndiag.report.panels import Heat, Heights, Line, Panel, Strip

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: A page holds no more points of a curve, and no more steps of a map, than a screen can show.
_MOST_POINTS, _MOST_STEPS, _MOST_COLUMNS = 1200, 300, 150
_HEIGHT, _ROW_HEIGHT = 400, 18
_MOST_NAMES = 20
_DASHES = ("solid", "dashdot", "dot")
_MARKERS = ("circle", "square", "diamond", "triangle-down", "triangle-up", "cross")
#: A curve of so few points shows each of them, and a bar for each interval.
_FEW = 40


@dataclass(frozen=True, kw_only=True)
class Toggle:
    """A switch of some traces, which is the chart's legend as well."""

    label: str
    colour: str | None
    dashed: bool
    dots: bool
    traces: Sequence[int]
    shown: bool


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart and what stands around it.

    Attributes:
        anchor: identifier on the page.
        summary: what it shows, in words.
        height: in pixels, reserved before it is drawn.
        steps: steps that a slider goes through; empty: no slider.
        drawing: `data` and `layout` for plotly; for a slider also `film`, the y of each step.
    """

    anchor: str
    title: str
    summary: str
    height: int
    toggles: Sequence[Toggle]
    steps: Sequence[float]
    drawing: dict[str, Any]


def library() -> str:
    """Return plotly.js."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def charts(panel: Panel, anchor: str) -> Iterator[Chart]:
    """Yield the chart of a panel; of a map over steps also the curves that a slider moves."""
    if panel.heat is not None:
        if not np.isfinite(panel.heat.table).any():
            return
        if not panel.heat.across:
            yield _film(panel, panel.heat, f"{anchor}-steps")
        yield _map(panel, panel.heat, f"{anchor}-map")
    else:
        yield _chart(panel, anchor)


def _chart(panel: Panel, anchor: str) -> Chart:
    if panel.strips:  # here each layer is a curve
        panel = replace(panel, x_name=panel.y_name, y_name=_("density"), x_limits=None, whole=False)
    figure, toggles = _empty(panel), []
    if panel.ticks:
        names = [html.escape(name) for name in panel.ticks]
        figure.update_xaxes(tickvals=list(range(1, len(names) + 1)), ticktext=names)
    if panel.down:
        names = [html.escape(name) for name in panel.down]
        figure.update_yaxes(
            tickvals=list(range(1, len(names) + 1)), ticktext=names, range=[len(names) + 0.6, 0.4]
        )
    if panel.heights is not None:
        _add_heights(figure, panel.heights)
    if panel.usual is not None:
        low, high = panel.usual
        figure.add_hrect(
            y0=low,
            y1=high,
            fillcolor=style.GREEN,
            opacity=0.1,
            line_width=0,
            annotation_text=_("usual"),
            annotation_position="top left",
        )
    for line in [*panel.lines, *_densities(panel.strips)]:
        first = len(figure.data)
        _add_line(figure, _thinned(line.drawable), sideways=bool(panel.down))
        if line.name:
            toggles.append(_toggle(line, range(first, len(figure.data))))
    height = max(_HEIGHT, _ROW_HEIGHT * len(panel.down) + 100)
    return Chart(
        anchor=anchor,
        title=panel.title,
        summary=describing.of_panel(panel),
        height=height,
        toggles=toggles,
        steps=(),
        drawing=_drawing(figure),
    )


def _toggle(line: Line, traces: Sequence[int]) -> Toggle:
    return Toggle(
        label=line.name,
        colour=None if line.colour is None else style.colour(line.colour),
        dashed=line.dashed,
        dots=line.dots,
        traces=list(traces),
        shown=line.shown,
    )


def _empty(panel: Panel) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none", "showlegend": False, "hovermode": "closest"})
    figure.update_layout(margin={"l": 64, "r": 16, "t": 16, "b": 56}, autosize=True)
    figure.update_xaxes(
        title=html.escape(panel.x_name),
        type="log" if panel.log_x else "linear",
        automargin=True,
        zeroline=False,
        range=_range(panel.x_limits, panel.log_x),
    )
    figure.update_yaxes(
        title=html.escape(panel.y_name),
        type="log" if panel.log_y else "linear",
        exponentformat="power",
        automargin=True,
        zeroline=False,
        range=_range(panel.y_limits, panel.log_y),
    )
    return figure


def _range(limits: tuple[float, float] | None, log: bool) -> list[float] | None:
    if limits is None:
        return None
    return [float(np.log10(end)) if log else end for end in limits]


def _drawing(figure: Figure) -> dict[str, Any]:
    drawing = json.loads(figure.to_json())
    return {"data": drawing["data"], "layout": drawing["layout"]}


def _add_heights(figure: Figure, heights: Heights) -> None:
    common = {
        "x": list(heights.x),
        "y": list(heights.y),
        "z": _short(heights.z),
        "hoverinfo": "skip",
    }
    if heights.border is None:
        figure.add_contour(
            **common, colorscale=style.GROUND, showscale=False, ncontours=18, opacity=0.5
        )
        return
    figure.add_heatmap(**common, colorscale=style.HEAT, zsmooth="best")
    figure.add_contour(
        **common,
        contours={"coloring": "lines", "start": heights.border, "end": heights.border, "size": 1},
        colorscale=[[0, "white"], [1, "white"]],
        showscale=False,
        name=_("boundary"),
    )


def _densities(strips: Sequence[Strip]) -> Iterator[Line]:
    """Yield the distribution of some layers; the first, middle and last are on at first."""
    from nndiag.report.folding import shown_rows

    chosen = [strips[place] for place in shown_rows(len(strips))]
    for row, strip in enumerate(chosen):
        edges = np.asarray(strip.edges, dtype=float)
        yield Line(
            x=((edges[1:] + edges[:-1]) / 2).tolist(),
            y=strip.density,
            name=strip.name,
            colour=row,
            # All at once is a thicket.
            shown=row in {0, len(chosen) // 2, len(chosen) - 1},
        )


def _thinned(line: Line) -> Line:
    """Keep the least and the greatest value of each stretch of a long curve."""
    count = len(line.y)
    if count <= _MOST_POINTS:
        return line
    y = np.asarray(line.y, dtype=float)
    kept = {0, count - 1}
    for places in np.array_split(np.arange(count), _MOST_POINTS // 2):
        kept |= {int(places[y[places].argmin()]), int(places[y[places].argmax()])}
    return line.taken(np.array(sorted(kept)))


def _add_line(figure: Figure, line: Line, *, sideways: bool) -> None:
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    bars = None
    if line.low is not None and line.high is not None and len(x):
        low, high = np.asarray(line.low, dtype=float), np.asarray(line.high, dtype=float)
        if line.dots or len(x) == 1:
            bars = _bars(x if sideways else y, low, high)
        else:
            _add_band(figure, line, low, high)
    lined = "lines+markers" if len(x) <= _FEW and not line.dashed else "lines"
    said = "%{text}<br>" if line.points else ""
    colour = style.colour(line.colour)
    figure.add_scatter(
        x=x.tolist(),
        y=y.tolist(),
        name=html.escape(line.name),
        mode=("markers" if line.dots else lined) + ("+text" if line.labels else ""),
        text=[html.escape(text) for text in line.labels or line.points] or None,
        textposition="top center",
        textfont={"shadow": "auto"},  # readable on a map of any colour
        hovertemplate=f"{said}%{{x}}, %{{y:.4g}}<extra>{html.escape(line.name)}</extra>",
        line={
            "color": colour,
            "dash": "dash" if line.dashed else _DASHES[style.dash(line.colour)],
            "width": 2,
        },
        marker={
            "color": colour,
            "size": 8 if line.dots else 5,
            "symbol": _MARKERS[line.shape % len(_MARKERS)],
        },
        error_x=bars if sideways else None,
        error_y=None if sideways else bars,
        visible=line.shown,
        # The page gives it the colour of its text, light or dark.
        meta={"ink": True} if line.colour is None else None,
    )


def _bars(middle: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    return {
        "symmetric": False,
        "array": (high - middle).tolist(),
        "arrayminus": (middle - low).tolist(),
    }


def _add_band(figure: Figure, line: Line, low: np.ndarray, high: np.ndarray) -> None:
    if figure.layout.yaxis.type == "log":
        # An interval that reaches zero has no lower edge on a log axis.
        low = np.where(low > 0, low, line.y)
    figure.add_scatter(
        x=[*line.x, *line.x[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=style.colour(line.colour),
        opacity=style.BAND_ALPHA,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        visible=line.shown,
    )


def _short(table: Any) -> list[list[float | None]]:
    """Return a table with the digits that a screen can show."""
    rows = np.asarray(table, dtype=float).tolist()
    return [[float(f"{v:.4g}") if np.isfinite(v) else None for v in row] for row in rows]


def _evenly(count: int, most: int) -> np.ndarray:
    """Return at most so many places of `count`, evenly spaced, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round()).astype(int)


def _map(panel: Panel, heat: Heat, anchor: str) -> Chart:
    kept = _evenly(len(heat.steps), _MOST_COLUMNS)
    table = heat.table[kept].T
    with np.errstate(divide="ignore"):
        z = np.log10(table) if heat.log else table
    figure = _empty(panel)
    every = -(-len(heat.names) // _MOST_NAMES)
    names = [html.escape(name) for name in heat.names]
    figure.update_yaxes(
        autorange="reversed",
        tickvals=list(range(1, len(names) + 1, every)),
        ticktext=names[::every],
    )
    if heat.across:
        across = [html.escape(name) for name in heat.across]
        figure.update_xaxes(tickvals=list(heat.steps), ticktext=across)
    figure.add_heatmap(
        x=[heat.steps[place] for place in kept],
        y=list(range(1, len(heat.names) + 1)),
        z=_short(z),
        text=[[name] * len(kept) for name in names],
        colorscale=style.HEAT,
        colorbar={"title": {"text": "log10" if heat.log else ""}, "thickness": 14},
        hovertemplate="%{x}, %{text}: %{z:.3g}<extra></extra>",
    )
    return Chart(
        anchor=anchor,
        title=panel.title,
        summary=describing.of_heat(heat),
        height=_HEIGHT,
        toggles=(),
        steps=(),
        drawing=_drawing(figure),
    )


def _film(panel: Panel, heat: Heat, anchor: str) -> Chart:
    """Return the curves by layer at the last step, and what they are at the others."""
    kept = _evenly(len(heat.steps), _MOST_STEPS)
    tables = {"": heat.table[kept]}
    if heat.members:
        rows = _evenly(len(heat.member_steps), _MOST_STEPS)
        kept = np.searchsorted(heat.steps, [heat.member_steps[row] for row in rows])
        tables = {_("mean of all"): heat.table[kept]}
        tables |= {name: heat.drawable(z)[rows] for name, z in heat.members.items()}
    values = np.concatenate([table.ravel() for table in tables.values()])
    figure = _empty(
        Panel(title="", x_name=_("layer (input at the left)"), y_name=heat.unit, log_y=heat.log)
    )
    figure.update_yaxes(range=_ends(float(np.nanmin(values)), float(np.nanmax(values)), heat.log))
    layers, toggles = list(range(1, len(heat.names) + 1)), []
    for place, (name, table) in enumerate(tables.items()):
        line = Line(x=layers, y=table[-1].tolist(), name=name, points=heat.names, colour=place)
        _add_line(figure, line, sideways=False)
        if name:
            toggles.append(_toggle(line, [place]))
    steps = [heat.steps[row] for row in kept]
    return Chart(
        anchor=anchor,
        title=_("{title}, step by step").format(title=panel.title),
        summary=describing.of_heat(heat),
        height=_HEIGHT,
        toggles=toggles,
        steps=steps,
        drawing={
            **_drawing(figure),
            "film": [_short(table) for table in tables.values()],
            "steps": [place_text(step) for step in steps],
        },
    )


def _ends(low: float, high: float, log: bool) -> list[float]:
    """Return the ends of an axis that stays as it is at every step."""
    if log:
        return [float(np.floor(np.log10(low))), float(np.ceil(np.log10(high)))]
    return [min(0.0, low), 1.05 * max(high, 1e-9)]
