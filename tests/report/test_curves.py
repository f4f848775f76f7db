from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.report.curves import Curve, Plot


def lines(plot: Plot, width: int = 40, *, ascii_only: bool = False) -> list[str]:
    return [line.plain for line in plot.lines(width, ascii_only=ascii_only)]


def test_axis_labels_are_the_range() -> None:
    text = lines(Plot(curves=[Curve("", [0, 200], [2.0, 0.5])], height=5, x_name="step"))
    assert text[0].startswith(" 2.00 │")
    assert text[2].startswith(" 1.25 │")
    assert text[4].startswith("0.500 │")
    assert text[5].split() == ["0", "step", "200"]


def test_a_log_axis_has_the_geometric_middle() -> None:
    text = lines(Plot(curves=[Curve("", [0, 1], [1e-8, 1.0])], height=5, log=True))
    assert [line.split("│")[0].strip() for line in text[:5]] == [
        "1.00",
        "",
        "1.00e-4",
        "",
        "1.00e-8",
    ]


def test_a_falling_line_runs_from_top_left_to_bottom_right() -> None:
    plot = Plot(curves=[Curve("", [0, 1], [1.0, 0.0])], height=4)
    rows = [line.split("|", 1)[1] for line in lines(plot, 30, ascii_only=True)[:4]]
    assert rows[0].startswith("*")
    assert rows[-1].endswith("*")
    assert [len(row) - len(row.lstrip()) for row in rows] == sorted(
        len(row) - len(row.lstrip()) for row in rows
    )


def test_curves_are_told_apart_without_colours() -> None:
    curves = [Curve("first", [0, 1], [1.0, 1.0]), Curve("last", [0, 1], [0.0, 0.0])]
    text = lines(Plot(curves=curves, height=4))
    assert text[0].endswith("a")
    assert text[3].endswith("b")
    assert text[-1].split() == ["a", "first", "b", "last"]
    text = lines(Plot(curves=curves, height=4), ascii_only=True)
    assert text[0].endswith("*")
    assert text[3].endswith("+")


def test_what_has_no_place_on_the_axis_leaves_a_gap() -> None:
    y = [1.0, 1.0, math.nan, 0.0, 1.0, 1.0]
    plot = Plot(
        curves=[Curve("", range(6), y), Curve("", [0, 5], [10.0, 10.0])], height=3, log=True
    )
    bottom = lines(plot, 60, ascii_only=True)[2].split("|", 1)[1]
    assert bottom.strip("* ") == ""
    assert "*" in bottom
    assert " " in bottom.strip()


def test_nothing_drawable_leaves_the_title() -> None:
    plot = Plot(curves=[Curve("", [0, 1], [math.nan, math.inf])], title="Loss")
    assert lines(plot) == ["Loss"]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30),
    st.integers(24, 120),
    st.booleans(),
    st.booleans(),
)
def test_no_line_is_wider_than_asked(
    y: list[float], width: int, log: bool, ascii_only: bool
) -> None:
    plot = Plot(curves=[Curve("norm", range(len(y)), y)], log=log, x_name="step")
    text = lines(plot, width, ascii_only=ascii_only)
    assert all(len(line) <= width for line in text)
    assert not ascii_only or all(line.isascii() for line in text)


@pytest.mark.parametrize(
    "y", [[1.797e308, 1.0], [1.797e308, -1.797e308], [1.797e308] * 2, [5e-324, 0.0], [5e-324] * 2]
)
@pytest.mark.parametrize("log", [False, True])
def test_extreme_floats_have_a_place(y: list[float], log: bool) -> None:
    assert len(lines(Plot(curves=[Curve("", [0, 1], y)], height=4, log=log))) == 5
