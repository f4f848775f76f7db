"""How the loss of one optimizer moves: falls, stands, rises, swings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nndiag.diagnosis import learning
from nndiag.schema.observation import Observation, OptimizerRecord, Series


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Readings of a loss.

    Attributes:
        values: (S,) as recorded.
        first, last: the smaller of the very first value and the median of the first twentieth (a
            first step may do all the harm), and the median of the last fifth.
        best: smallest of the means over windows of a twentieth.
        rises: largest finite value over the first.
        swing: standard deviation of changes from step to step over the loss level, last half.
        broken: a value is not finite.
    """

    values: np.ndarray
    first: float
    last: float
    best: float
    rises: float
    swing: float
    broken: bool

    @property
    def fall(self) -> float:
        """Share of the first loss that is gone at the end (negative: it rose)."""
        return 1 - self.last / self.first if self.first > 0 else math.nan

    @property
    def best_fall(self) -> float:
        """Share of the first loss that was gone at best."""
        return 1 - self.best / self.first if self.first > 0 else math.nan


def read(series: Series) -> Progress | None:
    """Return the readings of a loss, None for fewer than 20 values."""
    values = series.values
    if len(values) < learning.JUDGED_STEPS:
        return None
    finite = values[np.isfinite(values)]
    first, last = learning.ends(series)
    if not finite.size:
        return Progress(
            values=values,
            first=math.nan,
            last=math.nan,
            best=math.nan,
            rises=math.nan,
            swing=math.nan,
            broken=True,
        )
    if np.isfinite(values[0]):
        first = min(first, float(values[0]))
    width = max(1, finite.size // 20)
    windows = finite[: finite.size // width * width].reshape(-1, width).mean(1)
    half = finite[finite.size // 2 :]
    level = float(np.abs(half).mean()) or 1.0
    return Progress(
        values=values,
        first=first,
        last=last,
        best=float(windows.min()),
        rises=float(finite.max() / first) if first > 0 else math.nan,
        swing=float(np.diff(half).std() / level) if half.size > 2 else 0.0,
        broken=bool(finite.size < values.size),
    )


def positive(progress: Progress) -> bool:
    """Whether the loss is one that shares of it make sense for."""
    finite = progress.values[np.isfinite(progress.values)]
    return bool(finite.size and finite.min() >= 0 and progress.first > 0)


def main_optimizer(observation: Observation) -> OptimizerRecord | None:
    """Return the only optimizer that stepped, None for none or several (a GAN)."""
    stepped = [one for one in observation.optimizers if one.steps]
    return stepped[0] if len(stepped) == 1 else None


def prior(observation: Observation) -> float | None:
    """Return the loss of always saying how often each label comes, None where unknown.

    The entropy of the labels for a classification (natural logarithm), their variance for a mean
    squared error.
    """
    labels = observation.labels
    if labels is None:
        return None
    if labels.classes == 0:
        return learning.target_variance(observation)
    total = labels.counts.sum()
    if labels.classes < 2 or not total:
        return None
    shares = labels.counts[labels.counts > 0] / total
    return float(-(shares * np.log(shares)).sum())
