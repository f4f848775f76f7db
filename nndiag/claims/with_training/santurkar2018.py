"""Santurkar et al. 2018: batch normalisation smooths the loss; stable inputs are not why."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nndiag import datasets
from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.initial import random_network
from nndiag.training.members import TensorData
from nndiag.training.short import batches
from nndiag.zoo import activations

_DEPTH, _WIDTH, _STEPS, _BATCH, _RATE = 10, 64, 300, 64, 0.1
#: Steps along the gradient, as multiples of the rate, and how often they are tried.
_REACH, _EVERY = (0.5, 1.0, 2.0, 4.0), 20
#: Networks of a seed, whose mean counts: the plain ones differ by factors.
_NETWORKS = 3
#: Batches at the end that the accuracy is taken over.
_LAST = 34
#: Ranges of the shift and the scale behind a batch norm, drawn for every unit at every step.
_SHIFT, _SCALE = (-0.5, 0.5), (1.0, 1.25)


def _measure(seed: int) -> Figures:
    draws = range(_NETWORKS * seed, _NETWORKS * (seed + 1))

    def mean(act: str, norm: str, *, noisy: bool = False) -> tuple[float, float]:
        found = [_trained(act, norm, draw, noisy=noisy) for draw in draws]
        turn, accuracy = np.mean(found, axis=0)
        return float(turn), float(accuracy)

    plain, plain_accuracy = mean("relu", "none")
    normalised, accuracy = mean("relu", "batch")
    _none, noisy_accuracy = mean("relu", "batch", noisy=True)
    return {
        "ratio": normalised / plain,
        "plain": plain,
        "normalised": normalised,
        "noisy_accuracy": noisy_accuracy,
        "normalised_accuracy": accuracy,
        "plain_accuracy": plain_accuracy,
        "tanh_ratio": mean("tanh", "batch")[0] / mean("tanh", "none")[0],
    }


def _trained(act: str, norm: str, seed: int, *, noisy: bool = False) -> tuple[float, float]:
    """Return how much the gradient turns within reach (median over checks), and the accuracy.

    It is that of the last batches while training, with the noise, where there is one.
    """
    init = activations.parse(act).default_init
    spec = NetworkSpec(depth=_DEPTH, width=_WIDTH, act=act, init=init, norm=norm)
    splits = datasets.load(DataSpec(), seed=0)
    data = TensorData.of(splits, torch.device("cpu"))
    model = random_network(spec, splits.input_shape, seed)
    if noisy:
        generator = torch.Generator().manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.register_forward_hook(_Noise(generator))
    optimizer = torch.optim.SGD(model.parameters(), lr=_RATE)
    turns, right = [], []
    for step, rows in enumerate(batches(len(data.train_y), _BATCH, _STEPS, seed)):
        x, y = data.train_x[rows], data.train_y[rows]
        model.train()
        if step % _EVERY == 0 and not noisy:
            turns.append(_turn(model, x, y))
        optimizer.zero_grad()
        scores = model(x)
        nn.functional.cross_entropy(scores, y).backward()
        optimizer.step()
        right.append(float((scores.argmax(1) == y).double().mean()))
    return float(np.median(turns or [np.nan])), float(np.mean(right[-_LAST:]))


class _Noise:
    """A hook that scales and shifts every unit at random, otherwise at every step."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        if not module.training:
            return output
        shape = output.shape[1]
        shift = torch.empty(shape).uniform_(*_SHIFT, generator=self._generator)
        scale = torch.empty(shape).uniform_(*_SCALE, generator=self._generator)
        return output * scale + shift


def _turn(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the largest change of the gradient along it, relative to its norm."""
    parameters = list(model.parameters())
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def gradient() -> Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        return nn.utils.parameters_to_vector(torch.autograd.grad(loss, parameters))

    start, here = nn.utils.parameters_to_vector(parameters).detach(), gradient()
    changes = []
    for reach in _REACH:
        nn.utils.vector_to_parameters(start - reach * _RATE * here, parameters)
        changes.append(float((gradient() - here).norm() / here.norm()))
    model.load_state_dict(state)  # the running statistics too
    return max(changes)


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return figures["ratio"] <= 0.8 and figures["noisy_accuracy"] >= 0.93


CLAIM = Claim(
    name="santurkar2018",
    paper="Santurkar, Tsipras, Ilyas & Madry 2018, How does batch normalization help "
    "optimization?, arXiv:1805.11604",
    says=to_translate(
        "Batch normalisation helps because it smooths the loss, so that gradients stay "
        "predictive; it still helps when noise takes the stable distributions away again."
    ),
    published=to_translate(
        "VGG on CIFAR-10: gradients change less along the descent with batch normalisation, and "
        "with noise behind it training goes about as well."
    ),
    criterion=to_translate(
        "Digits, nine layers of 64 ReLU, 300 steps of SGD at 0.1: largest relative change of the "
        "gradient within 4 steps along it (median over training, mean of 3 networks) at most 0.8 "
        "of the plain networks'; with noise still at least 93 % of the training images right."
    ),
    figures=(
        Figure(
            name="ratio",
            text=to_translate("change of the gradient, normalised over plain"),
        ),
        Figure(name="plain", text=to_translate("plain: largest relative change of the gradient")),
        Figure(
            name="normalised",
            text=to_translate("normalised: largest relative change of the gradient"),
        ),
        Figure(
            name="noisy_accuracy",
            text=to_translate("normalised with noise: training accuracy at the end"),
        ),
        Figure(
            name="normalised_accuracy",
            text=to_translate("normalised: training accuracy at the end"),
        ),
        Figure(name="plain_accuracy", text=to_translate("plain: training accuracy at the end")),
        Figure(
            name="tanh_ratio",
            text=to_translate("the same ratio with tanh for ReLU (not asked of it)"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
