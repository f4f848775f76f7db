"""Yang et al. 2019: with batch normalisation gradients explode, whatever the activation."""

from __future__ import annotations

import torch

from nndiag import datasets
from nndiag.diagnosis import measures
from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.theory import activations
from nndiag.theory.quadrature import gaussian_mean
from nndiag.training import initial

_DEPTH, _WIDTH, _BATCH = 20, 128, 128
_TOLERANCE = 0.1


def _measure(seed: int) -> Figures:
    return {act: _growth(act, seed) for act in _LIMITS}


def _growth(act: str, seed: int) -> float:
    """Return the factor of the squared gradient a layer towards the input."""
    trace = initial.measure(
        NetworkSpec(depth=_DEPTH, width=_WIDTH, act=act, init="he_normal", norm="batch"),
        datasets.load(DataSpec(), seed=0),
        seeds=[seed],
        batch_size=_BATCH,
        device=torch.device("cpu"),
    )
    return float(measures.factor(measures.signal(trace))[0]) ** 2


def _limit(act: str) -> float:
    """Return E[phi'(z)^2] / Var[phi(z)] for z ~ N(0, 1): large batches, independent samples."""
    function = activations.function(act)
    assert function is not None
    variance = gaussian_mean(function.squared, 1.0) - gaussian_mean(function.phi, 1.0) ** 2
    return gaussian_mean(function.derivative_squared, 1.0) / variance


_LIMITS = {act: _limit(act) for act in ("relu", "tanh", "sigmoid", "linear")}


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return all(
        figures[act] > 1 and abs(figures[act] / limit - 1) <= _TOLERANCE
        for act, limit in _LIMITS.items()
    )


CLAIM = Claim(
    name="yang2019",
    paper="Yang, Pennington, Rao, Sohl-Dickstein & Schoenholz 2019, A mean field theory of batch "
    "normalization, arXiv:1902.08129",
    says=to_translate(
        "Batch normalisation makes the gradient of plain networks at initialisation grow "
        "exponentially with depth, whatever the weights' variance and the activation; less so the "
        "closer the network is to linear."
    ),
    published=to_translate(
        "Squared gradients of ReLU networks grow by pi / (pi - 1) = 1.467 a layer for large "
        "batches."
    ),
    criterion=to_translate(
        "20 layers of width 128, batches of 128 digits: growth of the squared gradient above 1 and "
        "within 10 % of E[phi'^2] / Var[phi] for ReLU, tanh, sigmoid and linear."
    ),
    figures=tuple(
        Figure(name=act, text=text, paper=_LIMITS[act])
        for act, text in (
            ("relu", to_translate("ReLU: factor of the squared gradient a layer")),
            ("tanh", to_translate("tanh: factor of the squared gradient a layer")),
            ("sigmoid", to_translate("sigmoid: factor of the squared gradient a layer")),
            ("linear", to_translate("linear: factor of the squared gradient a layer")),
        )
    ),
    measure=each_seed(_measure),
    holds=holds,
)
