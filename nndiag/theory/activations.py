"""The one owner of phi and phi': activation functions and their derivatives, in float64 numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Scalar = Callable[[Array], Array]

#: Klambauer et al. 2017, eq. 14.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
#: Xu et al. 2015: slopes of rrelu are drawn from U(1/8, 1/3) while training.
RRELU = (1 / 8, 1 / 3)


@dataclass(frozen=True, kw_only=True)
class Function:
    """An activation as theory sees it.

    Attributes:
        phi, derivative: vectorised.
        squared, derivative_squared: E[phi^2] and E[phi'^2] pointwise, over the activation's own
            randomness; they differ from the squares of `phi` and `derivative` for rrelu alone.
        derivative_fourth: likewise E[phi'^4].
    """

    name: str
    phi: Scalar
    derivative: Scalar
    squared: Scalar
    derivative_squared: Scalar
    derivative_fourth: Scalar


def from_callables(name: str, phi: Scalar, derivative: Scalar) -> Function:
    """Return a deterministic activation from its function and derivative."""
    return Function(
        name=name,
        phi=phi,
        derivative=derivative,
        squared=lambda z: phi(z) ** 2,
        derivative_squared=lambda z: derivative(z) ** 2,
        derivative_fourth=lambda z: derivative(z) ** 4,
    )


def function(name: str, parameter: float | None = None) -> Function | None:
    """Return a built-in activation, or None for a name that has no closed form here.

    Args:
        parameter: the slope of leaky_relu and prelu, alpha of elu and celu; None: torch's default.
    """
    if name == "rrelu":
        return _rrelu()
    if name in _PARAMETRIC:
        default, make = _PARAMETRIC[name]
        phi, derivative = make(default if parameter is None else parameter)
        return from_callables(name, phi, derivative)
    pair = _PLAIN.get(name)
    return from_callables(name, *pair) if pair else None


def _sigmoid(z: Array) -> Array:
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1 + small)


def _sigmoid_slope(z: Array) -> Array:
    small = np.exp(-np.abs(z))
    return small / (1 + small) ** 2


def _step(z: Array) -> Array:
    return (z > 0).astype(float)


def _between(low: float, high: float) -> Scalar:
    return lambda z: ((z > low) & (z < high)).astype(float)


def _gauss(z: Array) -> Array:
    return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


def _normal_cdf(z: Array) -> Array:
    return 0.5 * erfc(-z / math.sqrt(2))


def erfc(x: Array) -> Array:
    """Return the complementary error function, which numpy lacks; accurate in its tail."""
    x = np.asarray(x, dtype=float)
    return np.fromiter(map(math.erfc, x.ravel().tolist()), float, x.size).reshape(x.shape)


def _softplus(z: Array) -> Array:
    return np.logaddexp(0.0, z)


def _mish_slope(z: Array) -> Array:
    inner = np.tanh(_softplus(z))
    return inner + z * (1 - inner**2) * _sigmoid(z)


def _exponential_unit(scale: float, alpha: float, rate: float = 1.0) -> tuple[Scalar, Scalar]:
    """Return scale * (z above 0, alpha * (exp(rate * z) - 1) below) and its derivative."""

    def phi(z: Array) -> Array:
        return scale * np.where(z > 0, z, alpha * np.expm1(rate * np.minimum(z, 0.0)))

    def derivative(z: Array) -> Array:
        return scale * np.where(z > 0, 1.0, alpha * rate * np.exp(rate * np.minimum(z, 0.0)))

    return phi, derivative


def _leaky(slope: float) -> tuple[Scalar, Scalar]:
    return (
        lambda z: np.where(z > 0, z, slope * z),
        lambda z: np.where(z > 0, 1.0, slope),
    )


_PLAIN: dict[str, tuple[Scalar, Scalar]] = {
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "tanh": (np.tanh, lambda z: 4 * _sigmoid_slope(2 * z)),
    "hardtanh": (lambda z: np.clip(z, -1, 1), _between(-1, 1)),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: (1 + np.abs(z)) ** -2.0),
    "relu": (lambda z: np.maximum(z, 0), _step),
    "relu6": (lambda z: np.clip(z, 0, 6), _between(0, 6)),
    "selu": _exponential_unit(SELU_SCALE, SELU_ALPHA),
    "gelu": (lambda z: z * _normal_cdf(z), lambda z: _normal_cdf(z) + z * _gauss(z)),
    "silu": (
        lambda z: z * _sigmoid(z),
        lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)),
    ),
    "mish": (lambda z: z * np.tanh(_softplus(z)), _mish_slope),
    "softplus": (_softplus, _sigmoid),
    "linear": (lambda z: z, np.ones_like),
}

_PARAMETRIC: dict[str, tuple[float, Callable[[float], tuple[Scalar, Scalar]]]] = {
    "leaky_relu": (0.01, _leaky),
    "prelu": (0.25, _leaky),
    "elu": (1.0, lambda alpha: _exponential_unit(1.0, alpha)),
    "celu": (1.0, lambda alpha: _exponential_unit(1.0, alpha, 1 / alpha)),
}


def _rrelu() -> Function:
    """Return rrelu while training: each negative entry gets its own slope a ~ U(1/8, 1/3)."""
    low, high = RRELU
    first, second, fourth = (
        (high ** (k + 1) - low ** (k + 1)) / ((k + 1) * (high - low)) for k in (1, 2, 4)
    )
    return Function(
        name="rrelu",
        phi=lambda z: np.where(z > 0, z, first * z),
        derivative=lambda z: np.where(z > 0, 1.0, first),
        squared=lambda z: np.where(z > 0, 1.0, second) * z**2,
        derivative_squared=lambda z: np.where(z > 0, 1.0, second),
        derivative_fourth=lambda z: np.where(z > 0, 1.0, fourth),
    )
