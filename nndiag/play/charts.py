"""What the playground draws: options of its charts and the picture of the plane, from a view."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from nndiag.locales import _
from nndiag.report.style import BLUE, COLOURS, GREEN, PURPLE, VERMILLION

#: Grey that can be read on white and on black.
_INK = "#767676"
_SIDE = 384  # pixels of the plane's picture
_SMALLEST = 1e-45  # what underflows has no place on a logarithmic axis

View = Mapping[str, Any]
Options = dict[str, Any]


def signal(view: View) -> Options:
    """Return the chart of the gradient signal by layer, theory dashed."""
    layers = range(1, len(view["layers"]) + 1)
    series = [
        _line(
            _("measured"), zip(layers, map(_positive, view["signal"]), strict=True), BLUE, dots=True
        )
    ]
    if view["predicted_signal"]:
        predicted = map(_positive, view["predicted_signal"])
        theory = _("theory, before training")
        series.append(_line(theory, zip(layers, predicted, strict=True), VERMILLION, dashed=True))
    return _chart(_("layer"), _("gradient of the layer's output"), series, log=True)


def flat(view: View) -> Options:
    """Return the chart of saturated and dead units by layer, in percent."""
    layers = range(1, len(view["layers"]) + 1)
    series = []
    for name, values, colour in (
        (_("saturated"), view["saturated"], BLUE),
        (_("dead"), view["dead"], PURPLE),
    ):
        if any(value is not None for value in values):
            series.append(
                _line(name, zip(layers, _percent(values), strict=True), colour, dots=True)
            )
    if any(value is not None for value in view["predicted_saturated"]):
        predicted = [*_percent(view["predicted_saturated"]), None][: len(view["layers"])]
        points = list(zip(layers, predicted, strict=False))
        theory = _("theory, before training")
        series.append(_line(theory, points, VERMILLION, dashed=True))
    return _chart(_("layer"), "%", series, top=100)


def progress(view: View) -> Options:
    """Return the chart of training loss and validation accuracy over the steps."""
    chart = _chart(
        _("step"),
        _("training loss"),
        [
            _line(_("training loss"), view["loss"], BLUE),
            {
                **_line(_("validation accuracy (%)"), _scaled(view["accuracy"]), GREEN),
                "yAxisIndex": 1,
            },
        ],
    )
    right = {**chart["yAxis"], "name": "%", "min": 0, "max": 100, "splitLine": {"show": False}}
    return {**chart, "yAxis": [chart["yAxis"], right]}


def plane(view: View) -> str:
    """Return the plane coloured by what the network answers, paler where it is less sure.

    Returns:
        A data address of a PNG, SIDE pixels square.
    """
    found = view["plane"]
    labels = np.array(found["label"])
    classes = max(2, int(labels.max()) + 1)
    sure = (np.array(found["confidence"]) - 1 / classes) / (1 - 1 / classes)
    colours = np.array([_rgb(COLOURS[place % len(COLOURS)]) for place in range(classes)])
    strength = 0.75 * np.clip(sure, 0, 1)[..., None]
    pixels = 255 * (1 - strength) + colours[labels] * strength
    image = Image.fromarray(pixels[::-1].astype(np.uint8))  # rows of an image go down
    return _address(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))


def points(given: Mapping[str, Any], reach: float) -> str:
    """Return the training points as SVG over the picture of `plane`."""
    drawn = []
    for (x, y), label in zip(given["x"], given["y"], strict=True):
        left, top = (1 + x / reach) * _SIDE / 2, (1 - y / reach) * _SIDE / 2
        colour = COLOURS[label % len(COLOURS)]
        drawn.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="2.4" fill="{colour}" '
            'stroke="white" stroke-width="0.6"/>'
        )
    return "".join(drawn)


def blank() -> str:
    """Return an empty plane."""
    return _address(Image.new("RGB", (_SIDE, _SIDE), "white"))


def _address(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _positive(value: float | None) -> float | None:
    return None if value is None else max(value, _SMALLEST)


def _percent(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else 100 * value for value in values]


def _scaled(curve: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[step, 100 * value] for step, value in curve]


def _line(
    name: str, data: Any, colour: str, *, dots: bool = False, dashed: bool = False
) -> Options:
    return {
        "type": "line",
        "name": name,
        "data": [list(point) for point in data],
        "showSymbol": dots,
        "symbolSize": 5,
        "lineStyle": {"color": colour, "type": "dashed" if dashed else "solid"},
        "itemStyle": {"color": colour},
    }


def _chart(
    x: str, y: str, series: list[Options], *, log: bool = False, top: float | None = None
) -> Options:
    axis = {"nameTextStyle": {"color": _INK}, "axisLabel": {"color": _INK}}
    value: Options = {"type": "log" if log else "value", "name": y, **axis}
    if top is not None:
        value |= {"min": 0, "max": top}
    return {
        "animation": False,
        "grid": {"left": 64, "right": 48, "top": 56, "bottom": 44},
        "legend": {"top": 0, "textStyle": {"color": _INK}},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "value",
            "name": x,
            "nameLocation": "middle",
            "nameGap": 26,
            "minInterval": 1,
            "min": "dataMin",
            "max": "dataMax",
            **axis,
        },
        "yAxis": value,
        "series": series,
    }
