"""Panels: what is described is what both libraries draw."""

from __future__ import annotations

import numpy as np

from nndiag.report import panels
from nndiag.report.panels import Heights, Line, Panel

BAND = Line(x=[1, 10, 100], y=[1, 2, 3], low=[0.5, 1, 2], high=[2, 3, 4], name="band")
DOTS = Line(x=[0.5], y=[0.25], labels=["here"], dots=True, colour=1)
GRID = Heights(x=[0, 1], y=[0, 1, 2], z=[[0, 1], [0, 1], [0, 1]], border=0.5)


def test_matplotlib_draws_what_is_described() -> None:
    figure = panels.figure(
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
    assert [text.get_text() for text in first.get_xticklabels()] == ["1.00", "10.0", "100"]
    assert [text.get_text() for text in second.texts] == ["here"]
    assert second.get_xlim() == (0, 1)
    assert [text.get_text() for text in third.get_xticklabels()] == ["one", "two"]


def test_plotly_draws_the_same_and_escapes_names() -> None:
    chart = panels._chart(Panel(title="<b>", lines=[BAND, DOTS], heights=GRID, ticks=["<i>"]))
    kinds = [trace.type for trace in chart.data]
    assert kinds == ["contour", "contour", "scatter", "scatter"]
    assert chart.data[2].error_y.array == (1.0, 1.0, 1.0)
    assert chart.layout.title.text == "&lt;b&gt;"
    assert chart.layout.xaxis.ticktext == ("&lt;i&gt;",)
    page = panels.figure_page([Panel(title="x", lines=[DOTS])], "head", ["a < b"])
    assert "<p>a &lt; b</p>" in page
    assert page.count("<html") == 1
