"""Klambauer et al. 2017: SELU networks normalise themselves."""

from __future__ import annotations

import torch
from torch import nn

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import NetworkSpec
from nndiag.training.initial import random_network

_WIDTH, _LAYERS, _SAMPLES = 1000, 16, 20
#: Mean and variance of the inputs: two corners of theorem 1's domain, and a point outside.
_STARTS = ((0.1, 1.5), (-0.1, 0.8), (0.5, 3.0))
_RATE = 0.1


def _measure(seed: int) -> Figures:
    selu = _network("selu", seed)
    ends = [_moments(selu, start, seed) for start in _STARTS]
    return {
        "mean": max((mean for mean, _variance in ends), key=abs),
        "variance": max((variance for _mean, variance in ends), key=lambda v: abs(v - 1)),
        "relu_variance": _moments(_network("relu", seed), _STARTS[1], seed)[1],
        "dropout_variance": _moments(_dropped(selu, nn.Dropout), _STARTS[1], seed)[1],
        "alpha_variance": _moments(_dropped(selu, nn.AlphaDropout), _STARTS[1], seed)[1],
    }


def _network(act: str, seed: int) -> nn.Sequential:
    """Return hidden layers alone, with LeCun's variance."""
    spec = NetworkSpec(depth=_LAYERS + 1, width=_WIDTH, act=act, init="lecun_normal")
    return nn.Sequential(*list(random_network(spec, (_WIDTH,), seed).children())[:-1])


def _dropped(model: nn.Sequential, dropout: type[nn.Module]) -> nn.Sequential:
    """Return the network with dropout behind every activation."""
    layers: list[nn.Module] = []
    for module in model:
        layers += [module] if isinstance(module, nn.Linear) else [module, dropout(_RATE)]
    return nn.Sequential(*layers)


def _moments(model: nn.Sequential, start: tuple[float, float], seed: int) -> tuple[float, float]:
    """Return mean and variance of the last activations for inputs with these ones."""
    mean, variance = start
    generator = torch.Generator().manual_seed(seed)
    x = mean + variance**0.5 * torch.randn(_SAMPLES, _WIDTH, generator=generator)
    torch.manual_seed(seed)  # dropout; the caller restores the state
    with torch.no_grad():
        out = model(x).double()
    return float(out.mean()), float(out.var())


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        abs(figures["mean"]) <= 0.05
        and abs(figures["variance"] - 1) <= 0.15
        and abs(figures["alpha_variance"] - 1) <= 0.15
        and abs(figures["relu_variance"] - 1) > 0.3
        and abs(figures["dropout_variance"] - 1) > 0.3
    )


CLAIM = Claim(
    name="klambauer2017",
    paper="Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-normalizing neural networks, "
    "arXiv:1706.02515",
    says=to_translate(
        "Through SELU layers with LeCun's variance mean and variance of activations go to (0, 1) "
        "from wherever they start; alpha dropout keeps them there, ReLU and plain dropout do not."
    ),
    published=to_translate("Theorem 1: (0, 1) is a stable and attracting fixed point."),
    criterion=to_translate(
        "16 layers of width 1000 from (0.1, 1.5), (-0.1, 0.8) and (0.5, 3): mean within 0.05, "
        "variance within 0.15 of 1, with alpha dropout too; with ReLU or plain dropout off by more "
        "than 0.3."
    ),
    figures=(
        Figure(name="mean", text=to_translate("SELU: mean, the farthest of three"), paper=0.0),
        Figure(
            name="variance", text=to_translate("SELU: variance, the farthest of three"), paper=1.0
        ),
        Figure(
            name="alpha_variance",
            text=to_translate("SELU with alpha dropout 0.1: variance"),
            paper=1.0,
        ),
        Figure(name="dropout_variance", text=to_translate("SELU with plain dropout: variance")),
        Figure(name="relu_variance", text=to_translate("ReLU: variance")),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
