"""Gradients that vanish or explode on their way back through time."""

from __future__ import annotations

import math

import numpy as np

from nndiag.diagnosis import learning
from nndiag.diagnosis.naming import expression
from nndiag.diagnosis.thresholds import RATIO_CRITICAL, RATIO_WARNING
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import ModelRecord, Observation


def check(observation: Observation) -> list[Finding]:
    """Report recurrent layers of a run that does not learn and that forget their first steps."""
    if learning.learns(observation) is not False:
        return []
    return [
        finding
        for model in observation.models
        for layer, norms in model.time_profiles.items()
        if (finding := _judged(model, layer, norms)) is not None
    ]


def _judged(model: ModelRecord, layer: str, norms: np.ndarray) -> Finding | None:
    if len(norms) < 3:
        return None
    finite = np.isfinite(norms).all()
    ratio = float(norms[0] / norms[-1]) if finite and norms[-1] > 0 else math.inf
    if finite and norms[-1] == 0:
        return None
    if RATIO_WARNING <= ratio <= 1 / RATIO_WARNING:
        return None
    vanishes = ratio < RATIO_WARNING
    severe = ratio < RATIO_CRITICAL or ratio > 1 / RATIO_CRITICAL
    factor = ratio ** (1 / (len(norms) - 1)) if 0 < ratio < math.inf else ratio
    name = expression(model, layer) if layer else model.name
    return Finding(
        symptom=Symptom.VANISHING_GRADIENTS if vanishes else Symptom.EXPLODING_GRADIENTS,
        severity=Severity.CRITICAL if severe else Severity.WARNING,
        layers=(layer,),
        evidence={"time_ratio": ratio, "factor_per_step": factor, "time_steps": len(norms)},
        cause=_(
            "Through the {steps} time steps of `{name}` the gradient of the last output changes by "
            "x{factor:.3g} a step back in time, x{ratio:.2g} in all: what comes first {effect}."
        ).format(
            steps=len(norms),
            name=name,
            factor=factor,
            ratio=ratio,
            effect=_("hardly counts for the loss") if vanishes else _("outweighs all that follows"),
        ),
        fixes=_fixes(name, vanishes=vanishes),
        reference="Pascanu, Mikolov & Bengio 2013; Bengio, Simard & Frasconi 1994",
    )


def _fixes(name: str, *, vanishes: bool) -> tuple[str, ...]:
    orthogonal = _("an orthogonal recurrent matrix: `nn.init.orthogonal_({name}.weight_hh_l0)`")
    if vanishes:
        return (
            orthogonal.format(name=name),
            _("a gated cell (nn.LSTM with its forget bias at 1 or more, nn.GRU)"),
            _("shorter sequences, or attention over all time steps"),
        )
    return (
        orthogonal.format(name=name),
        _("`torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)` before the step"),
    )
