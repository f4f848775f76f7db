from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.theory.activations import Function, erfc, from_callables, function
from nndiag.theory.depth_scale import CorrelationMap, depth_scale, fixed_point
from nndiag.theory.quadrature import gaussian_mean

ERF = from_callables(
    "erf", lambda z: 1 - erfc(z), lambda z: 2 / math.sqrt(math.pi) * np.exp(-(z**2))
)


def named(name: str) -> Function:
    found = ERF if name == "erf" else function(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "weight_scale", "bias_variance", "moment"),
    [
        ("tanh", 1.086, 1e-4, 0.046),
        ("tanh", 1.189, 0.001, 0.107),
        ("tanh", 1.424, 0.01, 0.273),
        ("tanh", 1.761, 0.05, 0.570),
        ("tanh", 1.986, 0.1, 0.806),
        ("tanh", 2.285, 0.2, 1.165),
        ("tanh", 2.505, 0.3, 1.461),
        ("tanh", 2.843, 0.5, 1.971),
        ("erf", 1.114, 0.01, 0.253),
        ("erf", 1.376, 0.05, 0.517),
        ("erf", 1.552, 0.1, 0.726),
        ("erf", 2.234, 0.5, 1.772),
        ("softsign", 2.289, 0.01, 0.154),
        ("softsign", 3.141, 0.05, 0.412),
        ("softsign", 3.694, 0.1, 0.642),
        ("sigmoid", 103.0, 0.0, 45.6),
    ],
)
def test_critical_points(
    name: str, weight_scale: float, bias_variance: float, moment: float
) -> None:
    scale = depth_scale(named(name), weight_scale, bias_variance)
    assert scale.fixed_point == pytest.approx(moment, rel=3e-3, abs=1e-3)
    assert scale.chi == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "weight_scale", "moment", "chi"),
    [
        # sigma_w^2 = 1/3 with sigma_b^2 = 1 / (3 * 128): PyTorch's default at width 128.
        ("sigmoid", 1 / 3, 0.088, 0.0200),
        ("tanh", 1 / 3, 0.0039, 0.331),
        ("relu", 1 / 3, 0.0031, 1 / 6),
        ("elu", 1 / 3, 0.0038, 0.318),
        ("selu", 1 / 3, 0.0072, 0.636),
        ("gelu", 1 / 3, 0.0028, 0.0839),
        ("silu", 1 / 3, 0.0028, 0.0836),
        ("softsign", 1 / 3, 0.0036, 0.280),
        ("sigmoid", 1, 0.2647, 0.0557),
        ("tanh", 1, 0, 1),
        ("relu", 1, 0, 0.5),
        ("elu", 1, 0, 1),
        ("selu", 1, 1, 1.0716),
        ("gelu", 1, 0, 0.25),
        ("silu", 1, 0, 0.25),
        ("softsign", 1, 0, 1),
        ("sigmoid", 2, 0.555, 0.101),
        ("tanh", 2, 0.618, 1.11),
        ("relu", 2, 1, 1),
        ("gelu", 2, 0, 0.5),
        ("silu", 2, 0, 0.5),
        ("softsign", 2, 0.080, 1.04),
        ("sigmoid", 64, 27.4, 0.795),
        ("sigmoid", 128, 57.4, 1.11),
        ("sigmoid", 512, 243, 2.18),
        ("tanh", 64, 57, 4.48),
        ("tanh", 128, 119, 6.24),
        ("tanh", 512, 494, 12.3),
        ("softsign", 64, 37, 2.77),
        ("softsign", 128, 85, 3.68),
        ("softsign", 512, 405, 6.76),
        ("relu", 128, math.inf, 64),
        ("selu", 2, math.inf, 1.1055),
        ("gelu", 64, math.inf, 32),
        ("elu", 2, math.inf, 1),  # 1 + O(1/sqrt(q)), q grows by about 1 a layer for ever
    ],
)
def test_fixed_points_of_common_initialisations(
    name: str, weight_scale: float, moment: float, chi: float
) -> None:
    bias_variance = 1 / (3 * 128) if weight_scale == 1 / 3 else 0.0
    scale = depth_scale(named(name), weight_scale, bias_variance)
    assert scale.fixed_point == pytest.approx(moment, rel=0.02, abs=6e-5)
    assert scale.chi == pytest.approx(chi, rel=0.006)


@pytest.mark.parametrize(
    ("weight_scale", "xi"),
    [(1.0, 3.63), (1.3, 7.83), (1.5, 15.8)],
)
def test_ordered_phase_has_one_depth_scale(weight_scale: float, xi: float) -> None:
    scale = depth_scale(named("tanh"), weight_scale, 0.05)
    assert scale.gradient == pytest.approx(xi, rel=3e-3)
    assert scale.correlation == scale.gradient
    assert scale.trainable_depth == pytest.approx(6 * xi, rel=3e-3)


@pytest.mark.parametrize(
    ("gain", "xi"),
    # -1 / log(sigma_w^2 E[phi'(u1) phi'(u2)]) at c* = 0, tanh without bias.
    [(1.1, 200), (1.3, 34), (1.6, 13.7), (2.0, 8.0)],
)
def test_chaotic_phase_without_bias_decorrelates_fully(gain: float, xi: float) -> None:
    tanh = named("tanh")
    scale = depth_scale(tanh, gain**2)
    assert scale.correlation == pytest.approx(xi, rel=0.01)
    slope = gaussian_mean(tanh.derivative, scale.fixed_point)
    assert scale.correlation == pytest.approx(-1 / math.log(gain**2 * slope**2), rel=1e-6)
    assert scale.gradient == pytest.approx(1 / math.log(scale.chi))


@pytest.mark.parametrize(
    ("weight_scale", "moment", "chi"), [(2.5, 1.064, 1.134), (4.0, 2.195, 1.342)]
)
def test_chaotic_phase_with_bias(weight_scale: float, moment: float, chi: float) -> None:
    scale = depth_scale(named("tanh"), weight_scale, 0.05)
    assert scale.fixed_point == pytest.approx(moment, rel=1e-3)
    assert scale.chi == pytest.approx(chi, rel=1e-3)
    assert scale.correlation > scale.gradient  # forward structure outlives gradients


def by_double_integral(f: Function, q: float, correlation: float) -> float:
    """E[phi(u1) phi(u2)] on a grid in two dimensions."""
    z = np.linspace(-9, 9, 1_201)
    weight = np.exp(-0.5 * z**2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    first = math.sqrt(q) * z[:, None]
    second = math.sqrt(q) * (correlation * z[:, None] + math.sqrt(1 - correlation**2) * z[None, :])
    return float(weight @ (f.phi(first) * f.phi(second)) @ weight)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "selu", "gelu", "softsign"])
@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.3, 0.9])
def test_correlation_map_is_the_double_integral(name: str, correlation: float) -> None:
    f, q = named(name), 1.7
    found = CorrelationMap(f, 1.3, 0.05, q)(correlation)
    expected = 1.3 * by_double_integral(f, q, correlation) + 0.05
    expected /= 1.3 * gaussian_mean(f.squared, q) + 0.05
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(st.floats(-0.95, 0.95))
def test_correlation_map_of_relu_is_the_arc_cosine_kernel(correlation: float) -> None:
    # Cho & Saul 2009, eq. 3 (n = 1), normalised.
    angle = math.acos(correlation)
    kernel = (math.sin(angle) + (math.pi - angle) * correlation) / math.pi
    assert CorrelationMap(named("relu"), 2.0, 0.0, 3.0)(correlation) == pytest.approx(
        kernel, abs=1e-5
    )


def test_correlation_map_of_erf_is_the_arc_sine_kernel() -> None:
    # Williams 1997: E[erf erf] = 2/pi asin(2 q c / (1 + 2 q)).
    q = 0.8
    found = CorrelationMap(ERF, 1.5, 0.1, q)
    full = 1.5 * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + 0.1
    for c in (-0.9, 0.0, 0.5, 0.99):
        kernel = 1.5 * 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q)) + 0.1
        assert found(c) == pytest.approx(kernel / full, rel=1e-9)


def test_slope_of_the_correlation_map_is_its_derivative() -> None:
    found = CorrelationMap(named("tanh"), 2.5, 0.05, 1.064)
    for c in (-0.5, 0.0, 0.7):
        difference = (found(c + 1e-6) - found(c - 1e-6)) / 2e-6
        assert found.slope(c) == pytest.approx(difference, rel=1e-6)


def test_fixed_correlation_is_where_the_iteration_ends() -> None:
    q = fixed_point(named("tanh"), 2.5, 0.05)
    found = CorrelationMap(named("tanh"), 2.5, 0.05, q)
    c = 0.9
    for _layer in range(500):
        c = found(c)
    assert found.fixed_point() == pytest.approx(c, abs=1e-9)
    assert 0 < c < 1


@given(st.floats(0.2, 30), st.floats(1e-4, 1.0), st.floats(-3, 3))
def test_fixed_points_reproduce_themselves(
    weight_scale: float, bias_variance: float, log_start: float
) -> None:
    for name in ("sigmoid", "tanh"):
        f = named(name)
        q = fixed_point(f, weight_scale, bias_variance, 10.0**log_start)
        again = weight_scale * gaussian_mean(f.squared, q) + bias_variance
        assert again == pytest.approx(q, rel=1e-9)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "prelu", "rrelu", "linear"])
@pytest.mark.parametrize("start", [1e-3, 1.0, 7.0])
def test_homogeneous_activations_keep_any_moment_at_criticality(name: str, start: float) -> None:
    f = named(name)
    critical = 1 / gaussian_mean(f.derivative_squared, 1.0)
    scale = depth_scale(f, critical, start=start)
    assert scale.fixed_point == start
    assert scale.gradient == scale.correlation == math.inf


def test_rrelu_is_critical_at_its_own_variance() -> None:
    critical = 1 / gaussian_mean(named("rrelu").derivative_squared, 1.0)
    assert critical == pytest.approx(1.8937, abs=5e-5)
    assert critical == pytest.approx(2 / (1 + (1 / 8**2 + 1 / 24 + 1 / 9) / 3), rel=1e-12)


def test_exploding_user_function_has_no_fixed_point() -> None:
    scale = from_callables("exp", np.exp, np.exp)
    assert fixed_point(scale, 1.0) == math.inf


def test_saturating_far_out_is_found_from_either_side() -> None:
    f = named("tanh")
    assert fixed_point(f, 128, start=1e-3) == pytest.approx(fixed_point(f, 128, start=1e6))


def test_depth_scale_is_quick() -> None:
    started = time.process_time()
    for name in ("tanh", "gelu", "elu"):
        depth_scale(named(name), 2.0, 0.01)
    assert time.process_time() - started < 2
