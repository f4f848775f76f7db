"""Where an activation is flat: its saturated tails, from its own derivative.

A point is saturated where abs(phi') is below 5 % of its maximum, in a set that reaches plus or
minus infinity: the turning point of gelu and silu is no saturation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

SHARE = 0.05
_BOUND = 12.0
_POINTS = 4_001
_ORIGIN = 0.5


@dataclass(frozen=True, kw_only=True)
class Tails:
    """Boundaries on the pre-activation axis; -inf and inf where there is no such tail.

    Attributes:
        low, high: saturated below `low` and above `high`.
        flat_low, flat_high: phi' is exactly 0 at and below, at and above.
        gate: phi' is constant on a saturated side that begins at the origin, so the activation
            switches a unit off (relu) or down (leaky_relu 0.01), which is normal for half of all
            inputs, rather than saturating.
    """

    low: float = -math.inf
    high: float = math.inf
    flat_low: float = -math.inf
    flat_high: float = math.inf
    gate: bool = False

    @property
    def flat(self) -> bool:
        """Whether some side is exactly flat."""
        return math.isfinite(self.flat_low) or math.isfinite(self.flat_high)


def tails(derivative: Callable[[Array], Array], share: float = SHARE) -> Tails | None:
    """Return the tails of an activation, or None where phi' is unbounded (square, exp).

    Args:
        derivative: vectorised phi', float64 (N,) to (N,).
        share: part of the maximum of abs(phi') below which a point is saturated.
    """
    grid = np.linspace(-_BOUND, _BOUND, _POINTS)
    slope = np.abs(derivative(grid))
    top = float(slope.max())
    if not math.isfinite(top) or top == 0 or _unbounded(derivative, top):
        return None
    limit = share * top
    low, high = _ends(derivative, grid, slope, lambda s: s < limit)
    flat_low, flat_high = _ends(derivative, grid, slope, lambda s: s == 0)
    sides = ((low, slope[grid < low]), (high, slope[grid > high]))
    gate = any(abs(end) < _ORIGIN and np.ptp(outer) == 0 for end, outer in sides)
    return Tails(low=low, high=high, flat_low=flat_low, flat_high=flat_high, gate=gate)


def _unbounded(derivative: Callable[[Array], Array], top: float) -> bool:
    wide = np.abs(derivative(np.linspace(-2 * _BOUND, 2 * _BOUND, _POINTS)))
    return bool(not np.isfinite(wide).all() or wide.max() > 1.5 * top)


def _ends(
    derivative: Callable[[Array], Array],
    grid: Array,
    slope: Array,
    inside: Callable[[Array], Array],
) -> tuple[float, float]:
    """Return the inner ends of the two outermost sets where `inside(abs(phi'))` holds."""
    member = inside(slope)
    if member.all():
        return math.inf, -math.inf
    beyond = np.linspace(_BOUND, 2 * _BOUND, _POINTS)
    first = int(np.argmin(member))  # first grid point outside, from the left
    last = len(member) - 1 - int(np.argmin(member[::-1]))
    low, high = -math.inf, math.inf
    if first > 0 and inside(np.abs(derivative(-beyond))).all():
        low = _bisect(derivative, grid[first - 1], grid[first], inside)
    if last < len(member) - 1 and inside(np.abs(derivative(beyond))).all():
        high = _bisect(derivative, grid[last + 1], grid[last], inside)
    return low, high


def _bisect(
    derivative: Callable[[Array], Array],
    within: float,
    without: float,
    inside: Callable[[Array], Array],
) -> float:
    """Return the last point, coming from `within`, where `inside` still holds."""
    for _ in range(60):
        middle = 0.5 * (within + without)
        if inside(np.abs(derivative(np.array([middle]))))[0]:
            within = middle
        else:
            without = middle
    return float(within)
