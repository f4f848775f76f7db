"""Charts in words, for readers who do not see them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nndiag.locales import _
from nndiag.report.numbers import compact, place
from nndiag.report.panels import Heat, Line, Panel

#: More curves than this are counted, not told.
_MOST_TOLD = 8


def of_any(panel: Panel) -> str:
    """Return what a panel shows, curves or a map of layers."""
    return of_panel(panel) if panel.heat is None else of_heat(panel.heat)


def of_panel(panel: Panel) -> str:
    """Return what a panel shows: its axes, then each curve from its first to its last point."""
    return " ".join(_sentences(panel))


def _sentences(panel: Panel) -> Iterator[str]:
    if panel.x_name and panel.y_name:
        text = _("{y} by {x}.") if not panel.log_y else _("{y} by {x}, on a logarithmic scale.")
        yield text.format(y=_capital(panel.y_name), x=panel.x_name)
    if panel.strips:
        yield _("Distributions of {count} layers.").format(count=len(panel.strips))
    if panel.heights is not None:
        z = np.asarray(panel.heights.z, dtype=float)
        text = _("A map of heights from {low} to {high}.")
        yield text.format(low=compact(float(np.nanmin(z))), high=compact(float(np.nanmax(z))))
    lines = [line.drawable for line in panel.lines]
    drawn = [line for line in lines if len(line.y)]
    # Of several, those without a name are a grid or another means of drawing.
    told = [line for line in drawn if line.name or len(drawn) == 1][:_MOST_TOLD]
    for line in told:
        yield _told(line, panel)
    if len(drawn) > len(told):
        yield _("{count} more curves.").format(count=len(drawn) - len(told))
    if not drawn and panel.note:
        yield _capital(panel.note) + "."


def _told(line: Line, panel: Panel) -> str:
    if line.dots and not (panel.down or panel.ticks) and len(line.y) > _MOST_TOLD:
        return _cloud(line)
    if panel.heights is not None:
        return _path(line)
    return _points(line, panel) if panel.down or panel.ticks or len(line.y) == 1 else _curve(line)


def _cloud(line: Line) -> str:
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    text = _("{name}: {count} points, from {left} to {right} and from {low} to {high}.")
    ends = {"left": x.min(), "right": x.max(), "low": y.min(), "high": y.max()}
    said = {name: compact(float(value)) for name, value in ends.items()}
    return text.format(name=line.name or _("points"), count=len(x), **said)


def _path(line: Line) -> str:
    """Tell where a path begins and ends, or where points are."""
    points = [
        f"({compact(float(x))}; {compact(float(y))})" for x, y in zip(line.x, line.y, strict=True)
    ]
    if line.dots:
        text = _("{name}: at {places}.")
        return text.format(name=line.name or _("points"), places=", ".join(points[:_MOST_TOLD]))
    text = _("{name}: from {start} to {end}.")
    return text.format(name=line.name or _("curve"), start=points[0], end=points[-1])


def _curve(line: Line) -> str:
    text = _("{name}: from {first} at {start} to {last} at {end}; least {low}, greatest {high}.")
    y = [float(value) for value in line.y]
    return text.format(
        name=line.name or _("curve"),
        first=compact(y[0]),
        start=place(float(line.x[0])),
        last=compact(y[-1]),
        end=place(float(line.x[-1])),
        low=compact(min(y)),
        high=compact(max(y)),
    )


def _points(line: Line, panel: Panel) -> str:
    """Tell the places by their names, the greatest value first."""
    names = panel.down or panel.ticks
    values, places = (line.x, line.y) if panel.down else (line.y, line.x)
    order = np.argsort(-np.asarray(values, dtype=float), kind="stable")[:_MOST_TOLD]
    parts = []
    for point in order:
        number = round(float(places[point]))
        name = names[number - 1] if 0 < number <= len(names) else place(float(places[point]))
        parts.append(f"{name} {compact(float(values[point]))}")
    text = "; ".join(parts) + ("; ..." if len(values) > _MOST_TOLD else ".")
    return _("{name}: {values}").format(name=line.name, values=text) if line.name else text


def of_heat(heat: Heat) -> str:
    """Return the size of a map, its range, and where it stands at its end."""
    table = heat.table
    if np.isnan(table).all():
        return _("no finite value")
    low, high = compact(float(np.nanmin(table))), compact(float(np.nanmax(table)))
    if heat.across:
        text = _("{rows} by {columns} values; least {low}, greatest {high}.")
        return text.format(rows=len(heat.names), columns=len(heat.across), low=low, high=high)
    text = _("{layers} layers over {steps} steps; least {low}, greatest {high}.")
    steps = place(float(heat.steps[-1]))
    said = text.format(layers=len(heat.names), steps=steps, low=low, high=high)
    ends = table[-1, 0], table[-1, -1]
    if all(np.isfinite(ends)):
        text = _("At the last step {first} in the first layer and {last} in the last.")
        said += " " + text.format(first=compact(float(ends[0])), last=compact(float(ends[1])))
    return said


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
