"""What makes a test flatter: samples that are in two splits, features that are the answer.

Axes: N sample, F feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nndiag.datasets.splits import Array

#: A feature with so few values can be a code of the class; with more it is an identifier.
_MOST_VALUES = 50


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Samples with equal inputs.

    Attributes:
        groups: sets of two or more equal samples.
        samples: how many samples are in them.
        contradicting: groups whose labels differ.
    """

    groups: int
    samples: int
    contradicting: int


def identities(x: Array) -> Array:
    """Return a number for each sample, (N,), equal for equal inputs.

    Args:
        x: (N, *input_shape).
    """
    flat = np.ascontiguousarray(x.reshape(len(x), -1)) + 0.0  # -0.0 is 0.0
    rows = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()
    return np.unique(rows, return_inverse=True)[1]


def duplicates(identity: Array, y: Array) -> Duplicates:
    """Return what is there more than once."""
    counts = np.bincount(identity)
    labels = np.unique(np.stack([identity, y]), axis=1)[0]
    return Duplicates(
        groups=int((counts > 1).sum()),
        samples=int(counts[counts > 1].sum()),
        contradicting=int((np.bincount(labels) > 1).sum()),
    )


def shared(identity: Array, parts: Sequence[Array]) -> int:
    """Return how many samples of the last split are in an earlier one, too."""
    *earlier, last = parts
    known = np.concatenate([identity[part] for part in earlier])
    return int(np.isin(identity[last], known).sum())


def telling(x: Array, y: Array) -> Iterator[int]:
    """Yield the features each value of which belongs to one class alone: the label in disguise.

    Args:
        x: (N, F).
        y: (N,) class indices of two classes or more.
    """
    if len(np.unique(y)) < 2:
        return
    for place in range(x.shape[1]):
        values, coded = np.unique(x[:, place], return_inverse=True)
        if 2 <= len(values) <= min(_MOST_VALUES, len(y) // 2):
            pairs = len(np.unique(coded.astype(np.int64) * (int(y.max()) + 1) + y))
            if pairs == len(values):
                yield place
