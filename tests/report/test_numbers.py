from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag import locales
from nndiag.report import numbers
from nndiag.schema.result import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.2367, "0.237"),
        (-0.01234, "-0.0123"),
        (9.996, "10.0"),
        (123.4, "123"),
        (9999.0, "9999"),
        (12345.0, "1.23e4"),
        (1.234e-12, "1.23e-12"),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_compact(value: float, text: str) -> None:
    assert numbers.compact(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.0, "0"),
        (0.0004, "<0.1"),
        (0.004, "0.4"),
        (0.0995, "10"),
        (0.5, "50"),
        (0.9951, ">99"),
        (1.0, "100"),
        (math.nan, "NaN"),
    ],
)
def test_percent_never_rounds_some_to_none_or_all(fraction: float, text: str) -> None:
    assert numbers.percent(fraction) == text


def test_a_column_uses_one_notation() -> None:
    wide = [Interval(v, v, v) for v in (0.41, 1.2e-12)]
    assert numbers.column(wide) == ["4.1e-01", "1.2e-12"]
    assert numbers.column([Interval(0.41, 0.41, 0.41), None]) == ["0.41", "-"]


def test_an_underflowed_number_is_written_as_a_bound() -> None:
    bound = Interval(1.4e-45, 1.4e-45, 1.4e-45, upper_bound=True)
    assert numbers.column([bound]) == ["<1.4e-45"]
    assert numbers.prose_number(bound) == "< 1.40e-45"
    assert numbers.spread(bound) == ""


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(1.0, 0.92, 1.08), "±8%"),
        (Interval(1.0, 0.9999, 1.0001), "±<1%"),
        (Interval(1.0, 1 / 3, 3.0), "×÷3.0"),
        (Interval(1.0, -0.5, 2.5), "±150%"),
        (Interval(1.0, 1.0, 1.0), ""),
        (Interval(math.nan, math.nan, math.nan), ""),
        (None, ""),
    ],
)
def test_spread(interval: Interval | None, text: str) -> None:
    assert numbers.spread(interval) == text


def test_limits_share_one_notation() -> None:
    column = [Interval(0.5, 0.4, 0.6), Interval(1e-9, 9e-10, 1.1e-9), None]
    assert numbers.limits(column) == ["4.0e-01..6.0e-01", "9.0e-10..1.1e-09", ""]


def test_prose_number_carries_its_interval() -> None:
    assert numbers.prose_number(Interval(0.237, 0.235, 0.239)) == "0.237 [0.235, 0.239]"


def test_french_writes_a_comma_and_thin_spaces() -> None:
    locales.use("fr")
    assert numbers.compact(0.2367) == "0,237"
    assert numbers.scientific(1.2e-12) == "1,2e-12"
    assert numbers.percent(0.004) == "0,4"
    assert numbers.count(332_170) == "332\u202f170"
    assert numbers.duration(1.94) == "1,9 s"
    assert numbers.prose_number(Interval(0.237, 0.235, 0.239)) == "0,237 [0,235; 0,239]"


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("×0.231, 0.25^10 and 6.9e-18.", "×0,231, 0,25^10 and 6,9e-18."),
        ("97.1 % [96.2, 97.7]", "97,1 % [96,2; 97,7]"),
        ("(0.7054, -0.9649) of (2, 1)", "(0,7054; -0,9649) of (2, 1)"),
        ("+0.1 points [-0.6, +0.8]", "+0,1 points [-0,6; +0,8]"),
        ("0,235 [0,1, 0,2]", "0,235 [0,1; 0,2]"),
        ("`betas=(0.9, 0.999)`, --lr 0.1, leaky_relu:0.2, lr=0.1", None),
        ("torch 2.14.1, fc1.0.weight, eq. 3.2", None),
    ],
)
def test_sentences_get_the_decimals_of_the_language(text: str, french: str | None) -> None:
    assert numbers.decimals(text) == text
    locales.use("fr")
    assert numbers.decimals(text) == (french or text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0451, "45 ms"),
        (0.9996, "1.0 s"),
        (1.94, "1.9 s"),
        (59.97, "1 min 00 s"),
        (192.0, "3 min 12 s"),
        (7500.0, "2 h 05 min"),
        (math.inf, "?"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_layer_names_are_brief() -> None:
    names = [f"fc{i}" for i in range(1, 21)]
    assert numbers.layer_names([], 20) == ""
    assert numbers.layer_names(names, 20) == "all 20 layers"
    assert numbers.layer_names(names[:2], 20) == "fc1, fc2"
    assert numbers.layer_names(names[1:9], 20) == "fc2 to fc9 (8 of 20 layers)"


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_compact_keeps_three_digits(value: float) -> None:
    assert float(numbers.compact(value)) == pytest.approx(value, rel=6e-3, abs=0)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300))
def test_compact_is_short(value: float) -> None:
    assert len(numbers.compact(value)) <= 9
