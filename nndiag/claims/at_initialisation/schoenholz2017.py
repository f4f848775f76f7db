"""Schoenholz et al. 2017: gradients change by chi_1 a layer, at either side of criticality."""

from __future__ import annotations

import math

import numpy as np
import torch

from nndiag.diagnosis import measures
from nndiag.locales import to_translate
from nndiag.probe.probe import Probe
from nndiag.schema.claim import Claim, Figure, Figures, each_seed
from nndiag.schema.spec import NetworkSpec
from nndiag.theory import activations
from nndiag.theory.depth_scale import depth_scale
from nndiag.theory.propagation import fitted_slope
from nndiag.training.initial import random_network

_WIDTH, _LAYERS, _BATCH, _FIRST = 256, 20, 64, 3
_BIAS_VARIANCE = 0.05
#: Networks of a seed, whose mean counts: single slopes scatter by 0.02.
_NETWORKS = 4
#: sigma_w^2 by phase; 1.761 is critical at this bias variance.
_WEIGHTS = {"ordered": 1.0, "critical": 1.761, "chaotic": 4.0}
_SCALES = {
    phase: depth_scale(activations.function("tanh"), weights, _BIAS_VARIANCE)  # type: ignore[arg-type]
    for phase, weights in _WEIGHTS.items()
}


def _measure(seed: int) -> Figures:
    draws = range(_NETWORKS * seed, _NETWORKS * (seed + 1))
    return {phase: float(np.mean([_slope(phase, draw) for draw in draws])) for phase in _WEIGHTS}


def _slope(phase: str, seed: int) -> float:
    """Return the slope of log |dL/dh_l|^2 over the layers, which theory says is -log chi_1."""
    deviation = math.sqrt(_WEIGHTS[phase] / _WIDTH)
    spec = NetworkSpec(
        depth=_LAYERS + 1,
        width=_WIDTH,
        act="tanh",
        init=f"normal:{deviation!r}",
        bias_std=math.sqrt(_BIAS_VARIANCE),
    )
    model = random_network(spec, (_WIDTH,), seed)
    # Inputs of the norm that puts the first layer at its fixed point q*.
    start = (_SCALES[phase].fixed_point - _BIAS_VARIANCE) / _WEIGHTS[phase]
    generator = torch.Generator().manual_seed(seed)
    x = math.sqrt(start) * torch.randn(_BATCH, _WIDTH, generator=generator)
    with Probe(model, exact=True, statistics=["output_grad_norm"]) as probe:
        loss = torch.nn.functional.cross_entropy(model(x), torch.arange(_BATCH) % 10)
        loss.backward()
        probe.step(loss)
    return 2 * fitted_slope(np.log(measures.signal(probe.trace)[_FIRST:, 0]))


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return all(
        abs(figures[phase] + math.log(scale.chi)) <= 0.02 + 0.1 * abs(math.log(scale.chi))
        for phase, scale in _SCALES.items()
    )


CLAIM = Claim(
    name="schoenholz2017",
    paper="Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, Deep information propagation, "
    "arXiv:1611.01232, section 4",
    says=to_translate(
        "In wide random networks the squared gradient changes by the factor chi_1 from a layer to "
        "the one before: it vanishes in the ordered phase, explodes in the chaotic one and stays "
        "on the critical line."
    ),
    published=to_translate(
        "tanh networks of width 300 and more: measured gradients follow exp(-depth / xi), "
        "xi = -1 / log chi_1."
    ),
    criterion=to_translate(
        "20 tanh layers of width 256, sigma_b^2 = 0.05: slope of log |dL/dh|^2, mean of 4 "
        "networks, within 0.02 + 10 % of -log chi_1 for sigma_w^2 = 1, 1.761 and 4."
    ),
    figures=tuple(
        Figure(name=phase, text=text, paper=round(-math.log(_SCALES[phase].chi), 4) + 0.0)
        for phase, text in (
            ("ordered", to_translate("slope of log |dL/dh|^2, ordered (sigma_w^2 = 1)")),
            ("critical", to_translate("slope, critical (sigma_w^2 = 1.761)")),
            ("chaotic", to_translate("slope, chaotic (sigma_w^2 = 4)")),
        )
    ),
    measure=each_seed(_measure),
    holds=holds,
)
