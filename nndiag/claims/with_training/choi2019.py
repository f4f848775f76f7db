"""Choi et al. 2019: momentum and SGD are limits of Adam and RMSprop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from nndiag import datasets
from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.initial import random_network
from nndiag.training.short import batches

_NETWORK = NetworkSpec(depth=3, width=32, act="tanh", init="xavier_normal")
_RATE, _BETA, _STEPS, _BATCH = 0.05, 0.9, 200, 64
_EPSILONS = (1.0, 1e2, 1e4)

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
#: From the step, counted from 1, to the learning rate.
Rate = Callable[[int], float]


def _measure(seed: int) -> Figures:
    momentum = _trained(partial(torch.optim.SGD, momentum=_BETA), lambda t: _RATE, seed)
    plain = _trained(torch.optim.SGD, lambda t: _RATE, seed)
    found: dict[str, float] = {}
    for eps in _EPSILONS:
        adam = partial(torch.optim.Adam, betas=(_BETA, 0.999), eps=eps)
        rmsprop = partial(torch.optim.RMSprop, eps=eps)
        found |= {
            f"adam_{eps:g}": _distance(_trained(adam, _like_momentum(eps), seed), momentum),
            f"rmsprop_{eps:g}": _distance(_trained(rmsprop, _like_sgd(eps), seed), plain),
        }
    return found


def _like_momentum(eps: float) -> Rate:
    """Return Adam's rate: it averages gradients where momentum adds them, and corrects a bias."""
    return lambda t: _RATE * eps * (1 - _BETA**t) / (1 - _BETA)


def _like_sgd(eps: float) -> Rate:
    """Return RMSprop's rate: it divides gradients by epsilon, where that is all but everything."""
    return lambda t: _RATE * eps


def _trained(make: Make, rate: Rate, seed: int) -> Tensor:
    """Return all parameters after the training, in float64."""
    splits = datasets.load(DataSpec(), seed=0)
    x, y = torch.from_numpy(splits.train.x).double(), torch.from_numpy(splits.train.y)
    model = random_network(_NETWORK, splits.input_shape, seed, dtype=torch.float64)
    optimizer = make(list(model.parameters()))
    for step, rows in enumerate(batches(len(y), _BATCH, _STEPS, seed), start=1):
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return all(
        figures[f"{name}_1"] <= 0.05
        and figures[f"{name}_100"] <= 0.02 * figures[f"{name}_1"]
        and figures[f"{name}_10000"] <= 0.02 * figures[f"{name}_100"]
        for name in ("adam", "rmsprop")
    )


CLAIM = Claim(
    name="choi2019",
    paper="Choi, Shallue, Nado, Lee, Maddison & Dahl 2019, On empirical comparisons of optimizers "
    "for deep learning, arXiv:1910.05446, section 3",
    says=to_translate(
        "Adam and RMSprop contain momentum and SGD as limits, so that, tuned over enough of their "
        "parameters, they are never worse."
    ),
    published=to_translate(
        "Inclusion of update rules: with a large epsilon and a rate to match Adam becomes "
        "momentum, RMSprop becomes SGD."
    ),
    criterion=to_translate(
        "Digits, two layers of 32 tanh, 200 steps in double precision: distance of the parameters "
        "from momentum's (RMSprop: from SGD's) at most 5 % at epsilon = 1, and at most a fiftieth "
        "of it with every factor of 100 in epsilon."
    ),
    figures=(
        Figure(
            name="adam_10000",
            text=to_translate("Adam to momentum: relative distance, epsilon 1e4"),
            paper=0.0,
        ),
        Figure(
            name="adam_100",
            text=to_translate("Adam to momentum: relative distance, epsilon 100"),
        ),
        Figure(
            name="adam_1",
            text=to_translate("Adam to momentum: relative distance, epsilon 1"),
        ),
        Figure(
            name="rmsprop_10000",
            text=to_translate("RMSprop to SGD: relative distance, epsilon 1e4"),
            paper=0.0,
        ),
        Figure(
            name="rmsprop_100",
            text=to_translate("RMSprop to SGD: relative distance, epsilon 100"),
        ),
        Figure(
            name="rmsprop_1",
            text=to_translate("RMSprop to SGD: relative distance, epsilon 1"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
