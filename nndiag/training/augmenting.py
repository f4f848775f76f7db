"""Warped copies of training images, made once before a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nndiag.datasets.splits import Split, Splits
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.zoo import augmentations


def augmented(splits: Splits, copies: int, seed: int) -> Splits:
    """Return the splits with `copies` warped versions behind the training images.

    Images are warped as they were before standardisation, and standardised as the others.

    Args:
        seed: draws the warps.

    Raises:
        UsageError: the data are no images, or under cross-validation.
    """
    if len(splits.input_shape) != 3 or splits.scaling is None:
        raise UsageError(
            _("--augment: needs images, and no --cv; {data} has inputs of shape {shape}").format(
                data=splits.name, shape=tuple(splits.input_shape)
            )
        )
    raw = torch.from_numpy(splits.scaling.undo(splits.train.x))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        change = augmentations.of(splits.name)
        warped = [splits.scaling.apply(change(raw).numpy()) for _copy in range(copies)]
    train = Split(
        x=np.concatenate([splits.train.x, *warped]), y=np.tile(splits.train.y, copies + 1)
    )
    return replace(splits, train=train)
