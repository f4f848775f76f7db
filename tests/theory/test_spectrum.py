"""Spread of the Jacobian's singular values against closed forms and drawn matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from nndiag.theory import activations
from nndiag.theory.spectrum import directions, predicted_spread, spread


def draw(generator: np.random.Generator, n: int, *, orthogonal: bool) -> np.ndarray:
    return (
        stats.ortho_group.rvs(n, random_state=generator)
        if orthogonal
        else generator.normal(size=(n, n)) / np.sqrt(n)
    )


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize(("name", "q", "gain"), [("linear", 1.0, 1.0), ("tanh", 0.5, 1.0),
                                                 ("relu", 1.0, 2**0.5)])  # fmt: skip
def test_drawn_products_spread_as_predicted(
    name: str, q: float, gain: float, orthogonal: bool
) -> None:
    function, n, depth = activations.function(name), 200, 6
    assert function is not None
    predicted = predicted_spread(function, np.full(depth, q), orthogonal=orthogonal)
    measured = []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        jacobian = np.eye(n)
        for _layer in range(depth):
            slopes = function.derivative(np.sqrt(q) * generator.normal(size=n))
            jacobian = (
                gain * draw(generator, n, orthogonal=orthogonal) @ (slopes[:, None] * jacobian)
            )
        measured.append(spread(np.linalg.svd(jacobian, compute_uv=False)))
    # Finite width: corrections of order depth / n, and the scatter of six draws.
    assert np.mean(measured) == pytest.approx(predicted[-1], rel=0.1, abs=1e-12)


def test_moments_of_tanh_are_those_of_an_integral() -> None:
    function = activations.function("tanh")
    assert function is not None
    moments = np.array([0.3, 2.0, 0.3])

    def mean(power: int, q: float) -> float:
        density = stats.norm(scale=q**0.5).pdf
        return float(integrate.quad(lambda x: density(x) / np.cosh(x) ** (2 * power), -20, 20)[0])

    kurtosis = [mean(4, q) / mean(2, q) ** 2 for q in moments]
    gaussian = predicted_spread(function, moments, orthogonal=False)
    np.testing.assert_allclose(gaussian, np.cumsum(kurtosis), rtol=1e-8)
    orthogonal = predicted_spread(function, moments, orthogonal=True)
    np.testing.assert_allclose(gaussian - orthogonal, [1, 2, 3])


def test_spread_and_directions_of_known_values() -> None:
    values = np.array([[2.0, 2.0, 2.0, 2.0], [3.0, 0.0, 0.0, 0.0], [1e200, 1e200, 0.0, 0.0]])
    np.testing.assert_allclose(directions(values), [4, 1, 2])
    np.testing.assert_allclose(spread(values), [0, 3, 1], atol=1e-15)
    squares = np.random.default_rng(0).uniform(size=50)
    assert spread(np.sqrt(squares)) == pytest.approx(squares.var() / squares.mean() ** 2)
    assert np.isnan(spread(np.zeros(3)))
