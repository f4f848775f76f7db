"""Expectations over a standard normal variable.

The trapezoid rule on [-11, 11] in float64: its error falls faster than any power of the step for
smooth integrands, and it survives the narrow features that a large scale makes of a sigmoid, where
Gauss-Hermite fails silently (256 nodes lose all of E[phi'^2] for tanh at q = 500).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

Array = np.ndarray

_BOUND = 11.0
_NODES = 4_000
#: Features narrower than this many steps get a finer grid of their own.
_FEATURE = 40.0


@lru_cache(maxsize=32)
def _grid(nodes: int, bound: float) -> tuple[Array, Array]:
    """Return cell midpoints and their Gaussian weights (sum 1); 0 is a cell edge.

    The midpoint rule is the trapezoid rule shifted by half a cell: same error, and a kink at 0
    never falls inside a cell.
    """
    step = 2 * bound / nodes
    points = -bound + step * (np.arange(nodes) + 0.5)
    weights = np.exp(-(points**2) / 2) * step / np.sqrt(2 * np.pi)
    points.setflags(write=False)
    weights.setflags(write=False)
    return points, weights


def gaussian_mean(function: Callable[[Array], Array], second_moment: float) -> float:
    """Return E[f(sqrt(q) z)] for z ~ N(0, 1).

    Args:
        function: vectorised f; its features have a width of about 1, with any kink at 0.
        second_moment: q >= 0.

    Returns:
        The expectation; NaN or infinity where q is.
    """
    if not np.isfinite(second_moment):
        return float("nan")
    scale = float(np.sqrt(second_moment))
    points, weights = _grid(_NODES, _BOUND)
    total = float(np.dot(function(scale * points), weights))
    if scale <= _NODES / (2 * _BOUND * _FEATURE):
        return total
    # A unit feature is narrower than _FEATURE cells: take its neighbourhood on a fine grid.
    return _split(function, scale)


def _split(function: Callable[[Array], Array], scale: float) -> float:
    """Integrate |x| <= 40 on a grid in x, the two sides beyond it on grids in z."""
    inner = min(40.0 / scale, _BOUND)
    total = 0.0
    for low, high in ((-_BOUND, -inner), (-inner, 0.0), (0.0, inner), (inner, _BOUND)):
        step = (high - low) / _NODES
        if step > 0:
            points = low + step * (np.arange(_NODES) + 0.5)
            density = np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
            total += float(np.dot(function(scale * points), density)) * step
    return total
