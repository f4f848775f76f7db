"""Do the batches hold their labels as a shuffle would deal them? Tests in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Batches are joined until a block holds so many samples, so that batches of one are judged too.
BLOCK = 16
#: Blocks at the least.
BLOCKS = 4


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How much the place in the order tells about the label.

    Attributes:
        effect: 0 for a shuffle, 1 where the batch settles the label (chance-corrected).
        sigmas: distance from a shuffle, in standard deviations of a normal variable.
    """

    effect: float
    sigmas: float


def by_class(counts: np.ndarray) -> Reading | None:
    """Test (K, C) labels by batch: Pearson's chi-square over independent draws.

    Its mean under shuffling is (K - 1)(C - 1), its variance for a row of n draws at most
    2(C - 1) + (sum 1/p - C^2 - 2C + 2)/n (Haldane 1937). The effect is Cramer's V^2 with the
    correction of Bergsma 2013. Epochs deal without replacement and vary less: a safe side.
    """
    counts = _blocks(counts[:, counts.sum(axis=0) > 0], counts.sum(axis=1))
    rows, classes = counts.shape
    if rows < BLOCKS or classes < 2:
        return None
    sizes = counts.sum(axis=1)
    whole = sizes.sum()
    shares = counts.sum(axis=0) / whole
    expected = sizes[:, None] * shares
    statistic = float(((counts - expected) ** 2 / expected).sum())
    mean = (rows - 1) * (classes - 1)
    skew = (1 / shares).sum() - classes**2 - 2 * classes + 2
    variance = float((2 * (classes - 1) + skew / sizes).sum()) * (rows - 1) / rows
    excess = (statistic - mean) / (whole - 1)
    most = min(rows, classes) - 1
    return Reading(effect=max(0.0, float(excess / most)), sigmas=_sigmas(statistic, mean, variance))


def by_target(sums: np.ndarray) -> Reading | None:
    """Test (K, 3) count, sum and sum of squares of targets by batch: variance of the means.

    The share of the variance that lies between blocks has mean (K - 1)/(N - 1) and variance
    2 (K - 1)(N - K)/((N - 1)^2 (N + 1)) under shuffling (Pitman 1938); the effect is that share,
    chance-corrected.
    """
    sums = _blocks(sums, sums[:, 0])
    rows = len(sums)
    count, total, squares = sums.T
    whole = count.sum()
    mean = total.sum() / whole if whole else 0.0
    spread = squares.sum() - whole * mean**2
    if rows < BLOCKS or whole <= rows or spread <= 1e-9 * max(squares.sum(), 1e-300):
        return None
    between = float((count * (total / count - mean) ** 2).sum() / spread)
    chance = (rows - 1) / (whole - 1)
    variance = 2 * (rows - 1) * (whole - rows) / ((whole - 1) ** 2 * (whole + 1))
    return Reading(
        effect=max(0.0, float((between - chance) / (1 - chance))),
        sigmas=_sigmas(between, chance, variance),
    )


def _sigmas(value: float, mean: float, variance: float) -> float:
    """Return the normal quantile of a value of a gamma variable (Wilson & Hilferty 1931).

    Few blocks make both statistics skewed: plain standard deviations would overstate them.
    """
    spread = variance / (9 * mean**2)
    return float(((value / mean) ** (1 / 3) - (1 - spread)) / spread**0.5)


def _blocks(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Join consecutive batches until each block holds BLOCK samples; a rest joins the last."""
    starts, room = [0], 0.0
    for place, size in enumerate(sizes):
        if room >= BLOCK:
            starts.append(place)
            room = 0.0
        room += size
    if room < BLOCK and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(rows, starts, axis=0) if len(rows) else rows
