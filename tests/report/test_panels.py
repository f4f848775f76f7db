"""Panels: what is described is what both libraries draw."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nndiag.report import canvas
from nndiag.report.page import charts
from nndiag.report.panels import Heat, Heights, Line, Panel, Strip

BAND = Line(x=[1, 10, 100], y=[1, 2, 3], low=[0.5, 1, 2], high=[2, 3, 4], name="band")
DOTS = Line(x=[0.5], y=[0.25], labels=["here"], dots=True, colour=1)
GRID = Heights(x=[0, 1], y=[0, 1, 2], z=[[0, 1], [0, 1], [0, 1]], border=0.5)


def test_matplotlib_draws_what_is_described() -> None:
    figure = canvas.figure(
        [
            Panel(title="first", lines=[BAND], log_x=True, x_name="x", y_name="y"),
            Panel(title="second", lines=[DOTS], heights=GRID),
            Panel(title="third", lines=[DOTS], ticks=["one", "two"]),
        ],
        "all",
    )
    titled = {axis.get_title(): axis for axis in figure.axes}
    first, second, third = titled["first"], titled["second"], titled["third"]
    np.testing.assert_array_equal(first.lines[0].get_ydata(), [1, 2, 3])
    assert (first.get_xscale(), first.get_xlabel()) == ("log", "x")
    assert [text.get_text() for text in first.get_xticklabels()] == ["1", "10", "100"]
    assert [text.get_text() for text in second.texts] == ["here"]
    assert second.get_xlim() == (0, 1)
    assert [text.get_text() for text in third.get_xticklabels()] == ["one", "two"]


def chart(panel: Panel) -> charts.Chart:
    (only,) = charts.charts(panel, "figure")
    return only


def test_plotly_draws_the_same_and_escapes_names() -> None:
    drawn = chart(Panel(title="<b>", lines=[BAND, DOTS], heights=GRID, ticks=["<i>"]))
    data, layout = drawn.drawing["data"], drawn.drawing["layout"]
    assert [trace["type"] for trace in data] == ["heatmap", "contour", *["scatter"] * 3]
    band, line, dots = data[2:]
    assert band["y"] == [2, 3, 4, 2, 1, 0.5]
    assert (line["x"], line["y"]) == ([1, 10, 100], [1, 2, 3])
    assert dots["text"] == ["here"]
    assert layout["xaxis"]["ticktext"] == ["&lt;i&gt;"]
    assert [(toggle.label, toggle.traces) for toggle in drawn.toggles] == [("band", [2, 3])]


def test_an_interval_lies_along_x_where_the_places_have_names() -> None:
    dots = Line(x=[3.0, 1.0], y=[1, 2], low=[2.0, 0.5], high=[5.0, 1.5], dots=True)
    panel = Panel(title="t", down=["one", "two"], lines=[dots])
    (axis,) = canvas.figure([panel]).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["one", "two"]
    np.testing.assert_array_equal(axis.collections[0].get_segments()[0], [[2, 1], [5, 1]])
    (trace,) = chart(panel).drawing["data"]
    assert trace["error_x"]["array"] == [2, 0.5]
    assert chart(panel).summary == "one 3.00; two 1.00."


def test_a_map_of_a_training_is_also_a_chart_with_a_slider() -> None:
    heat = Heat(
        steps=[0, 10, 20], names=["fc1", "fc2"], z=[[1, 2], [None, 4], [5, np.nan]], log=True
    )
    film, still = charts.charts(Panel(title="norm", heat=heat), "figure")
    assert film.steps == [0, 10, 20]
    assert film.drawing["film"] == [[[1, 2], [None, 4], [5, None]]]
    assert still.summary == film.summary == "2 layers over 20 steps; least 1.00, greatest 5.00."


def test_names_of_a_short_log_axis_do_not_overlap() -> None:
    rates = [0.00125 * 2**k for k in range(7)]
    panel = Panel(title="", log_x=True, lines=[Line(x=rates, y=[1.0] * 7)])
    drawn = canvas.figure([panel, panel])
    drawn.canvas.draw()
    names = [name for name in drawn.axes[0].get_xticklabels(which="both") if name.get_text()]
    boxes = sorted((name.get_window_extent() for name in names), key=lambda box: box.x0)
    assert len(boxes) >= 3
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_many_names_stand_beside_the_curves() -> None:
    def legend(count: int) -> bool:
        lines = [
            Line(name=str(place), x=[1, 2], y=[1.0, 2.0], colour=place) for place in range(count)
        ]
        drawn = canvas.figure([Panel(title="", lines=lines)])
        drawn.canvas.draw()
        axis = drawn.axes[0]
        return axis.get_legend().get_window_extent().x0 >= axis.get_window_extent().x1

    assert (legend(6), legend(10)) == (False, True)


def test_a_long_curve_keeps_its_spikes() -> None:
    y = np.zeros(50_000)
    y[31_415] = 9
    (trace,) = chart(Panel(title="t", lines=[Line(x=range(50_000), y=y)])).drawing["data"]
    shown = trace["y"]
    assert len(shown) < 1_500
    assert max(shown) == 9


def test_a_curve_that_is_off_at_first_is_left_out_of_an_image() -> None:
    panel = Panel(title="t", lines=[Line(x=[1], y=[1], name="on"), Line(x=[1], y=[1], shown=False)])
    (axis,) = canvas.figure([panel]).axes
    assert [line.get_label() for line in axis.lines] == ["on"]
    assert [trace["visible"] for trace in chart(panel).drawing["data"]] == [True, False]


def test_distributions_are_strips_or_curves() -> None:
    strip = Strip(name="fc1", index=1, edges=[0, 1, 2], density=[0.25, 0.75])
    panel = Panel(title="t", strips=[strip], x_name="layer", y_name="activation")
    (axis,) = canvas.figure([panel]).axes
    assert len(axis.collections) == 1
    (trace,) = chart(panel).drawing["data"]
    assert trace["x"] == [0.5, 1.5]
    assert trace["y"] == [0.25, 0.75]


def test_each_network_of_a_training_has_its_curve() -> None:
    heat = Heat(
        steps=[0, 10, 20],
        names=["fc1", "fc2"],
        z=[[1, 2], [3, 4], [5, 6]],
        members={"seed 0": [[0.5, 1], [4, 5]], "seed 1": [[1.5, 3], [6, 7]]},
        member_steps=[0, 20],
    )
    film, _still = charts.charts(Panel(title="norm", heat=heat), "figure")
    assert film.steps == [0, 20]
    assert film.drawing["film"] == [[[1, 2], [5, 6]], [[0.5, 1], [4, 5]], [[1.5, 3], [6, 7]]]
    assert [(t.label, t.traces) for t in film.toggles] == [
        ("mean of all", [0]),
        ("seed 0", [1]),
        ("seed 1", [2]),
    ]
    assert [trace["y"] for trace in film.drawing["data"]] == [[5, 6], [4, 5], [6, 7]]


def test_a_cloud_of_points_is_told_by_its_extent() -> None:
    cloud = Line(x=range(30), y=[2.0] * 29 + [5.0], name="one arm", dots=True)
    grid = Line(x=[0, 1], y=[0, 1])
    summary = chart(Panel(title="t", lines=[cloud, grid, grid])).summary
    assert summary == "one arm: 30 points, from 0 to 29.0 and from 2.00 to 5.00. 2 more curves."
