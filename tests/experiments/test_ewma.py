"""Moving averages against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from nndiag.experiments import ewma
from nndiag.schema.spec_principles import EwmaSpec

series = st.lists(st.floats(-100, 100), min_size=2, max_size=30).map(np.array)
betas = st.floats(0, 0.99)


@given(series, betas)
def test_the_recursion_is_a_linear_filter(values: np.ndarray, beta: float) -> None:
    expected = signal.lfilter([1 - beta], [1, -beta], values)
    np.testing.assert_allclose(ewma.average(values, beta), expected, rtol=1e-9, atol=1e-9)


@given(series, betas)
def test_corrected_is_the_weighted_mean(values: np.ndarray, beta: float) -> None:
    found = ewma.corrected(ewma.average(values, beta), beta)
    for t in range(len(values)):
        weights = beta ** np.arange(t, -1, -1)
        expected = weights @ values[: t + 1] / weights.sum()
        assert found[t] == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_adam_corrects_its_bias_so() -> None:
    gradients = np.random.default_rng(0).normal(size=12)
    weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    adam = torch.optim.Adam([weight], lr=0.01, betas=(0.9, 0.999), eps=0)
    mean = ewma.corrected(ewma.average(gradients, 0.9), 0.9)
    square = ewma.corrected(ewma.average(gradients**2, 0.999), 0.999)
    for t, gradient in enumerate(gradients):
        before = weight.item()
        weight.grad = torch.tensor(gradient)
        adam.step()
        step = -0.01 * mean[t] / math.sqrt(square[t])
        assert weight.item() - before == pytest.approx(step, rel=1e-9)


ROWS = {row["beta"]: row for row in ewma.run(EwmaSpec(seeds=40)).result["rows"]}


@pytest.mark.parametrize("beta", ROWS)
def test_measured_is_what_theory_says(beta: float) -> None:
    row = ROWS[beta]
    weights = (1 - beta) * beta ** np.arange(20_000)
    assert row["predicted_variance_ratio"] == pytest.approx((weights**2).sum())
    assert row["predicted_lag"] == pytest.approx((weights * np.arange(20_000)).sum())
    assert row["window"] == pytest.approx(1 / (1 - beta))
    assert beta ** row["half_life"] == pytest.approx(0.5)
    assert row["predicted_early_raw"] == pytest.approx(weights[: ewma.EARLY].sum())
    for name, expected in (
        ("variance_ratio", row["predicted_variance_ratio"]),
        ("lag", row["predicted_lag"]),
        ("early_raw", row["predicted_early_raw"]),
        ("early_corrected", 1.0),
    ):
        number = row[name]
        half = (number.high - number.low) / 2
        assert abs(number.mean - expected) < 2 * half, name  # two half-widths: four sigma
        assert half < 0.15 * expected, name


def test_beta_zero_changes_nothing() -> None:
    (row,) = ewma.run(EwmaSpec(betas=(0.0,))).result["rows"]
    assert (row["variance_ratio"].mean, row["predicted_lag"], row["roughness"]) == (1, 0, 1)


def test_own_values() -> None:
    values = tuple(np.sin(np.arange(60) / 5).tolist())
    result = ewma.run(EwmaSpec(values=values, betas=(0.9,))).result
    assert result["series"] == list(values)
    assert (result["signal"], result["rows"][0]["error"]) == (None, None)
    centred = np.array(values) - np.mean(values)
    expected = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    assert result["autocorrelation"] == pytest.approx(expected)
    assert f"correlation {expected:.2f}" in " ".join(result["reading"])
    constant = ewma.run(EwmaSpec(values=(1.0, 1.0, 1.0))).result
    assert constant["autocorrelation"] is None


def test_error_is_the_distance_to_the_signal() -> None:
    spec = EwmaSpec(betas=(0.9,), seeds=2, noise=0.3)
    result = ewma.run(spec).result
    clean = np.array(result["signal"])
    errors = []
    for seed in range(2):
        noisy = clean + 0.3 * np.random.default_rng(seed).normal(size=200)
        smooth = signal.lfilter([0.1], [1, -0.9], noisy) / (1 - 0.9 ** np.arange(1, 201))
        errors.append(math.sqrt(((smooth - clean) ** 2).mean()))
    assert result["rows"][0]["error"].mean == pytest.approx(np.mean(errors))
