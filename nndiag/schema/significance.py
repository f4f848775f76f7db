"""Is a difference more than chance? Tests over seeds, in numpy and the standard library."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Array = np.ndarray

#: Upper 5 % points of the studentised range over sqrt(2), for 2 to 20 treatments and infinite
#: degrees of freedom (Demsar 2006, table 5, continued from any table of the range).
_NEMENYI = (1.960, 2.344, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164, 3.219,
            3.268, 3.313, 3.354, 3.391, 3.426, 3.458, 3.489, 3.517, 3.544)  # fmt: skip


def student_tail(t: float, freedom: int) -> float:
    """Return P(|T| > |t|) for Student's t, by the midpoint rule on its density.

    With T = sqrt(v) tan(u) the density becomes cos(u)^(v - 1) on a finite interval, which the rule
    integrates to about 1e-9.
    """
    cut = math.atan(abs(t) / math.sqrt(freedom))
    nodes = 20_000

    def mass(low: float, high: float) -> float:
        step = (high - low) / nodes
        points = low + step * (np.arange(nodes) + 0.5)
        return float(np.sum(np.cos(points) ** (freedom - 1))) * step

    return mass(cut, math.pi / 2) / mass(0.0, math.pi / 2)


def paired_p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's paired test that the mean difference is 0.

    Args:
        differences: one a seed. All equal and not 0 gives 0, all 0 gives 1, fewer than two 1.
    """
    array = np.asarray(differences, dtype=float)
    if array.size < 2 or not np.isfinite(array).all():
        return 1.0
    spread = float(array.std(ddof=1)) / math.sqrt(array.size)
    mean = float(array.mean())
    if spread == 0:
        return 0.0 if mean else 1.0
    return student_tail(mean / spread, array.size - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for testing all of them at once (Holm 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [1.0] * len(order)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(order) - rank) * float(p_values[place]))
        adjusted[int(place)] = min(largest, 1.0)
    return adjusted


def mean_ranks(scores: Array) -> Array:
    """Return the mean rank of each treatment, (K,), best (highest score) 1, ties shared.

    Args:
        scores: (N, K): N blocks (seeds), K treatments.
    """
    better = (scores[:, None, :] > scores[:, :, None]).sum(axis=2)
    equal = (scores[:, None, :] == scores[:, :, None]).sum(axis=2)
    return np.asarray((better + (equal + 1) / 2).mean(axis=0))


def critical_difference(treatments: int, blocks: int) -> float:
    """Return the difference of mean ranks beyond which two treatments differ at 5 %.

    Nemenyi's test (Demsar 2006, section 3.2.2): q sqrt(K (K + 1) / (6 N)). NaN outside 2 to 20
    treatments.
    """
    if not 2 <= treatments <= len(_NEMENYI) + 1:
        return math.nan
    q = _NEMENYI[treatments - 2]
    return q * math.sqrt(treatments * (treatments + 1) / (6 * blocks))


def chi_square_tail(value: float, freedom: int) -> float:
    """Return P(X > value) for chi-square with a whole number of degrees of freedom.

    Exact: with h = value / 2, Q(1) = e^-h or Q(1/2) = erfc(sqrt h), then
    Q(a + 1) = Q(a) + h^a e^-h / Gamma(a + 1).
    """
    half = value / 2
    if half <= 0:
        return 1.0
    if freedom % 2:
        shape, tail = 0.5, math.erfc(math.sqrt(half))
    else:
        shape, tail = 1.0, math.exp(-half)
    while shape < freedom / 2:
        tail += math.exp(shape * math.log(half) - half - math.lgamma(shape + 1))
        shape += 1
    return min(tail, 1.0)


def kolmogorov_tail(distance: float, first: int, second: int) -> float:
    """Return P(D > distance) for the largest difference of two empirical distributions.

    Asymptotic, with Stephens' correction for samples of sizes `first` and `second`; for values
    with ties it is an upper bound.
    """
    root = math.sqrt(first * second / (first + second))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(max(2 * sum(terms), 0.0), 1.0)
