from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.report.bars import bar, log_axis
from nndiag.report.glyphs import ASCII, UNICODE

positive = st.floats(min_value=1e-300, max_value=1e300)


def test_axis_holds_whole_decades_and_at_least_two() -> None:
    axis = log_axis([0.3, 0.6])
    assert axis is not None
    assert (axis.low, axis.high) == (-2, 0)
    axis = log_axis([2e-13, 0.5, 0.0, math.nan, math.inf])
    assert axis is not None
    assert (axis.low, axis.high) == (-13, 0)
    assert axis.title(12) == "1e-13    1e0"
    assert axis.title(7) == "1e-13"


def test_no_positive_value_has_no_axis() -> None:
    assert log_axis([0.0, math.nan]) is None
    assert bar(0.0, None, 4, UNICODE) == "    "


def test_length_is_the_share_of_the_axis() -> None:
    axis = log_axis([1e-4, 1.0])
    assert bar(1e-2, axis, 8, UNICODE) == "████    "
    assert bar(10**-1.75, axis, 8, UNICODE) == "████▌   "
    assert bar(1.0, axis, 8, ASCII) == "########"


def test_the_smallest_value_still_shows_and_a_missing_one_does_not() -> None:
    axis = log_axis([1e-4, 1.0])
    assert bar(1e-4, axis, 4, UNICODE) == "▏   "
    assert bar(None, axis, 4, UNICODE) == "    "


def test_theory_stands_on_the_bar_and_beyond_it() -> None:
    axis = log_axis([1e-4, 1.0])
    assert bar(1.0, axis, 8, ASCII, mark=1e-2) == "####|###"
    assert bar(1e-3, axis, 8, UNICODE, mark=1.0) == "██     │"


@pytest.mark.parametrize(("value", "text"), [(math.nan, "NaN "), (math.inf, "inf ")])
def test_non_finite_values_are_written(value: float, text: str) -> None:
    assert bar(value, log_axis([1.0]), 4, UNICODE) == text


@given(st.lists(positive, min_size=1, max_size=8), st.integers(1, 60), st.booleans())
def test_bars_are_exactly_as_wide_and_ordered(
    values: list[float], width: int, ascii_only: bool
) -> None:
    glyphs = ASCII if ascii_only else UNICODE
    axis = log_axis(values)
    bars = [bar(value, axis, width, glyphs) for value in sorted(values)]
    assert {len(text) for text in bars} == {width}
    filled = [text.count(glyphs.full) for text in bars]
    assert filled == sorted(filled)
