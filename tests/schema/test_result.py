from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.schema.finding import Finding, Severity, Symptom, worst_first
from nndiag.schema.result import Interval, Result, interval, plain, revive


def test_interval_is_students() -> None:
    # n = 5, mean 3, s = sqrt(2.5), t(0.975, 4) = 2.776: half-width 1.963.
    result = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert result.mean == pytest.approx(3.0)
    assert result.high - 3.0 == pytest.approx(2.776 * math.sqrt(2.5) / math.sqrt(5), rel=1e-6)
    assert 3.0 - result.low == pytest.approx(result.high - 3.0)


def test_interval_of_one_value_has_no_width() -> None:
    assert interval([2.0]) == Interval(2.0, 2.0, 2.0)


def test_log_interval_is_geometric() -> None:
    result = interval([1e-10, 1e-8], log=True)
    assert result.mean == pytest.approx(1e-9)
    assert result.low * result.high == pytest.approx(1e-18)


def test_interval_with_nan_does_not_pretend() -> None:
    result = interval([1.0, math.nan])
    assert math.isnan(result.mean)
    assert math.isnan(result.low)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_interval_covers_its_mean(values: list[float]) -> None:
    result = interval(values)
    assert result.low <= result.mean <= result.high
    assert result.mean == pytest.approx(np.mean(values), abs=1e-6)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_json_is_strict_and_reversible(value: float) -> None:
    text = json.dumps(plain({"x": value}), allow_nan=False)
    back = revive(json.loads(text))["x"]
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_result_survives_a_round_trip() -> None:
    finding = Finding(
        symptom=Symptom.VANISHING_GRADIENTS,
        severity=Severity.CRITICAL,
        layers=("fc1",),
        evidence={"grad_ratio": 1e-11},
        cause="the slope of sigmoid is at most 1/4",
        fixes=("batch normalisation",),
        reference="Glorot & Bengio 2010",
    )
    result = Result(
        command="gradients",
        spec={"depth": 3},
        environment={"device": "cpu"},
        seconds=0.5,
        result={"grad_ratio": Interval(1e-11, 1e-12, 1e-10), "rows": [1, math.inf]},
        findings=(finding,),
        version="0.1.0",
    )
    assert Result.from_json(result.to_json()) == result


def test_worst_first_is_stable() -> None:
    def finding(symptom: Symptom, severity: Severity) -> Finding:
        return Finding(symptom=symptom, severity=severity, cause="")

    info = finding(Symptom.OVERFITTING, Severity.INFO)
    first = finding(Symptom.DEAD_UNITS, Severity.WARNING)
    second = finding(Symptom.NON_FINITE, Severity.WARNING)
    worst = finding(Symptom.BAD_SCHEDULE, Severity.CRITICAL)
    assert worst_first([info, first, second, worst]) == [worst, first, second, info]
