"""Gradient descent with batches against torch, scikit-learn and the law of its noise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch.nn import functional as F

from nndiag.experiments import descent
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_principles import DescentSpec

CASES = [(model, data) for model in ("linear", "logistic") for data in ("synthetic", "digits")]


def surface(spec: DescentSpec) -> descent.Surface:
    x, y, _names = descent.data(spec)
    return descent.Surface(model=spec.model, x=x, y=y, minimum=descent.minimum(spec.model, x, y))


@pytest.mark.parametrize("seed", range(12))
def test_newton_arrives_or_says_why(seed: int) -> None:
    spec = DescentSpec(model="logistic", samples=8, batch_sizes=(1,), seed=seed)
    x, y, _names = descent.data(spec)
    signed = x * (2 * y[:, None] - 1)
    angles = np.linspace(0, 2 * np.pi, 100_001)
    ways = np.stack([np.cos(angles), np.sin(angles)])
    if (signed @ ways).min(axis=0).max() > 0:
        with pytest.raises(UsageError, match="a line separates so few"):
            descent.minimum("logistic", x, y)
    else:
        assert np.abs(surface(spec).gradients(surface(spec).minimum).mean(axis=0)).max() < 1e-9


@pytest.mark.parametrize(("model", "data"), CASES)
def test_the_minimum_is_that_of_scikit_learn(model: str, data: str) -> None:
    found = surface(DescentSpec(model=model, data=data))
    if model == "linear":
        oracle = LinearRegression(fit_intercept=False).fit(found.x, found.y)
    else:
        oracle = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
        oracle.fit(found.x, found.y)
    np.testing.assert_allclose(found.minimum, oracle.coef_.ravel(), rtol=1e-4)
    assert np.abs(found.gradients(found.minimum).mean(axis=0)).max() < 1e-10


@pytest.mark.parametrize("model", ["linear", "logistic"])
def test_a_path_is_that_of_torch(model: str) -> None:
    spec = DescentSpec(model=model, samples=20, batch_sizes=(8,), seeds=2, epochs=3, lr=0.2)
    found = surface(spec)
    path, losses = descent.descend(found, np.array([1.0, -2.0]), 8, spec)
    assert len(path) - 1 == len(losses) == 3 * 3  # ceil(20 / 8) batches an epoch
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=0.2)
    draw = np.random.default_rng([1, 5])
    x, y = torch.tensor(found.x), torch.tensor(found.y)
    step = 0
    for _epoch in range(3):
        for chosen in torch.tensor(draw.permutation(20)).split(8):
            optimizer.zero_grad()
            score = x[chosen] @ weights
            loss = (
                F.mse_loss(score, y[chosen]) / 2
                if model == "linear"
                else F.binary_cross_entropy_with_logits(score, y[chosen])
            )
            assert losses[step, 1] == pytest.approx(loss.item(), rel=1e-10)
            loss.backward()
            optimizer.step()
            step += 1
            np.testing.assert_allclose(path[step, 1], weights.detach(), rtol=1e-10)


def test_full_batch_on_a_parabola_has_a_closed_form() -> None:
    spec = DescentSpec(seeds=2, epochs=30, lr=0.3)
    found = surface(spec)
    begin = found.minimum + np.array([1.0, 2.0])
    path, _losses = descent.descend(found, begin, len(found.x), spec)
    bend = found.x.T @ found.x / len(found.x)
    for step in (1, 7, 30):
        power = np.linalg.matrix_power(np.eye(2) - 0.3 * bend, step)
        expected = found.minimum + power @ np.array([1.0, 2.0])
        np.testing.assert_allclose(path[step, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_the_law_of_the_noise_is_exact(size: int) -> None:
    found = surface(DescentSpec(samples=6, batch_sizes=(1,)))
    at = np.array([0.3, -0.7])
    gradients = found.gradients(at)
    every = [gradients[list(chosen)].mean(axis=0) for chosen in combinations(range(6), size)]
    expected = ((np.array(every) - gradients.mean(axis=0)) ** 2).sum(axis=1).mean()
    _measured, predicted = descent.noise(found, at, size, DescentSpec(samples=6, batch_sizes=(1,)))
    assert predicted == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("model", "data"), CASES)
def test_measured_noise_obeys_the_law(model: str, data: str) -> None:
    spec = DescentSpec(model=model, data=data, seeds=40)
    found = surface(spec)
    for size in (1, 16, 200):
        measured, predicted = descent.noise(found, found.minimum + 1, size, spec)
        error = measured.std(ddof=1) / np.sqrt(len(measured))
        assert abs(measured.mean() - predicted) < 4 * error
        assert error < 0.1 * predicted


def test_gradients_are_those_of_autograd() -> None:
    found = surface(DescentSpec(model="logistic", samples=12, batch_sizes=(1,)))
    weights = torch.tensor([0.4, -1.0], dtype=torch.float64, requires_grad=True)
    for place in range(12):
        score = torch.tensor(found.x[place]) @ weights
        loss = F.binary_cross_entropy_with_logits(score, torch.tensor(found.y[place]))
        (expected,) = torch.autograd.grad(loss, weights)
        own = found.gradients(np.array([0.4, -1.0]))[place]
        np.testing.assert_allclose(own, expected, rtol=1e-12)


def test_what_the_defaults_teach() -> None:
    rows = {row["batch_size"]: row for row in descent.run(DescentSpec()).result["rows"]}
    assert list(rows) == [1, 8, 32, 256]
    assert [row["steps"] for row in rows.values()] == [5120, 640, 160, 20]
    assert rows[1]["epochs_to_goal"].mean < rows[8]["epochs_to_goal"].mean
    assert rows[1]["last_excess"].low > rows[8]["last_excess"].high
    assert (rows[256]["noise_start"].mean, rows[256]["reached"]) == (0, 0)


def test_the_largest_rate_divides_stable_from_unstable() -> None:
    limit = descent.run(DescentSpec(seeds=2, batch_sizes=(0,))).result["largest_rate"]
    for factor, diverged in ((0.99, 0), (1.02, 2)):
        spec = DescentSpec(seeds=2, batch_sizes=(0,), lr=factor * limit, epochs=1000)
        (row,) = descent.run(spec).result["rows"]
        assert row["diverged"] == diverged


def test_what_explodes_is_counted_and_written() -> None:
    result = descent.run(DescentSpec(lr=5.0, seeds=3))
    assert [row["diverged"] for row in result.result["rows"]] == [3, 3, 3, 3]
    assert "stable below rate 2 / largest curvature = 1.87" in " ".join(result.result["reading"])
    assert '"Infinity"' in result.to_json()


def test_too_few_or_too_many() -> None:
    with pytest.raises(UsageError, match=r"^--samples: got 4; a line separates so few"):
        descent.run(DescentSpec(model="logistic", samples=4, batch_sizes=(1,), seed=3))
    with pytest.raises(UsageError, match=r"^--samples: got 999; accepted: at most 357 with"):
        descent.run(DescentSpec(model="logistic", data="digits", samples=999))
    message = r"^--epochs: got 1000, which makes 10000000 steps; accepted: at most 300000$"
    with pytest.raises(UsageError, match=message):
        descent.run(DescentSpec(samples=10_000, batch_sizes=(1,), epochs=1000))
