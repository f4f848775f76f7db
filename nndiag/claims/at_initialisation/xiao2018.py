"""Xiao et al. 2018: delta-orthogonal kernels carry a signal through 1,000 convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import NetworkSpec
from nndiag.training.initial import random_network

_LAYERS, _CHANNELS, _SIDE, _BATCH = 1000, 16, 4, 2
#: Small inputs keep tanh near its linear part, where orthogonal weights can be an isometry.
_SMALL = 0.05


def _measure(seed: int) -> Figures:
    gaussian = _network(seed)
    forward, _backward = _ends(gaussian, seed)
    delta_forward, delta_backward = _ends(_delta_orthogonal(gaussian, seed), seed)
    return {
        "delta_forward": delta_forward,
        "delta_backward": delta_backward,
        "gaussian_forward": forward,
    }


def _network(seed: int) -> nn.Module:
    """Return tanh convolutions of 3 x 3 with the critical variance, 1 / fan_in.

    Padding is circular, as in the theory: zeros at the border drain the signal by themselves.
    """
    spec = NetworkSpec(
        net="cnn", depth=_LAYERS + 1, width=_CHANNELS, act="tanh", init="lecun_normal"
    )
    model = random_network(spec, (_CHANNELS, _SIDE, _SIDE), seed)
    for module in model.children():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular"
    return model


def _delta_orthogonal(model: nn.Module, seed: int) -> nn.Module:
    """Draw kernels that are zero but for an orthogonal matrix at their centre, in place."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.children():
        if isinstance(module, nn.Conv2d):
            with torch.no_grad():
                module.weight.zero_()
                centre = torch.empty(module.weight.shape[:2])
                module.weight[:, :, 1, 1] = nn.init.orthogonal_(centre, 1.0, generator)
    return model


def _ends(model: nn.Module, seed: int) -> tuple[float, float]:
    """Return norms of the last activations over the first, of the first gradients over the last."""
    generator = torch.Generator().manual_seed(seed)
    x = _SMALL * torch.randn(_BATCH, _CHANNELS, _SIDE, _SIDE, generator=generator)
    outputs: list[Tensor] = []
    for module in model.children():
        x = module(x)
        if isinstance(module, nn.Tanh):
            outputs.append(x)
    first, last = outputs[0], outputs[-1]
    loss = nn.functional.cross_entropy(x, torch.arange(_BATCH) % 10)
    into, out = torch.autograd.grad(loss, [first, last])
    return float((last.norm() / first.norm()).detach()), float(into.norm() / out.norm())


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        figures["delta_forward"] >= 0.2
        and 0.2 <= figures["delta_backward"] <= 5
        and figures["gaussian_forward"] <= 0.1
    )


CLAIM = Claim(
    name="xiao2018",
    paper="Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018, Dynamical isometry and a "
    "mean field theory of CNNs, arXiv:1806.05393",
    says=to_translate(
        "Delta-orthogonal kernels make a plain tanh CNN of thousands of layers trainable: signal "
        "and gradient reach its ends, with Gaussian kernels they do not."
    ),
    published=to_translate("Plain CNNs of 10,000 layers and more are trained."),
    criterion=to_translate(
        "1000 convolutions: norm of the last over the first activation at least 0.2 and of the "
        "first over the last gradient 0.2 to 5 delta-orthogonal; forward at most 0.1 Gaussian."
    ),
    figures=(
        Figure(
            name="delta_forward",
            text=to_translate("delta-orthogonal: activation norm, last over first layer"),
        ),
        Figure(
            name="delta_backward",
            text=to_translate("delta-orthogonal: gradient norm, first over last layer"),
        ),
        Figure(
            name="gaussian_forward",
            text=to_translate("Gaussian: activation norm, last over first layer"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
