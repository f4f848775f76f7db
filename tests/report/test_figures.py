from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nndiag.report import canvas, drawings
from nndiag.schema.result import Interval, Result

Maker = Callable[..., Result]


def draw(result: Result) -> Figure:
    return canvas.figure(drawings.panels(result), drawings.title(result))


def panel(figure: Figure, title: str) -> Axes:
    return next(axis for axis in figure.get_axes() if axis.get_title().startswith(title))


def curve(axis: Axes, label: str) -> tuple[Any, Any]:
    line = next(line for line in axis.lines if line.get_label() == label)
    return line.get_data()


def test_the_curves_are_the_numbers_of_the_result(make_result: Maker) -> None:
    result = make_result()
    axis = panel(draw(result), "Backpropagated signal")
    rows = result.result["layers"]
    x, y = curve(axis, "measured, 95 % interval")
    assert list(x) == list(range(1, 21))
    assert list(y) == [row["output_grad_norm"].mean for row in rows]
    assert list(curve(axis, "theory")[1]) == [
        row["predicted_output_grad_norm"].mean for row in rows
    ]
    assert axis.get_yscale() == "log"
    (band,) = axis.collections
    heights = band.get_paths()[0].vertices[:, 1]
    edges = [e for row in rows for e in (row["output_grad_norm"].low, row["output_grad_norm"].high)]
    assert set(edges) <= set(heights)


def test_weights_and_shares(make_result: Maker) -> None:
    result = make_result(act="ReLU()", trained=True)
    figure, rows = draw(result), result.result["layers"]
    weights = panel(figure, "Weight gradient")
    assert list(curve(weights, "gradient")[1]) == [row["weight_grad_norm"].mean for row in rows]
    assert list(curve(weights, "update / weight")[1]) == [row["update_ratio"].mean for row in rows]
    shares = panel(figure, "Units that")
    x, y = curve(shares, "off (half is normal)")
    # The output layer has no activation: it is missing, not zero.
    assert list(x) == list(range(1, 20))
    np.testing.assert_allclose(y, [100 * row["off_fraction"].mean for row in rows[:-1]])


def test_every_panel_names_its_axes(make_result: Maker) -> None:
    figure = draw(make_result(trained=True, time_steps=12))
    panels = [axis for axis in figure.get_axes() if axis.get_title()]
    assert len(panels) == 10
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in panels)
    assert (
        figure.get_suptitle() == "mlp · depth 20, width 128 · sigmoid · xavier_uniform · 10 seeds"
    )


def test_training_over_time(make_result: Maker) -> None:
    result = make_result(trained=True)
    figure, training = draw(result), result.result["training"]
    (loss,) = panel(figure, "Training").lines
    assert list(loss.get_ydata()) == training["loss"]
    assert panel(figure, "Validation accuracy (test: 84 %)").lines
    heat = panel(figure, "Output gradient norm while training").collections[0]
    np.testing.assert_array_equal(
        heat.get_array().reshape(20, 40), np.array(training["layers"]["output_grad_norm"]).T
    )


def test_recurrent_networks_have_their_gradient_by_time_step(make_result: Maker) -> None:
    result = make_result(time_steps=12)
    axis = panel(draw(result), "Backpropagated signal through time")
    x, y = curve(axis, "measured, 95 % interval")
    assert list(x) == list(range(1, 13))
    assert list(y) == [row["output_grad_norm"].mean for row in result.result["time_steps"]]


def test_what_has_no_logarithm_is_marked_not_dropped(make_result: Maker) -> None:
    result = make_result()
    rows = result.result["layers"]
    rows[0]["output_grad_norm"] = Interval(math.nan, math.nan, math.nan)
    rows[1]["output_grad_norm"] = Interval(0.0, 0.0, 0.0)
    rows[2]["output_grad_norm"] = Interval(1e-45, 0.0, 1e-45, True)
    axis = panel(draw(result), "Backpropagated signal")
    assert list(curve(axis, "NaN or infinite")[0]) == [1]
    assert list(curve(axis, "underflow: at most")[0]) == [3]
    assert list(curve(axis, "measured, 95 % interval")[0]) == list(range(3, 21))


def test_all_values_lost_still_draws(make_result: Maker) -> None:
    result = make_result(trained=True)
    nan = Interval(math.nan, math.nan, math.nan)
    for row in result.result["layers"]:
        row.update(output_grad_norm=nan, weight_grad_norm=nan)
    layers = result.result["training"]["layers"]
    layers["output_grad_norm"] = [[math.nan] * 20 for _ in layers["steps"]]
    for strip in result.result["distributions"]:
        strip["density"] = [math.nan] * len(strip["density"])
    figure = draw(result)
    figure.canvas.draw()
    assert list(curve(panel(figure, "Backprop"), "NaN or infinite")[0]) == list(range(1, 21))


@pytest.mark.parametrize("depth", [1, 2, 1000])
def test_any_depth_draws(depth: int, make_result: Maker) -> None:
    figure = draw(make_result(depth=depth, factor=0.97))
    figure.canvas.draw()
    x, _y = curve(panel(figure, "Backpropagated signal"), "measured, 95 % interval")
    assert len(x) == depth


def test_activation_ranges_that_differ_wildly_get_a_log_axis(make_result: Maker) -> None:
    result = make_result()
    axis = panel(draw(result), "Activations")
    assert axis.get_yscale() == "linear"
    for place, strip in enumerate(result.result["distributions"]):
        strip["edges"] = [edge * 10.0**place for edge in strip["edges"]]
    axis = panel(draw(result), "Activations")
    assert axis.get_yscale() == "symlog"


def test_missing_parts_have_no_panel(make_result: Maker) -> None:
    result = make_result()
    numbers = {name: result.result[name] for name in ("layers", "network")}
    figure = draw(Result(**{**vars(result), "result": numbers}))
    titles = [axis.get_title() for axis in figure.get_axes() if axis.get_visible()]
    assert titles == [
        "Backpropagated signal",
        "Weight gradient",
        "Units that do not pass the gradient",
    ]
