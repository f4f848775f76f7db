"""Saturated activations and dead units."""

from __future__ import annotations

import numpy as np

from nndiag.diagnosis.context import Context
from nndiag.diagnosis.measures import path
from nndiag.diagnosis.thresholds import (
    DEAD_CRITICAL,
    DEAD_WARNING,
    SATURATED_CRITICAL,
    SATURATED_WARNING,
)
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.trace import Trace


def check(trace: Trace, context: Context) -> list[Finding]:
    """Report layers with most units saturated, or with most units off on every sample."""
    return [*_saturated(trace), *_dead(trace)]


def _saturated(trace: Trace) -> list[Finding]:
    # A gate (relu, leaky_relu) is flat on one side by design: that is no saturation.
    places = [place for place in path(trace, "saturated_fraction") if not trace.layers[place].gate]
    shares = _means(trace, "saturated_fraction", places)
    above = [at for at, share in zip(places, shares, strict=True) if share > SATURATED_WARNING]
    if not above:
        return []
    overall = float(np.mean(shares))
    severity = Severity.CRITICAL if overall > SATURATED_CRITICAL else Severity.WARNING
    worst = float(max(shares))
    return [
        Finding(
            symptom=Symptom.SATURATED_ACTIVATIONS,
            severity=severity,
            layers=tuple(trace.layers[place].name for place in above),
            evidence={"saturated_fraction": overall, "worst": worst, "layers": len(above)},
            cause=_(
                "{share:.0%} of the hidden outputs sit where the activation is almost flat (slope "
                "below 5 % of its maximum): the weights are too large, and next to no gradient "
                "passes through these units."
            ).format(share=overall),
            fixes=(
                _("weights of variance about 1/fan_in (xavier_uniform, lecun_normal)"),
                _("batch or layer normalisation before the activation"),
                _("an activation that does not saturate (relu, elu)"),
            ),
            reference="Glorot & Bengio 2010",
        )
    ]


def _dead(trace: Trace) -> list[Finding]:
    places = _finite(trace, "dead_fraction")
    shares = _means(trace, "dead_fraction", places)
    above = [place for place, share in zip(places, shares, strict=True) if share > DEAD_WARNING]
    if not above:
        return []
    worst = float(max(shares))
    return [
        Finding(
            symptom=Symptom.DEAD_UNITS,
            severity=Severity.CRITICAL if worst > DEAD_CRITICAL else Severity.WARNING,
            layers=tuple(trace.layers[place].name for place in above),
            evidence={"dead_fraction": worst, "layers": len(above)},
            cause=_(
                "Up to {share:.0%} of the units of a layer are off on every sample seen: they "
                "output a constant, their gradient is exactly zero and they cannot recover by "
                "gradient descent."
            ).format(share=worst),
            fixes=(
                _("a smaller learning rate"),
                _("he_normal weights with zero biases"),
                _("leaky_relu or elu, whose slope is never exactly zero"),
            ),
            reference="Lu et al. 2019 (Dying ReLU)",
        )
    ]


def _finite(trace: Trace, statistic: str) -> list[int]:
    """Return the hidden layers whose activations are numbers: beyond an overflow none is."""
    return [
        place
        for place in path(trace, statistic)
        if "activation_std" not in trace.columns
        or np.isfinite(trace.at("activation_std", place)).all()
    ]


def _means(trace: Trace, statistic: str, places: list[int]) -> list[float]:
    return [float(trace.at(statistic, place).mean()) for place in places]
