from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.theory.activations import Function, from_callables, function
from nndiag.theory.propagation import (
    Layers,
    Prediction,
    bulk,
    decay_per_layer,
    fitted_slope,
    propagate,
)
from nndiag.theory.saturation import tails


def named(name: str) -> Function:
    found = function(name)
    assert found is not None
    return found


def square(
    depth: int, weight_scale: float, width: int = 128, bias: float = 0.0, **more: object
) -> Layers:
    """A network of equal layers whose weights have variance weight_scale / width."""
    return Layers(
        fan_in=np.full(depth, float(width)),
        weight_variance=np.full(depth, weight_scale / width),
        bias_variance=np.full(depth, bias),
        **more,  # type: ignore[arg-type]
    )


def run(name: str, layers: Layers, moment: float = 1.0) -> Prediction:
    f = named(name)
    return propagate(layers, f, moment, tails(f.derivative))


# --- closed forms ---


@pytest.mark.parametrize("weight_scale", [1 / 3, 1.0, 2.0, 5.0])
@given(moment=st.floats(0.01, 100), slope=st.floats(-0.9, 0.9))
def test_leaky_rectifiers_follow_powers(weight_scale: float, moment: float, slope: float) -> None:
    f = function("leaky_relu", slope)
    assert f is not None
    chi = weight_scale * (1 + slope**2) / 2
    found = propagate(square(12, weight_scale), f, moment)
    expected = moment * weight_scale * chi ** np.arange(12)
    np.testing.assert_allclose(found.second_moment, expected, rtol=1e-9)
    np.testing.assert_allclose(found.log_chi, math.log(chi), atol=1e-9)
    np.testing.assert_allclose(
        found.log_signal, 0.5 * math.log(chi) * np.arange(11, -1, -1), atol=1e-9
    )


def test_rectifier_activations_have_half_normal_moments() -> None:
    found = run("relu", square(3, 2.0), 1.5)
    q = 3.0
    np.testing.assert_allclose(found.activation_mean[:-1], math.sqrt(q / (2 * math.pi)))
    np.testing.assert_allclose(
        found.activation_std[:-1], math.sqrt(q / 2 - q / (2 * math.pi)), rtol=1e-9
    )
    assert found.activation_mean[-1] == 0
    assert found.activation_std[-1] == pytest.approx(math.sqrt(q))
    assert found.saturated_fraction == pytest.approx([0.5, 0.5])


def test_erf_network_follows_the_arc_sine() -> None:
    # E[erf^2] = 2/pi asin(2q / (1 + 2q)), E[erf'^2] = 4/pi / sqrt(1 + 4q).
    erf = from_callables(
        "erf",
        lambda z: np.vectorize(math.erf)(z),
        lambda z: 2 / math.sqrt(math.pi) * np.exp(-(z**2)),
    )
    found = propagate(square(6, 1.7, bias=0.1), erf, 0.8)
    q = 1.7 * 0.8 + 0.1
    for layer in range(5):
        assert found.second_moment[layer] == pytest.approx(q, rel=1e-9)
        slope = 4 / math.pi / math.sqrt(1 + 4 * q)
        assert found.log_chi[layer] == pytest.approx(math.log(1.7 * slope), rel=1e-9)
        q = 1.7 * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + 0.1


def test_selu_keeps_its_fixed_point() -> None:
    found = run("selu", square(50, 1.0))
    np.testing.assert_allclose(found.second_moment, 1, rtol=1e-9)
    np.testing.assert_allclose(found.activation_mean, 0, atol=1e-9)
    np.testing.assert_allclose(found.activation_std, 1, rtol=1e-9)
    np.testing.assert_allclose(np.exp(found.log_chi), 1.0716, rtol=1e-4)


def test_tanh_saturation_of_gain_five_thirds() -> None:
    # Papers' table: q* 1.178, activation std 0.651, P(|a| > 0.97) 5.4 %.
    found = run("tanh", square(60, (5 / 3) ** 2), 1.0)
    assert found.second_moment[40] == pytest.approx(1.178, abs=1e-3)
    assert found.activation_std[40] == pytest.approx(0.651, abs=1e-3)
    beyond = math.erfc(math.atanh(0.97) / math.sqrt(2 * found.second_moment[40]))
    assert beyond == pytest.approx(0.054, abs=5e-4)
    assert found.saturated_fraction is not None
    edge = math.atanh(math.sqrt(0.95))
    assert found.saturated_fraction[40] == pytest.approx(
        math.erfc(edge / math.sqrt(2 * found.second_moment[40])), rel=1e-6
    )


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        *(("linear", 0.0), ("sigmoid", 0.007), ("selu", 0.015), ("elu", 0.017), ("tanh", 0.036)),
        *(("silu", 0.042), ("softsign", 0.047), ("gelu", 0.060), ("leaky_relu", 0.081)),
        ("relu", 0.083),
    ],
)
def test_batch_norm_never_vanishes(name: str, slope: float) -> None:
    found = run(name, square(8, 1.3, norm="batch"))
    hidden = 0.5 * found.log_chi[1:-1] / math.log(10)
    np.testing.assert_allclose(hidden, slope, atol=5e-4)


def test_batch_norm_of_relu_is_yangs_constant() -> None:
    found = run("relu", square(8, 7.0, norm="batch"))
    np.testing.assert_allclose(np.exp(found.log_chi[1:-1]), math.pi / (math.pi - 1), rtol=1e-9)


@given(st.sampled_from(["sigmoid", "tanh", "gelu"]), st.floats(0.1, 50), st.floats(0, 2))
def test_batch_norm_forgets_scale_and_bias(name: str, weight_scale: float, bias: float) -> None:
    plain = run(name, square(6, 1.0, norm="batch"))
    scaled = run(name, square(6, weight_scale, bias=bias, norm="batch"))
    np.testing.assert_allclose(scaled.log_chi[1:-1], plain.log_chi[1:-1], atol=1e-9)


def test_layer_norm_divides_by_the_second_moment() -> None:
    # chi = E[phi'^2] / E[phi^2] at q = 1: exactly 1 for rectifiers, without bias.
    np.testing.assert_allclose(run("relu", square(9, 0.4, norm="layer")).log_chi[1:], 0, atol=1e-9)


@pytest.mark.parametrize("keep", [0.9, 0.5])
def test_dropout_scales_chi_of_rectifiers(keep: float) -> None:
    found = run("relu", square(9, 2.0, keep=keep))
    np.testing.assert_allclose(np.exp(found.log_chi), 1 / keep, rtol=1e-9)
    np.testing.assert_allclose(found.second_moment, 2 * keep ** -np.arange(9.0), rtol=1e-9)


# --- against Monte Carlo ---


def sample(
    name: str, depth: int, width: int, weight_scale: float, draws: int, keep: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean squared pre-activations (draws, depth) and |delta|^2 (draws, depth)."""
    rng, f = np.random.default_rng(1), named(name)
    forward, backward = np.empty((draws, depth)), np.empty((draws, depth))
    for draw in range(draws):
        h = rng.standard_normal(width)
        weights, slopes = [], []
        for layer in range(depth):
            w = rng.standard_normal((width, width)) * math.sqrt(weight_scale / width)
            z = w @ h
            mask = (rng.random(width) < keep) / keep
            weights.append(w)
            slopes.append(f.derivative(z) * mask)
            forward[draw, layer] = np.mean(z**2)
            h = f.phi(z) * mask
        delta = rng.standard_normal(width)
        for layer in reversed(range(depth)):
            if layer < depth - 1:
                delta = slopes[layer] * (weights[layer + 1].T @ delta)
            backward[draw, layer] = np.sum(delta**2)
    return forward, backward


@pytest.mark.parametrize(
    ("name", "weight_scale"),
    [("tanh", 2.5), ("sigmoid", 4.0), ("elu", 1.2), ("softsign", 3.0), ("hardtanh", 2.0)],
)
def test_means_of_a_random_network(name: str, weight_scale: float) -> None:
    forward, backward = sample(name, 8, 300, weight_scale, 12)
    found = run(name, square(8, weight_scale, width=300))
    np.testing.assert_allclose(forward.mean(axis=0), found.second_moment, rtol=0.12)
    signal = np.log(backward / backward[:, -1:]).mean(axis=0)
    np.testing.assert_allclose(signal, 2 * found.log_signal, atol=0.25)


def test_dropout_of_a_random_network() -> None:
    _forward, backward = sample("tanh", 8, 300, 1.5, 12, keep=0.7)
    found = run("tanh", square(8, 1.5, width=300, keep=0.7))
    signal = np.log(backward / backward[:, -1:]).mean(axis=0)
    np.testing.assert_allclose(signal, 2 * found.log_signal, atol=0.3)


@pytest.mark.parametrize(("name", "weight_scale", "factor"), [("relu", 2, 5), ("linear", 1, 2)])
def test_spread_over_draws(name: str, weight_scale: float, factor: float) -> None:
    """Hanin & Nica 2020: 5/n a layer for relu, 2/n for linear."""
    depth, width = 9, 60
    _forward, backward = sample(name, depth, width, weight_scale, 1_500)
    measured = np.log(backward[:, 0] / backward[:, -1]).var()
    found = run(name, square(depth, weight_scale, width=width))
    assert found.log_variance[0] == pytest.approx(factor * (depth - 1) / width, rel=1e-9)
    # The logarithm's own curvature adds some (papers: 0.95 to 1.45 beta at n >= 20).
    assert 0.9 < measured / found.log_variance[0] < 1.3


def test_orthogonal_weights_spread_less() -> None:
    def spread(name: str) -> float:
        return float(run(name, square(5, 1.0, width=50, orthogonal=True)).log_variance[0])

    assert spread("linear") == pytest.approx(0, abs=1e-12)
    assert spread("relu") == pytest.approx(4 * 3 / 50, rel=1e-9)


def test_orthogonal_spread_is_that_of_draws() -> None:
    rng, width, depth, logs = np.random.default_rng(2), 40, 6, []
    for _draw in range(600):
        delta, start = rng.standard_normal(width), 0.0
        start = float(np.sum(delta**2))
        for _layer in range(depth - 1):
            q, r = np.linalg.qr(rng.standard_normal((width, width)))
            delta = math.sqrt(2) * (q * np.sign(np.diag(r))) @ delta * (rng.random(width) < 0.5)
        logs.append(math.log(float(np.sum(delta**2)) / start))
    expected = run("relu", square(depth, 2.0, width=width, orthogonal=True)).log_variance[0]
    assert 0.85 < np.var(logs) / expected < 1.3


# --- extremes ---


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu", "selu", "softplus", "rrelu"])
@pytest.mark.parametrize("weight_scale", [1e-3, 1.0, 128.0])
def test_ten_thousand_layers(name: str, weight_scale: float) -> None:
    found = run(name, square(10_000, weight_scale))
    assert np.isfinite(found.log_signal).all()
    assert np.isfinite(found.log_chi).all()
    assert not np.isnan(found.second_moment).any()
    assert not np.isnan(found.activation_std).any()


def test_far_out_moments_continue_as_powers() -> None:
    found = run("gelu", square(400, 128.0))
    assert found.second_moment[-1] == math.inf
    np.testing.assert_allclose(found.log_chi[5:], math.log(64), atol=1e-6)
    steps = np.diff(np.log(found.second_moment[100:150]))
    np.testing.assert_allclose(steps, math.log(64), atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "gelu", "elu"])
def test_thousand_layers_take_less_than_a_second(name: str) -> None:
    started = time.process_time()
    run(name, square(1_000, 1.0))
    assert time.process_time() - started < 1


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_shallow_networks(depth: int) -> None:
    found = run("tanh", square(depth, 1.0))
    assert found.log_signal.shape == found.second_moment.shape == (depth,)
    assert found.log_chi.shape == (depth - 1,)
    assert found.log_signal[-1] == 0
    assert found.unreliable is None


def test_data_of_zeros() -> None:
    found = run("sigmoid", square(4, 1.0), 0.0)
    assert found.second_moment[0] == 0
    assert found.second_moment[1] == pytest.approx(0.25)


# --- doubts ---


def test_reasons_for_doubt() -> None:
    assert run("gelu", square(20, 2.0)).unreliable == (
        "Theory is unreliable here: the second moment is unstable, samples of large norm grow "
        "while small ones die out, and no single value describes a layer."
    )
    assert run("relu", square(20, 2.0, width=31)).unreliable == (
        "Theory is unreliable here: it describes wide layers, and 31 units are few."
    )
    assert run("relu", square(300, 2.0)).unreliable == (
        "Theory is unreliable here: the network is so deep for its width that one draw of the "
        "weights differs from the next by more than the trend (Hanin & Nica 2020)."
    )


@pytest.mark.parametrize("width", [32, 4096])
def test_wide_enough_is_trusted(width: int) -> None:
    assert run("relu", square(20, 2.0, width=width)).unreliable is None


# --- slopes ---


@given(st.floats(0.01, 100), st.floats(1e-20, 1e20), st.integers(2, 60))
def test_decay_of_an_exact_power_law(factor: float, last: float, layers: int) -> None:
    norms = last * factor ** np.arange(layers - 1, -1, -1.0)
    assert decay_per_layer(norms) == pytest.approx(factor, rel=1e-6)


def test_decay_leaves_out_what_has_no_logarithm() -> None:
    norms = 2.0 ** np.arange(10, 0, -1)
    norms[[2, 5, 7]] = [0, math.nan, math.inf]
    assert decay_per_layer(norms) == pytest.approx(2, rel=1e-9)


@pytest.mark.parametrize("norms", [[], [1.0], [0.0, 0.0, 3.0], [math.nan, 1.0], [math.inf] * 3])
def test_decay_needs_two_values(norms: list[float]) -> None:
    assert math.isnan(decay_per_layer(np.array(norms)))


def test_slope_is_least_squares() -> None:
    values = np.random.default_rng(0).standard_normal(9)
    places = np.array([0, 1, 2, 5, 6, 7, 9, 11, 12])
    assert fitted_slope(values, places) == pytest.approx(np.polyfit(places, values, 1)[0])
    assert fitted_slope(values) == pytest.approx(np.polyfit(np.arange(9), values, 1)[0])


@pytest.mark.parametrize(
    ("hidden", "layers"),
    [(19, [*range(3, 19)]), (6, [3, 4, 5]), (5, [1, 2, 3, 4, 5]), (2, [1, 2]), (0, [])],
)
def test_bulk_is_layers_three_to_depth_minus_two(hidden: int, layers: list[int]) -> None:
    assert list(range(1, hidden + 1))[bulk(hidden)] == layers
