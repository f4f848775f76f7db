"""A training split made hard: fewer samples, and labels some of which are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nndiag.datasets.splits import Array, Indices, Split, Splits, stratified
from nndiag.locales import _
from nndiag.schema.errors import UsageError


def scarce(splits: Splits, samples: int | None, label_noise: float, seed: int = 0) -> Splits:
    """Return the splits with a smaller, noisier training split; the others are as they were.

    Args:
        samples: of the training split, classes in proportion; None for all.
        label_noise: share of the training labels that are replaced by another class.
        seed: draws both.

    Raises:
        UsageError: more samples than there are.
    """
    train = splits.train
    if samples is not None:
        chosen = _chosen(train.y, samples, seed)
        train = Split(x=train.x[chosen], y=train.y[chosen])
    y = mislabelled(train.y, label_noise, len(splits.classes), seed)
    return replace(splits, train=Split(x=train.x, y=y))


def _chosen(y: Array, samples: int, seed: int) -> Indices:
    if samples > len(y):
        raise UsageError(
            _("--train-samples: got {samples}; the training split has {count}").format(
                samples=samples, count=len(y)
            )
        )
    share = samples / len(y)
    return stratified(y, (share, 1 - share), seed)[0]


def mislabelled(y: Array, share: float, classes: int, seed: int = 0) -> Indices:
    """Return the labels with a share of them (rounded) replaced, each by one of the other classes.

    Args:
        y: (N,) class indices.
    """
    generator = np.random.default_rng(seed)
    wrong = generator.permutation(len(y))[: round(share * len(y))]
    shifted = np.array(y, dtype=np.int64)
    shifted[wrong] = (shifted[wrong] + generator.integers(1, classes, len(wrong))) % classes
    return shifted
