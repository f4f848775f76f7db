"""Tables and contour maps of optimizers' paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.glyphs import glyphs_for
from nndiag.report.numbers import compact, percent
from nndiag.report.panels import Heights, Line, Panel
from nndiag.report.prose import sentence
from nndiag.schema.result import Result
from nndiag.zoo.surfaces import SURFACES, Surface

Row = Mapping[str, Any]


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


def panels(result: Result) -> Iterator[Panel]:
    """Yield a map a surface, with one path an optimizer."""
    names = list(dict.fromkeys(row["label"] for row in result.result["rows"]))
    for name, rows in _by_surface(result.result["rows"]).items():
        surface = SURFACES[name]
        left, right, low, high = surface.window
        x, y, z = _grid(surface)
        places = {row["label"]: names.index(row["label"]) for row in rows}
        paths = [
            _path(row, places[row["label"]])
            for row in sorted(rows, key=lambda row: places[row["label"]])
        ]
        points = [((surface.start,), _("start"), 1), (surface.minima, _("minimum"), 3)]
        marks = [
            Line(
                x=[float(point[0]) for point in marked],
                y=[float(point[1]) for point in marked],
                name=label,
                dots=True,
                colour=None,
                marker=marker,
            )
            for marked, label, marker in points
            if len(marked)
        ]
        yield Panel(
            title=f"{name} ({surface.reference})",
            x_name="x",
            y_name="y",
            lines=[*paths, *marks],
            heights=Heights(
                x=x.tolist(), y=y.tolist(), z=z if not surface.minima else np.log10(z + 1e-3)
            ),
            x_limits=(left, right),
            y_limits=(low, high),
        )


def _path(row: Row, place: int) -> Line:
    path = np.array(row["path"], dtype=float)
    return Line(x=path[:, 0].tolist(), y=path[:, 1].tolist(), name=row["label"], colour=place)


def _grid(surface: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left, right, low, high = surface.window
    across, up = np.linspace(left, right, 120), np.linspace(low, high, 120)
    return across, up, np.asarray(surface.value(*np.meshgrid(across, up)))
