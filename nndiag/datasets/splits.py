"""What every data set becomes: three stratified splits, standardised by the training split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRACTIONS = (0.6, 0.2, 0.2)
_CHUNK_BYTES = 2**21

Array = NDArray[Any]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Samples of one split.

    Attributes:
        x: (N, *input_shape) float32, standardised.
        y: (N,) int64, index into the classes.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """What standardises: (x / peak - mean) * scale, with a scale of 0 where x is constant."""

    peak: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def apply(self, x: Array) -> NDArray[np.float32]:
        """Return raw samples (N, ...) standardised, as float32."""
        result = np.empty(x.shape, dtype=np.float32)
        start = 0
        for chunk in _chunks(x):
            result[start : start + len(chunk)] = (chunk / self.peak - self.mean) * self.scale
            start += len(chunk)
        return result

    def undo(self, x: Array) -> NDArray[np.float32]:
        """Return the raw samples of standardised ones; what was constant comes back as it was."""
        unscaled = np.divide(x, self.scale, out=np.zeros(x.shape), where=self.scale != 0)
        return ((unscaled + self.mean) * self.peak).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """A data set, ready to train on.

    Attributes:
        classes: name of each class, in the order of the labels.
        input_shape: shape of one sample: (features,) or (channels, height, width).
        source: where the data come from, in one line.
        scaling: what turned raw samples into those of the splits; None where it is not known.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    source: str
    scaling: Scaling | None = None


def divide(
    x: Array, y: Array, *, name: str, classes: Sequence[str], source: str, seed: int
) -> Splits:
    """Split 60/20/20 by class and standardise.

    Vectors and `digits` are standardised per feature; other images, (N, C, H, W), per channel.

    Args:
        x: (N, *input_shape) finite numbers.
        y: (N,) class indices.
    """
    labels = np.asarray(y, dtype=np.int64)
    parts = stratified(labels, seed=seed)
    axes = (0, 2, 3) if x.ndim == 4 and name != "digits" else (0,)
    scaling = scaling_of(x[parts[0]], axes)
    train, validation, test = (Split(x=scaling.apply(x[part]), y=labels[part]) for part in parts)
    return Splits(
        name=name,
        train=train,
        validation=validation,
        test=test,
        classes=tuple(classes),
        input_shape=tuple(x.shape[1:]),
        source=source,
        scaling=scaling,
    )


def stratified(
    y: Array, fractions: Sequence[float] = FRACTIONS, seed: int = 0
) -> tuple[Indices, ...]:
    """Divide the samples so that each split has each class in proportion, exactly.

    Every class count is the floor or the ceiling of its exact share n_c * f_s, and every split's
    size is the largest-remainder rounding of N * f_s (a controlled rounding, which exists for two
    and three splits).

    Args:
        y: (N,) labels of any sortable type, N at least 1.
        fractions: two or three shares that sum to 1.
        seed: same seed, same splits.

    Returns:
        For each fraction the indices into y, in random order; disjoint, together 0..N-1.

    Raises:
        ValueError: the fractions are negative, do not sum to 1, or are not two or three.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if len(shares) not in (2, 3) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"fractions must be two or three shares with sum 1, got {fractions}")
    _labels, sizes = np.unique(y, return_counts=True)
    generator = np.random.default_rng(seed)
    parts: list[list[Indices]] = [[] for _share in shares]
    by_class = np.split(np.argsort(y, kind="stable"), np.cumsum(sizes)[:-1])
    for members, counts in zip(by_class, _controlled_rounding(sizes, shares), strict=True):
        shuffled = generator.permutation(members)
        for part, chosen in zip(parts, np.split(shuffled, np.cumsum(counts)[:-1]), strict=True):
            part.append(chosen)
    return tuple(generator.permutation(np.concatenate(part)) for part in parts)


def _controlled_rounding(sizes: Array, shares: Array) -> NDArray[np.int64]:
    """Round the table sizes x shares, (classes, splits), keeping the sums of rows and columns."""
    quota = np.round(np.outer(sizes, shares), 9)
    floor = np.floor(quota).astype(np.int64)
    rest = quota - floor
    extra = np.stack([_largest(row, n) for row, n in zip(rest, sizes - floor.sum(1), strict=True)])
    total = np.round(sizes.sum() * shares, 9)
    goal = np.floor(total).astype(np.int64)
    goal += _largest(total - goal, int(sizes.sum() - goal.sum()))
    excess = floor.sum(0) + extra.sum(0) - goal
    while excess.any():
        source, sink = int(excess.argmax()), int(excess.argmin())
        if not _move(extra, rest, source, sink):
            between = next(k for k in range(len(shares)) if k not in (source, sink))
            _move(extra, rest, source, between)
            _move(extra, rest, between, sink)
        excess[source] -= 1
        excess[sink] += 1
    return floor + extra


def _largest(rest: Array, count: int) -> NDArray[np.int64]:
    """Return 1 at the `count` largest entries, 0 elsewhere."""
    chosen = np.zeros(len(rest), dtype=np.int64)
    chosen[np.argsort(-rest, kind="stable")[:count]] = 1
    return chosen


def _move(extra: Array, rest: Array, source: int, sink: int) -> bool:
    """Move one rounded-up unit between splits, in the class where it costs least."""
    possible = np.flatnonzero((extra[:, source] == 1) & (extra[:, sink] == 0) & (rest[:, sink] > 0))
    if not len(possible):
        return False
    best = possible[np.argmin(rest[possible, source] - rest[possible, sink])]
    extra[best, source], extra[best, sink] = 0, 1
    return True


def standardise(
    train: Array, *others: Array, axes: tuple[int, ...] = (0,)
) -> tuple[NDArray[np.float32], ...]:
    """Shift and scale to mean 0 and standard deviation 1, by statistics of `train` alone.

    What is constant in `train` becomes 0 everywhere.

    Args:
        train: (N, ...) with N at least 1.
        others: further splits, (M, ...).
        axes: over which to average: (0,) per feature, (0, 2, 3) per channel.

    Returns:
        `train` and the others as float32.
    """
    scaling = scaling_of(train, axes)
    return tuple(scaling.apply(array) for array in (train, *others))


def scaling_of(train: Array, axes: tuple[int, ...] = (0,)) -> Scaling:
    """Return what standardises by the statistics of `train`, (N, ...) with N at least 1.

    They are float64 over chunks of samples, so that integers, huge and tiny values and sets of
    several hundred megabytes are safe.
    """
    low = train.min(axis=axes, keepdims=True).astype(np.float64)
    high = train.max(axis=axes, keepdims=True).astype(np.float64)
    peak = np.maximum(np.abs(low), np.abs(high))
    peak[peak == 0] = 1
    count = train.size / peak.size
    mean, variance = np.zeros_like(peak), np.zeros_like(peak)
    for chunk in _chunks(train):
        mean += (chunk / peak).sum(axis=axes, keepdims=True) / count
    for chunk in _chunks(train):
        variance += np.square(chunk / peak - mean).sum(axis=axes, keepdims=True) / count
    deviation = np.sqrt(variance)
    varies = (low < high) & (deviation > 0)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return Scaling(peak=peak, mean=mean, scale=scale)


def _chunks(array: Array) -> Iterator[Array]:
    """Yield runs of samples whose float64 copies stay small."""
    width = max(1, array[:1].size)
    step = max(1, _CHUNK_BYTES // (8 * width))
    for start in range(0, len(array), step):
        yield array[start : start + step]
