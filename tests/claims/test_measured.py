"""Figures at initialisation against independent computations; trained claims in full when slow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn

from nndiag import claims
from nndiag.claims.at_initialisation import (
    glorot2010,
    goh2017,
    hanin2018,
    klambauer2017,
    lu2019,
    pascanu2013,
    pennington2017,
    saxe2013,
    schoenholz2017,
    yang2019,
)
from nndiag.datasets import embedded
from nndiag.schema.claim import verdict
from nndiag.schema.progress import Silent


def test_glorot_against_plain_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glorot2010, "_WIDTH", 40)
    signal, weights = glorot2010._ratios("tanh", "xavier_uniform", 3)

    splits = embedded.load(seed=0)
    order = torch.randperm(len(splits.train.y), generator=torch.Generator().manual_seed(3))[:100]
    x = torch.from_numpy(splits.train.x)[order].flatten(1).double()
    y = torch.from_numpy(splits.train.y)[order]
    generator, sizes = torch.Generator().manual_seed(3), [64, *[40] * 5, 10]
    matrices, outputs = [], []
    for into, out in itertools.pairwise(sizes):
        bound = math.sqrt(6 / (into + out))
        drawn = torch.empty(out, into).uniform_(-bound, bound, generator=generator)
        matrices.append(drawn.double().requires_grad_())
        x = x @ matrices[-1].T
        outputs.append(x)
        x = x.tanh()
    loss = nn.functional.cross_entropy(outputs[-1], y)
    at_outputs = torch.autograd.grad(loss, outputs[:5], retain_graph=True)
    assert signal == pytest.approx(float(at_outputs[0].norm() / at_outputs[4].norm()), rel=1e-4)
    at_weights = torch.autograd.grad(loss, matrices[:5])
    assert weights == pytest.approx(float(at_weights[1].norm() / at_weights[4].norm()), rel=1e-4)


def test_goh_against_the_eigenvalues_of_the_iteration() -> None:
    def radius(rate: float, beta: float) -> float:
        steps = [[[beta, c], [-rate * beta, 1 - rate * c]] for c in np.geomspace(0.01, 1, 50)]
        return float(np.abs(np.linalg.eigvals(np.array(steps))).max())

    best = (2 / 11) ** 2 * 100
    assert radius(best, goh2017._MOMENTUM**2) == pytest.approx(goh2017._MOMENTUM, rel=1e-4)
    assert radius(200 / 101, 0.0) == pytest.approx(goh2017._PLAIN)
    assert goh2017._contraction(1.5, 0.0, 0) == pytest.approx(radius(1.5, 0.0), rel=2e-3)
    for beta in goh2017._BETAS:
        assert radius(2.019 * (1 + beta), beta) > 1 > radius(1.98 * (1 + beta), beta)


def test_hanin_one_layer_in_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """E|gradient|^2 = 1 for unit vectors, whatever the widths."""
    monkeypatch.setattr(hanin2018, "_DRAWS", 20_000)
    found = hanin2018._log_norms((6, 4), torch.Generator().manual_seed(0))
    # Two layers of 4 and 6 units; networks that are dead count as 0.
    assert float(found.exp().sum()) / 20_000 == pytest.approx(1, abs=0.06)
    assert hanin2018._beta((10, 5)) == pytest.approx(1.5)


def test_klambauer_against_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(klambauer2017, "_WIDTH", 50)
    model = klambauer2017._network("selu", 4)
    x = torch.randn(20, 50, generator=torch.Generator().manual_seed(4)).numpy()
    h = np.float32(0.1) + np.float32(1.5**0.5) * x
    for layer in model:
        if isinstance(layer, nn.Linear):
            h = h @ layer.weight.detach().numpy().T
            h = 1.0507009873554805 * np.where(h > 0, h, 1.6732632423543772 * np.expm1(h))
    found = klambauer2017._moments(model, (0.1, 1.5), 4)
    assert found == pytest.approx((h.mean(), h.var(ddof=1)), rel=1e-3, abs=1e-5)


def test_lu_bounds_are_exact_for_a_single_layer_and_width_one() -> None:
    """With one unit a layer, each layer but the first dies with 1/2 once the input has a sign."""
    assert lu2019.bounds(2, 3) == pytest.approx((0, 1 / 8))
    generator = torch.Generator().manual_seed(0)
    # Width 1: layer 1 passes one sign; every later layer passes it or not.
    assert lu2019._dead(4, 1, generator) == pytest.approx(3 / 4, abs=0.01)


def test_pascanu_against_powers_of_the_matrix() -> None:
    found = pascanu2013._slope("linear", 0.8, 1)
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(100, 100))
    matrix *= 0.8 / np.abs(np.linalg.eigvals(matrix)).max()
    gradient, norms = generator.normal(size=100), []
    for _step in range(60):
        norms.append(math.log(np.linalg.norm(gradient)))
        gradient = matrix.T @ gradient
    slope = -2 * np.polyfit(np.arange(40), norms[20:], 1)[0]
    assert found == pytest.approx(slope, abs=0.06)


def test_pennington_linear_networks_against_a_product_of_matrices() -> None:
    found = pennington2017._spread("linear", "xavier_normal", 1.0, 0)
    generator = np.random.default_rng(0)
    product = np.eye(200)
    for _layer in range(20):
        product = generator.normal(size=(200, 200)) / 200**0.5 @ product
    squares = np.linalg.svd(product, compute_uv=False) ** 2
    assert found == pytest.approx(squares.var() / squares.mean() ** 2, rel=0.3)


def test_saxe_curve_solves_its_equation() -> None:
    """The gradient flow of a mode is a' = 2 a (s - a)."""
    strength, start = 2.0, 1e-3
    times = np.linspace(0, 6, 50)
    flow = integrate.solve_ivp(
        lambda t, a: 2 * a * (strength - a), (0, 6), [start], t_eval=times, rtol=1e-10, atol=1e-13
    )
    growth = np.exp(2 * strength * times)
    curve = strength * growth / (growth - 1 + strength / start)
    np.testing.assert_allclose(flow.y[0], curve, rtol=1e-4)
    assert saxe2013._curve_error(1) == pytest.approx(saxe2013._curve_error(2), rel=1e-6)


def test_schoenholz_chi_against_an_integral() -> None:
    for name, weights in schoenholz2017._WEIGHTS.items():
        scale = schoenholz2017._SCALES[name]
        density = stats.norm(scale=scale.fixed_point**0.5).pdf

        def mean(function: object, density: object = density) -> float:
            return float(integrate.quad(lambda x: density(x) * function(x), -30, 30)[0])  # type: ignore[operator]

        assert scale.chi == pytest.approx(weights * mean(lambda x: np.cosh(x) ** -4.0), rel=1e-6)
        fixed = weights * mean(lambda x: np.tanh(x) ** 2) + 0.05
        assert scale.fixed_point == pytest.approx(fixed, rel=1e-6)


def test_yang_limit_of_relu() -> None:
    assert yang2019._LIMITS["relu"] == pytest.approx(math.pi / (math.pi - 1))
    assert yang2019._LIMITS["linear"] == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", claims.names(trains=True))
def test_claims_about_training_hold(name: str) -> None:
    claim = claims.get(name)
    found = claim.measure(range(3), Silent())
    assert verdict([claim.holds(figures) for figures in found]).value == "PASS", found
