"""Many networks, each trained on a training set of its own.

Axes: M network, N sample of a training set, P test point, K output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.schema.spec import NetworkSpec
from nndiag.training.initial import random_network
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import Progress, train
from nndiag.training.stacked import Stacked

Array = np.ndarray
#: Networks whose outputs are computed at once.
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Training sets of one size.

    Attributes:
        x: (M, N, *input_shape) float32.
        y: (M, N) int64 classes, or float32 values.
        test: (P, *input_shape) float32.
        outputs: K, classes or 1.
    """

    x: Array
    y: Array
    test: Array
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Networks after training.

    Attributes:
        outputs: (M, P, K) at the test points.
        train_loss, train_accuracy: (M,) on each one's own training set.
        diverged: (M,).
    """

    outputs: Array
    train_loss: Array
    train_accuracy: Array
    diverged: Array


def steps(samples: int, epochs: int, batch_size: int) -> int:
    """Return the optimizer steps of so many passes over a training set."""
    return epochs * math.ceil(samples / batch_size)


def trained(
    network: NetworkSpec,
    sets: Sets,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> Trained:
    """Train a network on each set, with Adam.

    Network m is drawn from seed + m, and takes its batches in that seed's order.
    """
    count, samples = sets.y.shape
    data = _pooled(sets, device)
    members = [
        Member(seed=seed + place, lr=lr, rows=range(place * samples, (place + 1) * samples))
        for place in range(count)
    ]
    total = steps(samples, epochs, batch_size)
    settings = Settings(
        optimizer="adam", steps=total, batch_size=batch_size, eval_every=total, eval_train=True
    )

    def build(place: int) -> nn.Module:
        shape = tuple(sets.x.shape[2:])
        return random_network(network, shape, seed + place, classes=sets.outputs, device=device)

    record = train(build, members, settings, data, progress)
    models = [_loaded(build(place), record.state_of(place)) for place in range(count)]
    parts = [models[first : first + _AT_ONCE] for first in range(0, count, _AT_ONCE)]
    answered = [_answers(part, torch.from_numpy(sets.test).to(device)) for part in parts]
    return Trained(
        outputs=np.concatenate(answered),
        train_loss=record.train_loss[-1],
        train_accuracy=record.train_accuracy[-1],
        diverged=record.diverged,
    )


def _pooled(sets: Sets, device: torch.device) -> TensorData:
    """Return all sets as one training split; the last network's samples stand in for validation."""
    x = torch.from_numpy(sets.x.reshape(-1, *sets.x.shape[2:])).to(device)
    y = torch.from_numpy(sets.y.ravel()).to(device)
    few_x, few_y = x[-1:], y[-1:]
    return TensorData(train_x=x, train_y=y, val_x=few_x, val_y=few_y, test_x=few_x, test_y=few_y)


def _loaded(model: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    model.load_state_dict(dict(state))
    return model


def _answers(models: Sequence[nn.Module], x: Tensor) -> Array:
    with torch.no_grad():
        wide = x.expand(len(models), *x.shape)
        return np.asarray(Stacked(models).forward(wide, training=False).double().cpu().numpy())
