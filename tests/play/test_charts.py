"""Charts and the picture of the plane, read back from what they are made of."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from nndiag.play import charts
from nndiag.report.style import BLUE, VERMILLION

VIEW: dict[str, Any] = {
    "step": 20,
    "loss": [[1, 2.3], [20, 0.5]],
    "accuracy": [[0, 0.1], [20, 0.75]],
    "layers": ["fc1", "fc2", "out"],
    "signal": [1e-3, 0.0, None],
    "saturated": [0.25, 0.5, None],
    "dead": [None, None, None],
    "predicted_signal": [2e-3, 1e-2, 1.0],
    "predicted_saturated": [0.2, 0.4],
    "plane": {"low": -2.0, "high": 2.0, "label": [[0, 1]] * 2, "confidence": [[1.0, 0.5]] * 2},
    "findings": [],
    "diverged": False,
}


def drawn(chart: dict[str, Any]) -> dict[str, list[list[Any]]]:
    return {series["name"]: series["data"] for series in chart["series"]}


def test_signal_and_theory_stand_on_a_logarithmic_axis() -> None:
    chart = charts.signal(VIEW)
    assert chart["yAxis"]["type"] == "log"
    assert drawn(chart) == {
        "measured": [[1, 1e-3], [2, 1e-45], [3, None]],
        "theory, before training": [[1, 2e-3], [2, 1e-2], [3, 1.0]],
    }
    assert chart["series"][1]["lineStyle"]["type"] == "dashed"


def test_only_what_layers_have_is_drawn() -> None:
    assert drawn(charts.flat(VIEW)) == {
        "saturated": [[1, 25.0], [2, 50.0], [3, None]],
        "theory, before training": [[1, 20.0], [2, 40.0], [3, None]],
    }
    assert list(drawn(charts.signal({**VIEW, "predicted_signal": []}))) == ["measured"]


def test_progress_has_an_axis_for_each_quantity() -> None:
    chart = charts.progress(VIEW)
    assert drawn(chart)["validation accuracy (%)"] == [[0, 10.0], [20, 75.0]]
    assert [axis["name"] for axis in chart["yAxis"]] == ["training loss", "%"]


def test_the_plane_is_pale_where_the_network_is_unsure() -> None:
    address = charts.plane(VIEW)
    image = Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))
    pixels = np.asarray(image.convert("RGB"), dtype=int)
    blue = np.array([int(BLUE[place : place + 2], 16) for place in (1, 3, 5)])
    assert np.abs(pixels[5, 5] - (0.25 * 255 + 0.75 * blue)).max() <= 1
    assert (pixels[5, -5] == 255).all()


def test_points_lie_where_the_plane_has_them() -> None:
    drawn = charts.points({"x": [[-2.0, 2.0], [0.0, 0.0]], "y": [0, 1]}, 2.0)
    assert f'cx="0.0" cy="0.0" r="2.4" fill="{BLUE}"' in drawn
    assert f'cx="192.0" cy="192.0" r="2.4" fill="{VERMILLION}"' in drawn
