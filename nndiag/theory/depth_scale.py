"""Fixed points and depth scales: how far a signal travels (Schoenholz et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nndiag.theory.activations import Function
from nndiag.theory.quadrature import gaussian_mean, nodes

Array = np.ndarray

#: Networks were found trainable up to about this many depth scales (Schoenholz et al. 2017, 3).
TRAINABLE = 6.0
_TERMS = 400
#: Search for q* in steps of a factor 1.2, from 1e-9 to 1e9; beyond, q dies out or diverges.
_STRIDE = math.log(1.2)
_LOWEST, _HIGHEST = math.log(1e-9), math.log(1e9)
#: A map that changes q by less is neutral (relu with He): every q is a fixed point.
_TOLERANCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class DepthScale:
    """A wide network's fixed point, and how many layers it takes to get there.

    Attributes:
        fixed_point: q*, the second moment that layers converge to; 0 or inf where it leaves.
        chi: chi_1 = sigma_w^2 E[phi'^2] there; below 1 gradients vanish, above 1 they explode.
        gradient: xi = 1 / abs(log chi_1), layers over which the squared gradient changes by e.
        correlation: xi_c, layers over which the correlation of two inputs approaches its own fixed
            point by e: that much of what tells inputs apart is lost.
    """

    fixed_point: float
    chi: float
    gradient: float
    correlation: float

    @property
    def trainable_depth(self) -> float:
        """Return 6 xi_c, an order of magnitude, not a sharp edge."""
        return TRAINABLE * self.correlation


def depth_scale(
    function: Function, weight_scale: float, bias_variance: float = 0.0, start: float = 1.0
) -> DepthScale:
    """Return the fixed point reached from q = `start`, with its chi and depth scales.

    Schoenholz et al. 2017, section 3 (xi_c, at c* = 1 where chi_1 <= 1) and section 4 (gradient).

    Args:
        weight_scale: sigma_w^2 = fan_in times the variance of a weight.
        bias_variance: sigma_b^2.
    """
    fixed = fixed_point(function, weight_scale, bias_variance, start)
    at = min(max(fixed, 1e-12), 1e12)
    chi = weight_scale * gaussian_mean(function.derivative_squared, at)
    gradient = correlation = _layers(chi)
    if chi > 1 and 0 < fixed < math.inf and gradient < math.inf:
        correlations = CorrelationMap(function, weight_scale, bias_variance, fixed)
        correlation = _layers(correlations.slope(correlations.fixed_point()))
    return DepthScale(fixed_point=fixed, chi=chi, gradient=gradient, correlation=correlation)


def _layers(factor: float) -> float:
    """Return the layers over which powers of `factor` change by e.

    A hair's breadth from 1 the map converges algebraically: call that critical (infinite).
    """
    distance = abs(math.log(factor)) if factor > 0 else math.inf
    return math.inf if distance < 1e-4 else 1 / distance


class CorrelationMap:
    """How the correlation c of two inputs changes over a layer (Poole et al. 2016, eq. 5).

    c' = (sigma_w^2 E[phi(u1) phi(u2)] + sigma_b^2) / q' for u1, u2 ~ N(0, q) of correlation c. In
    Hermite coefficients a_k of phi(sqrt(q) z) the expectation is the power series sum a_k^2 c^k
    (Mehler; Daniely et al. 2016, the dual activation), so no double integral is due.
    """

    def __init__(
        self, function: Function, weight_scale: float, bias_variance: float, second_moment: float
    ) -> None:
        points, weights = nodes(second_moment)
        next_moment = weight_scale * gaussian_mean(function.squared, second_moment) + bias_variance
        coefficients = _hermite_coefficients(
            points / math.sqrt(second_moment), weights * function.phi(points)
        )
        powers = weight_scale * coefficients**2
        powers[0] += bias_variance
        self._series = np.polynomial.Polynomial(powers / next_moment)
        self._slope = self._series.deriv()

    def __call__(self, correlation: float) -> float:
        """Return c' of c in [-1, 1]; a correlation near 1 needs more terms than there are."""
        return float(self._series(correlation))

    def slope(self, correlation: float) -> float:
        """Return dc'/dc, which at the fixed point is sigma_w^2 E[phi'(u1) phi'(u2)]."""
        return float(self._slope(correlation))

    def fixed_point(self) -> float:
        """Return the smallest c* >= 0, which attracts: the series is convex, c' - c falls there."""
        return _root(lambda c: self(c) - c, 0.0, 1.0)


def _hermite_coefficients(z: Array, weighted: Array) -> Array:
    """Return E[f(z) h_k(z)] for k below `_TERMS`, h_k the normalised Hermite polynomials."""
    before, now = np.zeros_like(z), np.ones_like(z)
    found = np.empty(_TERMS)
    for k in range(_TERMS):
        found[k] = np.dot(weighted, now)
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return found


def fixed_point(
    function: Function, weight_scale: float, bias_variance: float = 0.0, start: float = 1.0
) -> float:
    """Return q* of q' = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2, going from q = `start`.

    Returns 0 where q dies out and inf where it grows for ever, however slowly (elu with He).
    Found by bracketing and bisection: near criticality the iteration itself hardly moves.
    """

    def growth(q: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return (weight_scale * gaussian_mean(function.squared, q) + bias_variance) / q - 1

    first = growth(start)
    if abs(first) < _TOLERANCE:
        return start
    step = math.copysign(_STRIDE, first)
    near = math.log(start)
    while _LOWEST < near < _HIGHEST:
        far = near + step
        if not growth(math.exp(far)) * first > 0:
            return math.exp(_root(lambda log_q: growth(math.exp(log_q)) * first, near, far))
        near = far
    return math.inf if first > 0 else 0.0


def _root(function: Callable[[float], float], above: float, below: float) -> float:
    """Return where `function` stops being positive between `above` (it is) and `below`."""
    for _halving in range(50):
        middle = 0.5 * (above + below)
        if function(middle) > 0:
            above = middle
        else:
            below = middle
    return above
