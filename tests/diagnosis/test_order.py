"""Shuffled or sorted: the tests against scipy, and their false alarms by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, f_oneway

from nndiag.diagnosis import data, order

RUNS = 2000


def counts(labels: np.ndarray, classes: int, batch: int) -> np.ndarray:
    """(K, C) labels by batch, in order; the last batch may be smaller."""
    starts = range(0, len(labels), batch)
    rows = [np.bincount(labels[start : start + batch], minlength=classes) for start in starts]
    return np.array(rows, float)


def sums(targets: np.ndarray, batch: int) -> np.ndarray:
    parts = [targets[start : start + batch] for start in range(0, len(targets), batch)]
    return np.array([(len(part), part.sum(), np.square(part).sum()) for part in parts])


def alarm(reading: order.Reading | None, effect: float = data.SORTED_EFFECT) -> bool:
    return reading is not None and reading.effect >= effect and reading.sigmas >= data.SORTED_SIGMAS


def test_statistic_is_pearsons() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(5, 40, (12, 4)).astype(float)
    reading = order.by_class(table)
    assert reading is not None
    pearson = chi2_contingency(table, correction=False)
    whole = table.sum()
    bergsma = max(0.0, pearson.statistic - pearson.dof) / (whole - 1) / 3
    assert reading.effect == pytest.approx(bergsma, rel=1e-9)


@pytest.mark.parametrize(
    ("shares", "least"), [([0.25] * 4, 0.9), ([0.5, 0.5], 0.9), ([0.6, 0.3, 0.08, 0.02], 0.7)]
)
@pytest.mark.parametrize("blocks", [4, 60])
def test_sigmas_are_those_of_a_normal_variable(
    shares: list[float], least: float, blocks: int
) -> None:
    """Median near 0 and spread at most 1 over independent draws; rare labels spread less."""
    rng = np.random.default_rng(1)
    drawn = (rng.multinomial(20, shares, blocks).astype(float) for _ in range(2000))
    readings = [order.by_class(table) for table in drawn]
    sigmas = np.array([one.sigmas for one in readings if one is not None])
    assert abs(np.median(sigmas)) < 0.15
    assert least < sigmas.std() < 1.1


def test_between_share_is_the_f_statistic_of_scipy() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.normal(place % 3, 1, 20) for place in range(10)]
    reading = order.by_target(sums(np.concatenate(parts), 20))
    assert reading is not None
    f = f_oneway(*parts).statistic
    share = 9 * f / (9 * f + 190)
    assert reading.effect == pytest.approx((share - 9 / 199) / (1 - 9 / 199), rel=1e-9)


@pytest.mark.parametrize(
    ("classes", "batch", "samples", "skew"),
    [
        (2, 1, 100, 0.0),
        (2, 4, 64, 0.0),
        (2, 16, 64, 0.0),
        (10, 8, 200, 0.0),
        (10, 50, 500, 1.0),
        (100, 16, 400, 0.0),
        (100, 32, 1000, 1.5),
        (3, 16, 160, 4.0),  # the rarest label comes less than once in a hundred
        (2, 64, 512, 5.0),
    ],
)
@pytest.mark.parametrize("epochs", [1, 3])
def test_false_alarms_over_random_shuffles(
    classes: int, batch: int, samples: int, skew: float, epochs: int
) -> None:
    """None in 2,000 shuffles: with small batches, many classes, imbalance, several epochs."""
    rng = np.random.default_rng(classes + batch)
    shares = np.exp(-skew * np.arange(classes) / max(1, classes - 1) * 1.0)
    labels = rng.choice(classes, samples, p=shares / shares.sum())
    fired = 0
    for _ in range(RUNS // 2):
        whole = [counts(rng.permutation(labels), classes, batch) for _ in range(epochs)]
        fired += alarm(order.by_class(np.concatenate(whole)))
    assert fired == 0


@pytest.mark.parametrize("draw", ["normal", "lognormal", "cauchy"])
@pytest.mark.parametrize("batch", [1, 8, 32])
def test_false_alarms_over_random_targets(draw: str, batch: int) -> None:
    rng = np.random.default_rng(batch)
    kinds = {
        "normal": rng.standard_normal,
        "lognormal": lambda size: np.exp(2 * rng.standard_normal(size)),
        "cauchy": rng.standard_cauchy,
    }
    readings = [order.by_target(sums(kinds[draw](160), batch)) for _ in range(RUNS)]
    assert sum(alarm(one, data.SORTED_TARGETS) for one in readings) <= RUNS // 1000


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("batch", [1, 8, 32, 50, 100])
def test_sorted_labels_are_found(classes: int, batch: int) -> None:
    labels = np.repeat(np.arange(classes), 1000 // classes)
    assert alarm(order.by_class(counts(np.tile(labels, 2), classes, batch)))


def test_sorted_targets_are_found() -> None:
    for batch in (1, 10, 50):
        assert alarm(order.by_target(sums(np.linspace(-1, 1, 400), batch)), data.SORTED_TARGETS)


def test_balanced_batches_are_no_alarm() -> None:
    """Stratified samplers deal more evenly than chance."""
    reading = order.by_class(np.full((40, 4), 8.0))
    assert reading is not None
    assert reading.effect == 0
    assert reading.sigmas < 0


def test_too_little_is_not_judged() -> None:
    assert order.by_class(np.zeros((0, 3))) is None
    assert order.by_class(np.array([[16.0, 0.0], [0.0, 16.0], [16.0, 0.0]])) is None
    assert order.by_class(np.array([[32.0, 0.0]] * 10)) is None  # one label alone
    assert order.by_target(np.zeros((0, 3))) is None
    assert order.by_target(sums(np.full(200, 3.0), 20)) is None


@given(
    st.integers(2, 6),
    st.integers(1, 40),
    st.lists(st.integers(0, 5), min_size=1, max_size=300),
)
def test_effect_lies_between_0_and_1(classes: int, batch: int, labels: list[int]) -> None:
    values = np.array(labels) % classes
    reading = order.by_class(counts(values, classes, batch))
    if reading is not None:
        assert 0 <= reading.effect <= 1 + 1e-9
        assert np.isfinite(reading.sigmas)
