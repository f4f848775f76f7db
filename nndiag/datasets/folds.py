"""Stratified k-fold cross-validation: every sample is held out exactly once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nndiag.datasets.splits import Array, Split, Splits, standardise
from nndiag.locales import _
from nndiag.schema.errors import UsageError


def stratified_folds(y: Array, folds: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the fold of each sample, (N,) from 0 to folds - 1.

    The counts of each class differ by at most one between folds, and so do the sizes of the folds:
    the samples, shuffled and then sorted by class, are dealt out in turn.

    Args:
        y: (N,) labels of any sortable type.

    Raises:
        UsageError: fewer than two folds, or more folds than samples.
    """
    if not 2 <= folds <= len(y):
        raise UsageError(
            _("--cv: got {folds}; accepted: 2 to {samples}, the number of samples").format(
                folds=folds, samples=len(y)
            )
        )
    shuffled = np.random.default_rng(seed).permutation(len(y))
    order = shuffled[np.argsort(np.asarray(y)[shuffled], kind="stable")]
    places = np.empty(len(y), dtype=np.int64)
    places[order] = np.arange(len(y)) % folds
    return places


def hold_out(splits: Splits, fold: int, folds: int, seed: int = 0) -> Splits:
    """Return the splits of one fold: it is validation and test, the rest trains.

    The three splits of a data set are joined, divided into folds, and standardised anew by the
    samples that train: the scale of the fold held out is not known. (Features that were constant
    in the first training split stay 0.)

    Args:
        splits: of the whole data set.
        fold: 0 to folds - 1.
        seed: draws the folds.
    """
    x = np.concatenate([splits.train.x, splits.validation.x, splits.test.x])
    y = np.concatenate([splits.train.y, splits.validation.y, splits.test.y])
    out = stratified_folds(y, folds, seed) == fold
    axes = (0, 2, 3) if x.ndim == 4 and splits.name != "digits" else (0,)
    train, held = standardise(x[~out], x[out], axes=axes)
    test = Split(x=held, y=y[out])
    return Splits(
        name=splits.name,
        train=Split(x=train, y=y[~out]),
        validation=test,
        test=test,
        classes=splits.classes,
        input_shape=splits.input_shape,
        source=splits.source,
    )
