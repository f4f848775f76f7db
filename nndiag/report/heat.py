"""A map of a metric over two axes: numbers on a ground that is the brighter the better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from nndiag.locales import _
from nndiag.report.glyphs import Glyphs
from nndiag.report.metrics import level_text, metric_title, metric_value
from nndiag.report.numbers import widest
from nndiag.report.principle_parts import Lines
from nndiag.report.prose import sentence

#: Text and ground from worst to best (five of the colour map cividis).
_STYLES = (
    "white on #00224e",
    "white on #434e6c",
    "white on #7d7c78",
    "black on #bcae6c",
    "black on #fee838",
)
_LEAST = 5

Cells = Sequence[Sequence[float | None]]


def heat_map(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Lines:
    """Yield the map; columns and rows change places where only that makes it fit."""
    heat, metric = found["heat"], found["metric"]
    x, y, cells = heat["x"], heat["y"], heat[metric]
    across, down = ([level_text(label) for label in heat[f"{name}_labels"]] for name in "xy")
    if _width(across, down) > width >= _width(down, across):
        x, y, across, down = y, x, down, across
        cells = list(zip(*cells, strict=True))
    margin = widest(down)
    size = max(_LEAST, min(widest(across), (width - margin) // len(across) - 1))
    title = _("{metric} by {y} (down) and {x} (across)").format(
        metric=metric_title(metric), x=x, y=y
    )
    yield from sentence(glyphs.text(title), width, style="bold")
    yield Text(" " * margin + "".join(f" {label[:size]:>{size}}" for label in across))
    styles = _styles(cells, higher_is_better=found["higher_is_better"])
    for label, values, grounds in zip(down, cells, styles, strict=True):
        line = Text(label.ljust(margin))
        for value, style in zip(values, grounds, strict=True):
            text = "-" if value is None else metric_value(value, metric)
            line.append(" ").append(text.rjust(size), style=style)
        yield line


def _width(across: Sequence[str], down: Sequence[str]) -> int:
    return widest(down) + len(across) * (1 + max(_LEAST, widest(across)))


def _styles(cells: Cells, *, higher_is_better: bool) -> list[list[str]]:
    known = [value for row in cells for value in row if value is not None and math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def style(value: float | None) -> str:
        if value is None:
            return ""
        if not math.isfinite(value):
            return _STYLES[0]
        share = (value - low) / (high - low) if low < high else 0.5
        place = int((share if higher_is_better else 1 - share) * len(_STYLES))
        return _STYLES[min(place, len(_STYLES) - 1)]

    return [[style(value) for value in row] for row in cells]
