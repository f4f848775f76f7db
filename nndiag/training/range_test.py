"""The range test of a learning rate (Smith 2015): what a loss says while the rate rises.

Axes: T step, S seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

#: Standard deviation, in steps, of the bell that smooths a loss. A moving average would lag: at
#: six decades in 200 steps, twenty steps late are a factor of four in the rate.
_SIGMA = 6.0
#: A loss counts as at most so many times its first value: one jump must not bend what is before it.
_MOST = 50.0


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """What one loss curve says.

    Attributes:
        smooth: (T,) smoothed losses, NaN from where the loss was not finite.
        steepest: rate at which the loss falls fastest.
        lowest: rate at which the loss is smallest: from there on it no longer falls.
        too_large: rate at which the loss is above its start again or not finite; the last one
            where that never happens.
    """

    smooth: Array
    steepest: float
    lowest: float
    too_large: float

    @property
    def suggested(self) -> float:
        """The geometric middle of `steepest` and `lowest`."""
        return float(np.sqrt(self.steepest * self.lowest))


def rates(low: float, ratio: float, steps: int) -> Array:
    """Return the (T,) rates low ratio^(t / (T - 1))."""
    return low * ratio ** (np.arange(steps) / max(1, steps - 1))


def read(loss: Array, rising: Array) -> RangeTest:
    """Return what a curve says.

    Args:
        loss: (T,) of the training batches; NaN or infinite from where it broke.
        rising: (T,) rates.
    """
    finite = np.isfinite(loss)
    end = len(loss) if finite.all() else int(np.argmin(finite))
    if end < 2:
        raise ValueError("the loss was not finite from the start")
    curve = smoothed(np.minimum(loss[:end], _MOST * loss[0]))
    lowest = int(np.argmin(curve))
    falls = np.diff(curve[: lowest + 1])
    steepest = int(np.argmin(falls)) if len(falls) else 0
    above = np.flatnonzero(curve[lowest:] > curve[0])
    broken = lowest + int(above[0]) if len(above) else min(end, len(loss) - 1)
    whole = np.full(len(loss), np.nan)
    whole[:end] = curve
    return RangeTest(
        smooth=whole,
        steepest=float(rising[steepest]),
        lowest=float(rising[lowest]),
        too_large=float(rising[broken]),
    )


def smoothed(values: Array, sigma: float = _SIGMA) -> Array:
    """Return the (T,) means of the values around each step, weighted by a bell."""
    steps = np.arange(len(values))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / sigma) ** 2)
    return np.asarray(weights @ values / weights.sum(axis=1))
