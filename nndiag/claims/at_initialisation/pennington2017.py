"""Pennington, Schoenholz & Ganguli 2017: which networks reach dynamical isometry."""

from __future__ import annotations

import numpy as np
import torch

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import NetworkSpec
from nndiag.theory.spectrum import spread
from nndiag.training.initial import random_network
from nndiag.training.jacobian import hidden_singular_values

_WIDTH, _LAYERS = 200, 20
#: Small inputs keep tanh near its linear part, where orthogonal weights can be an isometry.
_SMALL = 0.05
_CASES = {
    "linear_orthogonal": ("linear", "orthogonal", 1.0),
    "linear_gaussian": ("linear", "xavier_normal", 1.0),
    "relu_orthogonal": ("relu", f"orthogonal:{2**0.5!r}", 1.0),
    "relu_gaussian": ("relu", "he_normal", 1.0),
    "tanh_orthogonal": ("tanh", "orthogonal", _SMALL),
}
#: L (mu_2 / mu_1^2 - 1 - s_1), at criticality.
_SPREADS = {
    "linear_orthogonal": 0.0,
    "linear_gaussian": float(_LAYERS),
    "relu_orthogonal": float(_LAYERS),
    "relu_gaussian": 2.0 * _LAYERS,
    "tanh_orthogonal": 0.0,
}
#: Share by which a spread may differ; where it is 0, the largest.
_TOLERANCE, _ISOMETRY = 0.3, 0.05
#: Networks of a seed: a single ReLU network's spread differs by a quarter from the next one's.
_NETWORKS = 3


def _measure(seed: int) -> Figures:
    draws = range(_NETWORKS * seed, _NETWORKS * (seed + 1))
    return {
        name: float(np.mean([_spread(*case, draw) for draw in draws]))
        for name, case in _CASES.items()
    }


def _spread(act: str, init: str, scale: float, seed: int) -> float:
    """Return Var[s^2] / E[s^2]^2 of the Jacobian of 20 layers."""
    spec = NetworkSpec(depth=_LAYERS + 2, width=_WIDTH, act=act, init=init)
    model = random_network(spec, (_WIDTH,), seed)
    x = scale * torch.randn(1, _WIDTH, generator=torch.Generator().manual_seed(seed))
    return float(spread(hidden_singular_values(model, x, [_LAYERS])[0]))


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return all(
        abs(figures[name] / spread - 1) <= _TOLERANCE if spread else figures[name] <= _ISOMETRY
        for name, spread in _SPREADS.items()
    )


CLAIM = Claim(
    name="pennington2017",
    paper="Pennington, Schoenholz & Ganguli 2017, Resurrecting the sigmoid in deep learning "
    "through dynamical isometry, arXiv:1711.04735, section 2",
    says=to_translate(
        "At criticality tanh networks with orthogonal weights can be an isometry, Gaussian weights "
        "and ReLU cannot: the spread of their singular values grows with depth."
    ),
    published=to_translate(
        "Free probability: Var[s^2] / E[s^2]^2 is L (mu_2 / mu_1^2 - 1 - s_1): 0 linear "
        "orthogonal, L linear Gaussian, L ReLU orthogonal, 2 L ReLU Gaussian."
    ),
    criterion=to_translate(
        "20 layers of width 200: mean of 3 networks within 30 % of the formula, at most 0.05 where "
        "it is 0 and for tanh orthogonal on small inputs."
    ),
    figures=tuple(
        Figure(name=name, text=text, paper=_SPREADS[name])
        for name, text in (
            ("linear_gaussian", to_translate("linear, Gaussian: Var[s^2] / E[s^2]^2")),
            ("linear_orthogonal", to_translate("linear, orthogonal: Var[s^2] / E[s^2]^2")),
            ("relu_orthogonal", to_translate("ReLU, orthogonal: Var[s^2] / E[s^2]^2")),
            ("relu_gaussian", to_translate("ReLU, Gaussian: Var[s^2] / E[s^2]^2")),
            ("tanh_orthogonal", to_translate("tanh, orthogonal: Var[s^2] / E[s^2]^2")),
        )
    ),
    measure=each_seed(_measure),
    holds=holds,
)
