from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.theory.activations import function
from nndiag.theory.propagation import share_in_tails
from nndiag.theory.saturation import Tails, tails

INF = math.inf


def of(name: str, parameter: float | None = None) -> Tails:
    f = function(name, parameter)
    assert f is not None
    found = tails(f.derivative)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sigmoid", -4.36, 4.36),
        ("tanh", -2.18, 2.18),
        ("softsign", -3.47, 3.47),
        ("hardtanh", -1, 1),
        ("elu", -3.00, INF),
        ("selu", -3.00, INF),
        ("softplus", -2.94, INF),
        ("relu", 0, INF),
        ("relu6", 0, 6),
        ("leaky_relu", 0, INF),
        ("gelu", -2.28, INF),
        ("silu", -3.93, INF),
        ("rrelu", -INF, INF),
        ("prelu", -INF, INF),
        ("linear", -INF, INF),
    ],
)
def test_boundaries(name: str, low: float, high: float) -> None:
    found = of(name)
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_closed_form_boundaries() -> None:
    # tanh: 1 - tanh^2 = 0.05. sigmoid: s (1 - s) = 0.05 / 4. elu: e^z = 0.05.
    assert of("tanh").high == pytest.approx(math.atanh(math.sqrt(0.95)), rel=1e-9)
    edge = 0.5 * (1 + math.sqrt(0.95))
    assert of("sigmoid").high == pytest.approx(math.log(edge / (1 - edge)), rel=1e-9)
    assert of("elu").low == pytest.approx(math.log(0.05), rel=1e-9)
    assert of("softsign").high == pytest.approx(math.sqrt(20) - 1, rel=1e-9)


def test_a_leak_above_the_share_is_no_tail() -> None:
    assert of("leaky_relu", 0.2) == Tails()
    assert of("leaky_relu", 0.049).low == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "gate"),
    [("relu", True), ("leaky_relu", True), ("relu6", True), ("hardtanh", False), ("elu", False)],
)
def test_gates(name: str, gate: bool) -> None:
    assert of(name).gate is gate


def test_a_leak_is_a_gate_that_is_not_flat() -> None:
    leak, rectifier, clip = of("leaky_relu"), of("relu"), of("hardtanh")
    assert not leak.flat
    assert rectifier.flat_low == pytest.approx(0, abs=1e-9)
    assert rectifier.flat_high == INF
    assert (clip.flat_low, clip.flat_high) == pytest.approx((-1, 1))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softsign", "elu", "selu", "silu", "mish"])
def test_smooth_tails_are_not_flat(name: str) -> None:
    assert not of(name).flat


@pytest.mark.parametrize(
    "derivative", [lambda z: 2 * z, np.exp, lambda z: 3 * z**2], ids=["square", "exp", "cube"]
)
def test_unbounded_slopes_have_no_saturation(derivative: object) -> None:
    assert tails(derivative) is None  # type: ignore[arg-type]


def test_constant_functions_have_no_saturation() -> None:
    assert tails(np.zeros_like) is None


@given(st.floats(0.5, 20))
def test_sine_turns_but_has_no_tails(frequency: float) -> None:
    assert tails(lambda z: frequency * np.cos(frequency * z)) == Tails()


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        # P under N(0, 1), N(0, 4), N(0, 25)
        ("sigmoid", (0.000, 0.029, 0.38)),
        ("tanh", (0.029, 0.28, 0.66)),
        ("softsign", (0.001, 0.083, 0.49)),
        ("hardtanh", (0.32, 0.62, 0.84)),
        ("elu", (0.001, 0.068, 0.28)),
        ("softplus", (0.002, 0.071, 0.28)),
        ("relu", (0.5, 0.5, 0.5)),
        ("linear", (0.0, 0.0, 0.0)),
    ],
)
def test_shares_of_a_gaussian(name: str, shares: tuple[float, ...]) -> None:
    found = [share_in_tails(q, of(name)) for q in (1.0, 4.0, 25.0)]
    assert found == pytest.approx(shares, abs=0.006)


def test_shares_are_those_of_a_sample() -> None:
    z = 1.7 * np.random.default_rng(0).standard_normal(400_000)
    for name in ("tanh", "relu6", "silu"):
        found = of(name)
        assert share_in_tails(1.7**2, found) == pytest.approx(
            np.mean((z < found.low) | (z > found.high)), abs=0.003
        )


def test_without_spread_everything_sits_at_the_origin() -> None:
    assert share_in_tails(0.0, of("tanh")) == 0
    assert share_in_tails(0.0, Tails(low=1.0)) == 1
