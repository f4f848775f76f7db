"""What `nndiag boundary` prints and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nndiag.locales import _
from nndiag.report.glyphs import Glyphs
from nndiag.report.metrics import metric_interval
from nndiag.report.numbers import compact, count
from nndiag.report.panels import Heights, Line, Panel
from nndiag.report.principle_parts import Lines, View, column, table
from nndiag.schema.result import Interval, Result

_SHADES, _ASCII_SHADES = " ░▒▓█", " .:+#"
_SIGNS = "o*x+"
_STYLES = ("bold blue", "bold red", "bold green", "bold magenta")
#: Rows of a plane in the terminal, and columns between two planes.
_ROWS, _GAP = 17, 4
#: Points that are written into a plane, of those that are drawn.
_WRITTEN = 60


def boundary(result: Result) -> RenderableType:
    """Return what `nndiag boundary` prints."""
    return View(result, _parts)


def _parts(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    title = _("{data}: {width} units a layer, {steps} steps of Adam, {seeds} seeds [95 %]").format(
        data=found["data"],
        width=result.spec["width"],
        steps=count(result.spec["steps"]),
        seeds=result.spec["seeds"],
    )
    rows = found["rows"]
    columns = [
        column(_("network"), rows, lambda r: r["label"], left=True, shrinks_to=18),
        column(_("before %"), rows, lambda r: _share(r["accuracy_before"], glyphs)),
        column(_("after %"), rows, lambda r: _share(r["test_accuracy"], glyphs)),
        column(_("bent %"), rows, lambda r: _share(r["not_affine"], glyphs)),
        column(_("loss"), rows, lambda r: compact(r["test_loss"].mean), rank=1),
    ]
    yield table(title, columns, width, glyphs)
    yield _pair(found, width, glyphs)
    yield _layers(found, width, glyphs)


def _pair(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Lines:
    """Yield the plane after training, with activations and without, side by side."""
    drawn = found["drawn"]
    across = (width - _GAP) // 2
    pictures = [
        _picture(drawn, kind["planes"][-1], across, glyphs) for kind in drawn["kinds"].values()
    ]
    labels = [kind["label"] for kind in drawn["kinds"].values()]
    yield Text(_("After training, first seed: regions and points"), style="bold")
    yield Text((" " * _GAP).join(f"{label[:across]:<{across}}" for label in labels).rstrip())
    for left, right in zip(*pictures, strict=True):
        line = Text().append_text(left).append(" " * _GAP).append_text(right)
        line.rstrip()
        yield line
    signs = "  ".join(f"{_SIGNS[k]} {name}" for k, name in enumerate(found["classes"]))
    yield Text(signs, style="dim")


def _picture(
    drawn: Mapping[str, Any], plane: Sequence[Sequence[float]], width: int, glyphs: Glyphs
) -> list[Text]:
    shades = _ASCII_SHADES if glyphs.ascii_only else _SHADES
    down, across = len(plane), len(plane[0])

    def shade(row: int, column: int) -> str:
        value = plane[row * (down - 1) // (_ROWS - 1)][column * (across - 1) // (width - 1)]
        return shades[min(int(value * len(shades)), len(shades) - 1)]

    cells = [[(shade(row, k), "dim") for k in range(width)] for row in range(_ROWS)]
    pairs = list(zip(drawn["points"], drawn["labels"], strict=True))
    for (x, y), label in pairs[:_WRITTEN]:
        place = round(_within(y, drawn["y"]) * (_ROWS - 1))
        cells[place][round(_within(x, drawn["x"]) * (width - 1))] = (_SIGNS[label], _STYLES[label])
    return [Text.assemble(*row) for row in reversed(cells)]


def _within(value: float, grid: Sequence[float]) -> float:
    return min(max((value - grid[0]) / (grid[-1] - grid[0]), 0.0), 1.0)


def _layers(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Lines:
    layers = found["layers"]
    kinds = found["drawn"]["kinds"]
    title = _("Points that straight cuts of a layer's output get right [95 %]")
    columns = [
        column(_("after"), layers, lambda r: r["name"], left=True),
        column(
            kinds["activated"]["label"], layers, lambda r: _share(r["activated_straight"], glyphs)
        ),
        column(kinds["linear"]["label"], layers, lambda r: _share(r["linear_straight"], glyphs)),
    ]
    yield from table(title, columns, width, glyphs)
    yield Text()
    stages = found["stages"]
    words = [
        _("step {step}").format(step=count(stage["step"])) if stage["step"] else _("before")
        for stage in stages
    ]
    rows = [dict(stage, name=word) for stage, word in zip(stages, words, strict=True)]
    columns = [
        column(_("stage"), rows, lambda r: r["name"], left=True),
        column(
            kinds["activated"]["label"], rows, lambda r: _share(r["activated_accuracy"], glyphs)
        ),
        column(kinds["linear"]["label"], rows, lambda r: _share(r["linear_accuracy"], glyphs)),
    ]
    yield from table(_("Accuracy (%) before, during and after training"), columns, width, glyphs)


def panels(result: Result) -> Iterator[Panel]:
    """Yield the plane of each stage, then each layer, with activations and without."""
    found = result.result
    drawn = found["drawn"]
    kinds = list(drawn["kinds"].values())
    dots = _dots(drawn["points"], drawn["labels"], found["classes"])
    border = 0.5 if len(found["classes"]) == 2 else None
    for place, stage in enumerate(found["stages"]):
        for kind in kinds:
            yield Panel(
                title=_("{network}, step {step}").format(network=kind["label"], step=stage["step"]),
                lines=dots,
                heights=Heights(x=drawn["x"], y=drawn["y"], z=kind["planes"][place], border=border),
                x_name="x1",
                y_name="x2",
            )
    for layers in zip(*(kind["layers"] for kind in kinds), strict=True):
        for kind, layer in zip(kinds, layers, strict=True):
            text = _("{network}: after {layer}").format(network=kind["label"], layer=layer["name"])
            if layer["shown"] < 0.995:
                text += _(" ({share} % of the variance)").format(
                    share=f"{100 * layer['shown']:.0f}"
                )
            yield Panel(
                title=text,
                lines=[
                    *_lattice(layer),
                    *_dots(layer["points"], drawn["labels"], found["classes"]),
                ],
            )


def _share(number: Interval, glyphs: Glyphs) -> str:
    return metric_interval(number, "accuracy", glyphs.plus_minus)


def _lattice(layer: Mapping[str, Any]) -> Iterator[Line]:
    for line in layer["lines"]:
        x, y = zip(*line, strict=True)
        yield Line(x=x, y=y, dashed=True, colour=5)


def _dots(
    points: Sequence[Sequence[float]], labels: Sequence[int], classes: Sequence[str]
) -> list[Line]:
    found = []
    for place, name in enumerate(classes):
        own = [point for point, label in zip(points, labels, strict=True) if label == place]
        found.append(
            Line(
                x=[point[0] for point in own],
                y=[point[1] for point in own],
                name=name,
                dots=True,
                colour=place,
            )
        )
    return found


DRAWINGS = {"boundary": panels}
