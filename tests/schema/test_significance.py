from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.schema.significance import (
    chi_square_tail,
    critical_difference,
    holm,
    kolmogorov_tail,
    mean_ranks,
    paired_p_value,
    student_tail,
)

scipy_stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 30])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 7.0])
def test_tail_is_students(t: float, freedom: int) -> None:
    assert student_tail(t, freedom) == pytest.approx(2 * scipy_stats.t.sf(t, freedom), abs=1e-8)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=12).filter(lambda x: np.std(x) > 1e-3))
def test_paired_test_agrees_with_scipy(differences: list[float]) -> None:
    expected = scipy_stats.ttest_1samp(differences, 0).pvalue
    assert paired_p_value(differences) == pytest.approx(expected, abs=1e-7)


def test_paired_test_at_its_edges() -> None:
    assert paired_p_value([0.5, 0.5, 0.5]) == 0.0
    assert paired_p_value([0.0, 0.0]) == 1.0
    assert paired_p_value([1.0]) == 1.0
    assert paired_p_value([1.0, float("nan")]) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_never_helps(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    assert max(adjusted) <= 1


def test_ranks_agree_with_scipy() -> None:
    scores = np.array([[0.9, 0.8, 0.8], [0.7, 0.9, 0.1], [0.5, 0.5, 0.5]])
    expected = np.mean([scipy_stats.rankdata(-row) for row in scores], axis=0)
    assert mean_ranks(scores) == pytest.approx(expected)


@pytest.mark.parametrize("treatments", [2, 5, 10, 12, 20])
def test_critical_difference_uses_the_studentised_range(treatments: int) -> None:
    q = scipy_stats.studentized_range.ppf(0.95, treatments, np.inf) / np.sqrt(2)
    expected = q * np.sqrt(treatments * (treatments + 1) / (6 * 8))
    assert critical_difference(treatments, 8) == pytest.approx(expected, rel=2e-3)


@given(st.floats(0, 200), st.integers(1, 60))
def test_chi_square_tail(value: float, freedom: int) -> None:
    expected = scipy_stats.chi2.sf(value, freedom)
    assert chi_square_tail(value, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-14)


@given(st.floats(0, 1), st.integers(20, 2000), st.integers(20, 2000))
def test_kolmogorov_tail(distance: float, first: int, second: int) -> None:
    exact = scipy_stats.kstwo.sf(distance, round(first * second / (first + second)))
    assert kolmogorov_tail(distance, first, second) == pytest.approx(exact, abs=0.02)
