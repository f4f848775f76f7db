"""Saxe, McClelland & Ganguli 2013: exact learning curves of linear networks, and isometry."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import NetworkSpec
from nndiag.training.initial import random_network
from nndiag.training.jacobian import hidden_singular_values

_STRENGTHS = (3.0, 2.0, 1.0)
_START, _RATE, _STEPS = 1e-3, 3e-3, 2000
_WIDTH, _LAYERS = 50, 20


def _measure(seed: int) -> Figures:
    orthogonal, gaussian = (_spectrum(init, seed) for init in ("orthogonal", "xavier_normal"))
    return {
        "curve_error": _curve_error(seed),
        "orthogonal_condition": float(orthogonal[-1] / orthogonal[0]),
        "gaussian_lost": float((gaussian < 1e-3 * gaussian[0]).mean()),
    }


def _curve_error(seed: int) -> float:
    """Train y = W2 W1 x by gradient descent from decoupled weights; compare each mode's curve.

    With whitened inputs a mode of strength s grows as s e^(2st) / (e^(2st) - 1 + s / a_0).
    """
    size = len(_STRENGTHS)
    generator = torch.Generator().manual_seed(seed)
    out, inner, into = (
        nn.init.orthogonal_(torch.empty(size, size, dtype=torch.float64), 1.0, generator)
        for _matrix in range(3)
    )
    target = out @ torch.diag(torch.tensor(_STRENGTHS, dtype=torch.float64)) @ into.T
    start = _START**0.5 * torch.eye(size, dtype=torch.float64)
    first = (inner @ start @ into.T).requires_grad_()
    second = (out @ start @ inner.T).requires_grad_()
    descent = torch.optim.SGD([first, second], lr=_RATE)
    modes = []
    for _step in range(_STEPS):
        modes.append(torch.diagonal(out.T @ (second @ first) @ into).detach().numpy())
        descent.zero_grad()
        (0.5 * (target - second @ first).square().sum()).backward()
        descent.step()
    time = _RATE * np.arange(_STEPS)[:, None]
    strength = np.array(_STRENGTHS)
    growth = np.exp(2 * strength * time)
    predicted = strength * growth / (growth - 1 + strength / _START)
    return float(np.abs((np.array(modes) - predicted) / strength).max())


def _spectrum(init: str, seed: int) -> np.ndarray:
    """Return the singular values of 20 random linear layers, largest first."""
    spec = NetworkSpec(depth=_LAYERS + 2, width=_WIDTH, act="linear", init=init)
    model = random_network(spec, (_WIDTH,), seed, dtype=torch.float64)
    return hidden_singular_values(model, torch.ones(1, _WIDTH), [_LAYERS])[0]


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        figures["curve_error"] <= 0.01
        and figures["orthogonal_condition"] >= 0.999
        and figures["gaussian_lost"] >= 0.5
    )


CLAIM = Claim(
    name="saxe2013",
    paper="Saxe, McClelland & Ganguli 2013, Exact solutions to the nonlinear dynamics of learning "
    "in deep linear neural networks, arXiv:1312.6120",
    says=to_translate(
        "Each mode of a linear network is learnt along a sigmoidal curve known in closed form, and "
        "orthogonal weights keep every singular value of a deep product at 1 where scaled Gaussian "
        "ones lose most directions."
    ),
    published=to_translate(
        "Closed forms; learning times of orthogonal networks do not depend on depth, those of "
        "scaled Gaussian ones grow with it."
    ),
    criterion=to_translate(
        "Every mode within 1 % of its curve; after 20 layers of width 50 smallest over largest "
        "singular value at least 0.999 orthogonal, half of them below a thousandth Gaussian."
    ),
    figures=(
        Figure(
            name="curve_error",
            text=to_translate("largest distance of a mode from its curve, over its strength"),
            paper=0.0,
        ),
        Figure(
            name="orthogonal_condition",
            text=to_translate("orthogonal: smallest over largest singular value"),
            paper=1.0,
        ),
        Figure(
            name="gaussian_lost",
            text=to_translate("Gaussian: share of singular values below a thousandth"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
