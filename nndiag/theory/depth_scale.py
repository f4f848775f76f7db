"""Fixed points and depth scales: how far a signal travels (Schoenholz et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nndiag.theory.activations import Function
from nndiag.theory.quadrature import gaussian_mean

#: Networks were found trainable up to about this many depth scales (Schoenholz et al. 2017, 3).
TRAINABLE = 6.0
_ROUNDS = 2_000
_TOLERANCE = 1e-10


@dataclass(frozen=True, kw_only=True)
class DepthScale:
    """A wide network's fixed point.

    Attributes:
        fixed_point: q*, the second moment that layers converge to; 0 or inf where it leaves.
        chi: chi_1 = sigma_w^2 E[phi'^2] there; below 1 gradients vanish, above 1 they explode.
        gradient: xi = 1 / abs(log chi_1), layers over which the squared gradient changes by e.
    """

    fixed_point: float
    chi: float
    gradient: float

    @property
    def trainable_depth(self) -> float:
        """Return 6 xi, an order of magnitude, not a sharp edge."""
        return TRAINABLE * self.gradient


def depth_scale(
    function: Function, weight_scale: float, bias_variance: float = 0.0, start: float = 1.0
) -> DepthScale:
    """Return the fixed point reached from q = `start`, with its chi and depth scale.

    Args:
        weight_scale: sigma_w^2 = fan_in times the variance of a weight.
        bias_variance: sigma_b^2.
    """
    fixed = fixed_point(function, weight_scale, bias_variance, start)
    at = min(max(fixed, 1e-12), 1e12)
    chi = weight_scale * gaussian_mean(function.derivative_squared, at)
    distance = abs(math.log(chi)) if chi > 0 else math.inf
    # A hair's breadth from 1 the map converges algebraically: call that critical.
    gradient = math.inf if distance < 1e-4 else 1 / distance
    return DepthScale(fixed_point=fixed, chi=chi, gradient=gradient)


def fixed_point(
    function: Function, weight_scale: float, bias_variance: float = 0.0, start: float = 1.0
) -> float:
    """Return q* of q' = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2, from q = `start`.

    Returns 0 where q dies out and inf where it grows for ever. Aitken's extrapolation speeds up
    the slow approach near criticality.
    """

    def next_moment(q: float) -> float:
        return weight_scale * gaussian_mean(function.squared, q) + bias_variance

    q = start
    for _round in range(_ROUNDS):
        once = next_moment(q)
        twice = next_moment(once)
        if not twice < 1e12:
            return math.inf
        if twice < 1e-9:
            return 0.0
        if abs(twice - once) <= _TOLERANCE * max(once, 1e-6):
            return twice
        q = _extrapolated(q, once, twice)
    return q


def _extrapolated(q: float, once: float, twice: float) -> float:
    """Return Aitken's limit of three iterates where they contract, else the last of them."""
    bend = twice - 2 * once + q
    if abs(twice - once) < abs(once - q) and bend != 0:
        limit = q - (once - q) ** 2 / bend
        if limit > 0 and abs(limit - twice) < 10 * abs(twice):
            return limit
    return twice
