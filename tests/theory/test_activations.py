from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nndiag.theory.activations import RRELU, Function, erfc, from_callables, function

BUILT_IN: dict[str, tuple[str, float | None, dict[str, Any]]] = {
    # label: (name, parameter, torch's keyword)
    "sigmoid": ("Sigmoid", None, {}),
    "tanh": ("Tanh", None, {}),
    "hardtanh": ("Hardtanh", None, {}),
    "softsign": ("Softsign", None, {}),
    "relu": ("ReLU", None, {}),
    "relu6": ("ReLU6", None, {}),
    "leaky_relu": ("LeakyReLU", None, {}),
    "leaky_relu:0.2": ("LeakyReLU", 0.2, {"negative_slope": 0.2}),
    "prelu": ("PReLU", None, {}),
    "prelu:0.375": ("PReLU", 0.375, {"init": 0.375}),
    "elu": ("ELU", None, {}),
    "elu:0.3": ("ELU", 0.3, {"alpha": 0.3}),
    "celu": ("CELU", None, {}),
    "celu:2": ("CELU", 2.0, {"alpha": 2.0}),
    "selu": ("SELU", None, {}),
    "gelu": ("GELU", None, {}),
    "silu": ("SiLU", None, {}),
    "mish": ("Mish", None, {}),
    "softplus": ("Softplus", None, {}),
    "linear": ("Identity", None, {}),
}
#: Where a derivative jumps: torch's choice there is a convention.
KINKS = (-1.0, 0.0, 1.0, 6.0)


def ours(label: str) -> Function:
    found = function(label.split(":")[0], BUILT_IN[label][1])
    assert found is not None
    return found


def by_torch(label: str, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kind, _parameter, keywords = BUILT_IN[label]
    module = getattr(torch.nn, kind)(**keywords).double()
    z = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    value = module(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach().numpy(), slope.numpy()


def grid() -> np.ndarray:
    points = np.concatenate([np.linspace(-30, 30, 2_001), [-300.0, 300.0, 1e-9, -1e-9]])
    return points[~np.isin(points, KINKS)]


@pytest.mark.parametrize("label", BUILT_IN)
def test_value_and_slope_are_those_of_torch(label: str) -> None:
    points = grid()
    value, slope = by_torch(label, points)
    # torch's softplus turns linear at 20: there it is off by e^-20.
    absolute = 3e-9 if label == "softplus" else 3e-13
    np.testing.assert_allclose(ours(label).phi(points), value, rtol=1e-12, atol=absolute)
    np.testing.assert_allclose(ours(label).derivative(points), slope, rtol=1e-10, atol=absolute)


@pytest.mark.parametrize("label", BUILT_IN)
@given(z=st.floats(-50, 50))
def test_slope_is_the_limit_of_differences(label: str, z: float) -> None:
    step = 1e-5
    if min(abs(z - kink) for kink in KINKS) < 2 * step:
        z += 1e-3
    f = ours(label)
    low, high = f.phi(np.array([z - step, z + step]))
    (slope,) = f.derivative(np.array([z]))
    assert (high - low) / (2 * step) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("label", BUILT_IN)
def test_powers_of_a_deterministic_activation(label: str) -> None:
    f, points = ours(label), grid()
    np.testing.assert_array_equal(f.squared(points), f.phi(points) ** 2)
    np.testing.assert_array_equal(f.derivative_squared(points), f.derivative(points) ** 2)
    np.testing.assert_array_equal(f.derivative_fourth(points), f.derivative(points) ** 4)


def test_rrelu_averages_over_its_slopes() -> None:
    slopes = np.random.default_rng(0).uniform(*RRELU, size=1_000_000)
    f, z = function("rrelu"), np.array([-2.0, 3.0])
    assert f is not None
    np.testing.assert_allclose(f.phi(z), [-2 * slopes.mean(), 3], rtol=1e-3)
    np.testing.assert_allclose(f.squared(z), [4 * (slopes**2).mean(), 9], rtol=1e-3)
    np.testing.assert_allclose(f.derivative(z), [slopes.mean(), 1], rtol=1e-3)
    np.testing.assert_allclose(f.derivative_squared(z), [(slopes**2).mean(), 1], rtol=1e-3)
    np.testing.assert_allclose(f.derivative_fourth(z), [(slopes**4).mean(), 1], rtol=2e-3)


def test_rrelu_brackets_torch_in_training_mode() -> None:
    torch.manual_seed(0)
    z = -torch.ones(200_000, dtype=torch.float64)
    value = torch.nn.RReLU().train()(z).numpy()
    f = function("rrelu")
    assert f is not None
    assert value.mean() == pytest.approx(float(f.phi(np.array([-1.0]))[0]), rel=2e-3)
    assert (value**2).mean() == pytest.approx(float(f.squared(np.array([-1.0]))[0]), rel=4e-3)


def test_unknown_names_have_no_function() -> None:
    assert function("package.module:Name") is None


def test_from_callables_keeps_what_it_is_given() -> None:
    f = from_callables("cube", lambda z: z**3, lambda z: 3 * z**2)
    z = np.array([2.0])
    assert (f.name, f.squared(z), f.derivative_squared(z), f.derivative_fourth(z)) == (
        *("cube", 64.0, 144.0, 20736.0),
    )


@pytest.mark.parametrize("label", BUILT_IN)
def test_no_warning_however_far_out(label: str) -> None:
    far = np.array([-1e150, -1e4, 0.0, 1e4, 1e150])
    assert np.isfinite(ours(label).phi(far)).all()
    assert np.isfinite(ours(label).derivative(far)).all()


def test_erfc_is_the_standard_librarys() -> None:
    x = np.array([[-math.inf, -3.0, 0.0], [1.0, 26.0, math.inf]])
    expected = [[2.0, math.erfc(-3), 1.0], [math.erfc(1), math.erfc(26), 0.0]]
    np.testing.assert_array_equal(erfc(x), expected)
