from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.theory.activations import function
from nndiag.theory.quadrature import gaussian_mean, nodes

NAMES = (
    *("sigmoid", "tanh", "hardtanh", "softsign", "relu", "leaky_relu", "rrelu", "prelu", "elu"),
    *("selu", "celu", "gelu", "silu", "mish", "softplus", "relu6", "linear"),
)
MOMENTS = [10.0**k for k in range(-6, 7)]


def by_scipy(f: Callable[[np.ndarray], np.ndarray], q: float, about: float) -> float:
    """Integrate in x = sqrt(q) z, piece by piece between the activations' bends.

    Pieces far below the value looked for need no digits of their own: `about` sets that scale.
    """
    integrate = pytest.importorskip("scipy.integrate")
    scale = math.sqrt(q)

    def integrand(x: float) -> float:
        density = math.exp(-0.5 * (x / scale) ** 2) / (scale * math.sqrt(2 * math.pi))
        return float(f(np.array([x]))[0]) * density

    half = {0.0, 11 * scale, *(e for e in (1, 4, 6, 20, 100, scale, 4 * scale) if e < 11 * scale)}
    edges = sorted({sign * edge for edge in half for sign in (-1, 1)})
    pieces = itertools.pairwise(edges)
    return math.fsum(
        integrate.quad(integrand, low, high, epsabs=1e-9 * about, epsrel=1e-9, limit=200)[0]
        for low, high in pieces
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_agrees_with_adaptive_integration(name: str) -> None:
    f = function(name)
    assert f is not None
    for q in MOMENTS[::3]:
        for integrand in (f.squared, f.derivative_squared):
            value = gaussian_mean(integrand, q)
            assert value == pytest.approx(by_scipy(integrand, q, value), rel=1e-7)


@given(st.floats(-6, 6), st.floats(-3, 3))
def test_share_below_a_threshold_within_a_cell_is_close(log_q: float, place: float) -> None:
    """A jump that no panel edge meets costs at most the panel's finest weights."""
    q = 10.0**log_q
    threshold = place * math.sqrt(q)
    share = gaussian_mean(lambda x: (x > threshold).astype(float), q)
    assert share == pytest.approx(0.5 * math.erfc(place / math.sqrt(2)), abs=0.008)


@given(st.floats(-6, 6))
def test_moments_of_the_normal_itself(log_q: float) -> None:
    q = 10.0**log_q
    assert gaussian_mean(np.ones_like, q) == pytest.approx(1, rel=1e-12)
    assert gaussian_mean(lambda x: x, q) == pytest.approx(0, abs=1e-12 * math.sqrt(q))
    assert gaussian_mean(lambda x: x**2, q) == pytest.approx(q, rel=1e-12)
    assert gaussian_mean(lambda x: x**4, q) == pytest.approx(3 * q**2, rel=1e-12)


@pytest.mark.parametrize("bend", [0.0, 0.5, 1.0, 3.0, 6.0])
@pytest.mark.parametrize("q", MOMENTS)
def test_jumps_of_usual_activations_are_exact(bend: float, q: float) -> None:
    share = gaussian_mean(lambda x: (np.abs(x) < bend).astype(float), q)
    assert share == pytest.approx(math.erf(bend / math.sqrt(2 * q)), rel=1e-10)


def test_no_spread_is_the_value_at_the_origin() -> None:
    assert gaussian_mean(lambda x: np.cos(x) + x, 0.0) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("q", [math.nan, math.inf])
def test_moments_out_of_range_are_nan(q: float) -> None:
    assert math.isnan(gaussian_mean(np.tanh, q))


@pytest.mark.parametrize("q", [1e-300, 1e-30, 1e30, 1e300])
def test_extreme_scales_raise_no_warning(q: float) -> None:
    assert gaussian_mean(lambda x: np.tanh(x) ** 2, q) == pytest.approx(min(q, 1.0), rel=1e-6)


def test_nodes_are_symmetric_and_shared() -> None:
    points, weights = nodes(2.0)
    np.testing.assert_allclose(points, -points[::-1], atol=1e-12)
    assert not weights.flags.writeable
    assert nodes(2.0)[0] is points
