"""Bias, variance and noise against direct computations and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.theory import decomposition

seeds = st.integers(0, 10_000)


@given(seeds, st.integers(2, 6), st.integers(1, 5))
def test_squared_error_is_its_parts(seed: int, models: int, points: int) -> None:
    draw = np.random.default_rng(seed)
    predictions, truth = draw.normal(size=(models, points)), draw.normal(size=points)
    noise = draw.normal(size=points)
    parts = decomposition.squared(predictions, truth, noise)
    for p in range(points):
        tests = [truth[p] + noise[p], truth[p] - noise[p]]
        losses = [(predictions[m, p] - y) ** 2 for m in range(models) for y in tests]
        assert parts.loss[p] == pytest.approx(np.mean(losses))
    np.testing.assert_allclose(parts.loss, parts.bias + parts.variance + parts.noise, atol=1e-12)
    np.testing.assert_allclose(parts.variance, [np.var(c, ddof=1) for c in predictions.T])


def test_bias_and_variance_are_unbiased() -> None:
    draw = np.random.default_rng(0)
    truth, offset, spread = np.zeros(4), np.array([0.0, 0.3, -1.0, 2.0]), 0.8
    found = [
        decomposition.squared(offset + spread * draw.normal(size=(3, 4)), truth, truth)
        for _repeat in range(20_000)
    ]
    for part, expected in (("bias", offset**2), ("variance", np.full(4, spread**2))):
        values = np.array([getattr(one, part) for one in found])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        assert (np.abs(values.mean(axis=0) - expected) < 4 * error).all(), part


def test_least_squares_in_closed_form() -> None:
    draw = np.random.default_rng(1)
    x, test = np.sort(draw.uniform(-1, 1, 12)), np.array([-0.7, 0.1, 0.9])
    sigma, degree = 0.4, 3
    fits = []
    for _repeat in range(20_000):
        y = np.exp(x) + sigma * draw.normal(size=12)
        fits.append(np.polyval(np.polyfit(x, y, degree), test))
    bias, variance = decomposition.least_squares(
        np.vander(x, degree + 1), np.vander(test, degree + 1), np.exp(x), np.exp(test), sigma
    )
    drawn = np.array(fits)
    assert variance == pytest.approx(drawn.var(axis=0), rel=0.05)
    exact = np.polyval(np.polyfit(x, np.exp(x), degree), test) - np.exp(test)
    assert bias == pytest.approx(exact**2, rel=1e-6)


@given(seeds, st.integers(2, 7), st.integers(2, 4), st.floats(0, 0.9))
def test_zero_one_loss_is_its_parts(seed: int, models: int, classes: int, flipped: float) -> None:
    draw = np.random.default_rng(seed)
    answers = draw.integers(classes, size=(models, 6))
    truth = draw.integers(classes, size=6)
    parts = decomposition.zero_one(answers, truth, classes, flipped)
    c1, c2 = decomposition.factors(answers, truth, classes)
    for p in range(6):
        chances = [
            1 - flipped if t == truth[p] else flipped / (classes - 1) for t in range(classes)
        ]
        loss = sum(
            chance / models
            for (t, chance), m in itertools.product(enumerate(chances), range(models))
            if answers[m, p] != t
        )
        assert parts.loss[p] == pytest.approx(loss)
        counts = np.bincount(answers[:, p], minlength=classes)
        main = int(counts.argmax())
        assert parts.bias[p] == (main != truth[p])
        assert parts.variance[p] == pytest.approx(1 - counts[main] / models)
    total = c1 * parts.noise + parts.bias + c2 * parts.variance
    np.testing.assert_allclose(parts.loss, total, atol=1e-12)


def test_two_classes_as_domingos_writes_them() -> None:
    answers = np.array([[0, 1], [0, 0], [1, 0]])  # main answer 0 at both points
    truth = np.array([0, 1])
    parts = decomposition.zero_one(answers, truth, 2, 0.0)
    c1, c2 = decomposition.factors(answers, truth, 2)
    assert parts.bias.tolist() == [0, 1]
    assert parts.variance == pytest.approx([1 / 3, 1 / 3])
    assert parts.loss == pytest.approx([1 / 3, 2 / 3])
    assert c2 == pytest.approx([1, -1])
    assert c1 == pytest.approx([2 * 2 / 3 - 1, 2 * 1 / 3 - 1])
