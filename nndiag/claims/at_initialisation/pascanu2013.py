"""Pascanu, Mikolov & Bengio 2013: what the recurrent matrix does to gradients through time."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from nndiag.diagnosis import measures
from nndiag.locales import to_translate
from nndiag.probe.probe import Probe
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import NetworkSpec
from nndiag.theory.propagation import fitted_slope
from nndiag.training.initial import random_network

_WIDTH, _STEPS, _BATCH = 100, 60, 32
#: Nearer to the output the gradient still holds other eigenvectors than the largest one's.
_SETTLED = 40
_RADII = {"below": 0.8, "at": 1.0, "above": 1.2}
_NETWORKS = 4


def _measure(seed: int) -> Figures:
    draws = range(_NETWORKS * seed, _NETWORKS * (seed + 1))
    found = {
        name: float(np.mean([_slope("linear", radius, draw) for draw in draws]))
        for name, radius in _RADII.items()
    }
    tanh = float(np.mean([_slope("tanh", _RADII["above"], draw) for draw in draws]))
    return {**found, "tanh_above": tanh}


def _slope(act: str, radius: float, seed: int) -> float:
    """Return the slope of log |dL/dh_t|^2 over time, which for a linear network is -2 log radius.

    The recurrent matrix is Gaussian, scaled so that its largest eigenvalue is the radius.
    """
    spec = NetworkSpec(net="rnn", depth=1, width=_WIDTH, act=act, init="lecun_normal")
    model = random_network(spec, (_STEPS, 1), seed)
    matrix = model.get_parameter("rnn1.recurrent.weight")
    with torch.no_grad():
        matrix.mul_(radius / torch.linalg.eigvals(matrix).abs().max())
    x = torch.randn(_BATCH, _STEPS, 1, generator=torch.Generator().manual_seed(seed))
    with Probe(model, exact=True, statistics=["output_grad_norm"]) as probe:
        loss = nn.functional.cross_entropy(model(x), torch.arange(_BATCH) % 10)
        loss.backward()
        probe.step(loss)
    norms = measures.signal(probe.trace, recurrent=True)[:, 0]
    return 2 * fitted_slope(np.log(norms[:_SETTLED]))


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        all(abs(figures[name] + 2 * math.log(radius)) <= 0.06 for name, radius in _RADII.items())
        and figures["tanh_above"] >= 0.5 * figures["above"]
    )


CLAIM = Claim(
    name="pascanu2013",
    paper="Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural "
    "networks, arXiv:1211.5063, section 2",
    says=to_translate(
        "Gradients through time vanish where the recurrent matrix's largest eigenvalue is below "
        "1 / gamma, gamma the largest slope of the activation; above it they can explode but need "
        "not."
    ),
    published=to_translate(
        "Linear networks: the gradient changes by the eigenvalue a step; below 1 / gamma is "
        "sufficient to vanish, above it only necessary to explode."
    ),
    criterion=to_translate(
        "100 units, 60 steps, mean of 4 networks: slope of log |dL/dh_t|^2 within 0.06 of "
        "-2 log rho for linear ones of rho = 0.8, 1 and 1.2; tanh at 1.2 grows at most half as "
        "fast, or vanishes."
    ),
    figures=(
        Figure(
            name="below",
            text=to_translate("linear, rho = 0.8: slope of log |dL/dh_t|^2"),
            paper=-2 * math.log(0.8),
        ),
        Figure(name="at", text=to_translate("linear, rho = 1: slope"), paper=0.0),
        Figure(
            name="above",
            text=to_translate("linear, rho = 1.2: slope"),
            paper=-2 * math.log(1.2),
        ),
        Figure(name="tanh_above", text=to_translate("tanh, rho = 1.2: slope")),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
