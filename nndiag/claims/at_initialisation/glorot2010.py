"""Glorot & Bengio 2010: the standard initialisation shrinks gradients, the normalised keeps them.

PyTorch's default, U(-1/sqrt(n), 1/sqrt(n)), is the paper's "standard" one.
"""

from __future__ import annotations

import torch

from nndiag import datasets
from nndiag.diagnosis import measures
from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training import initial

_HIDDEN, _WIDTH, _BATCH = 5, 1000, 100


def _measure(seed: int) -> Figures:
    tanh, tanh_weights = _ratios("tanh", "torch", seed)
    tanh_normalised, normalised_weights = _ratios("tanh", "xavier_uniform", seed)
    return {
        "tanh_standard": tanh,
        "tanh_normalised": tanh_normalised,
        "weights_standard": tanh_weights,
        "weights_normalised": normalised_weights,
        "softsign_standard": _ratios("softsign", "torch", seed)[0],
        "softsign_normalised": _ratios("softsign", "xavier_uniform", seed)[0],
        "sigmoid_standard": _ratios("sigmoid", "torch", seed)[0],
    }


def _ratios(act: str, init: str, seed: int) -> tuple[float, float]:
    """Return the gradient of hidden layer 1 over 5 (outputs), and of layer 2 over 5 (weights)."""
    trace = initial.measure(
        NetworkSpec(depth=_HIDDEN + 1, width=_WIDTH, act=act, init=init),
        datasets.load(DataSpec(), seed=0),
        seeds=[seed],
        batch_size=_BATCH,
        device=torch.device("cpu"),
    )
    signal = measures.signal(trace)[:, 0]
    weights = trace.columns["weight_grad_norm"][-1, trace.hidden, 0]
    return float(signal[0] / signal[-1]), float(weights[1] / weights[-1])


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        figures["tanh_standard"] <= 0.15
        and figures["tanh_normalised"] >= 0.35
        and figures["tanh_normalised"] >= 3 * figures["tanh_standard"]
        and figures["softsign_normalised"] >= 3 * figures["softsign_standard"]
        and figures["sigmoid_standard"] <= 0.01
        and all(0.85 <= figures[f"weights_{name}"] <= 1.2 for name in ("standard", "normalised"))
    )


CLAIM = Claim(
    name="glorot2010",
    paper="Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural "
    "networks, section 4.2, figures 7 and 8",
    says=to_translate(
        "With the standard initialisation U(-1/sqrt(n), 1/sqrt(n)) the back-propagated gradient "
        "shrinks toward the input although weight gradients do not; the normalised one, "
        "U(+-sqrt(6/(n_in + n_out))), keeps it."
    ),
    published=to_translate(
        "Five tanh layers of 1000 units: gradient histograms narrow toward the input with the "
        "standard initialisation and stay alike with the normalised one."
    ),
    criterion=to_translate(
        "tanh: first over last layer at most 0.15 standard, at least 0.35 and three times that "
        "normalised; softsign: three times; sigmoid: at most 0.01; weight gradients of layers 2 "
        "and 5 alike (0.85 to 1.2)."
    ),
    figures=(
        Figure(
            name="tanh_standard",
            text=to_translate("tanh, standard: output gradient of layer 1 over layer 5"),
        ),
        Figure(name="tanh_normalised", text=to_translate("tanh, normalised: the same")),
        Figure(
            name="weights_standard",
            text=to_translate("tanh, standard: weight gradient of layer 2 over layer 5"),
        ),
        Figure(
            name="weights_normalised",
            text=to_translate("tanh, normalised: weight gradient of layer 2 over layer 5"),
        ),
        Figure(
            name="softsign_standard",
            text=to_translate("softsign, standard: output gradient of layer 1 over layer 5"),
        ),
        Figure(name="softsign_normalised", text=to_translate("softsign, normalised: the same")),
        Figure(
            name="sigmoid_standard",
            text=to_translate("sigmoid, standard: output gradient of layer 1 over layer 5"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
