"""Vanishing and exploding gradients.

Four channels decide together: the backpropagated signal dL/dz, the activation scale, the weight
gradient and its size relative to the weight. The signal leads, because the weight gradient is the
product of the signal and of the layer's input: in bias-free ReLU-like nets what one loses the other
gains, and the weight gradient looks level whatever happens.
"""

from __future__ import annotations

import math

import numpy as np

from nndiag.diagnosis import measures
from nndiag.diagnosis.context import Context
from nndiag.diagnosis.thresholds import LEVEL_SHARE, RATIO_CRITICAL, RATIO_WARNING, SYMMETRIC
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.trace import Trace


def check(trace: Trace, context: Context) -> list[Finding]:
    """Report a signal that shrinks or grows by more than 10^3 on its way to the input."""
    if "output_grad_norm" not in trace.columns or _symmetric(trace):
        return []  # equal units lose their gradient by symmetry: that finding names the cause
    values = measures.signal(trace, recurrent=context.recurrent)
    ratio = _typical(measures.end_to_end(values, measures.floor_of(trace)))
    if not math.isfinite(ratio):
        return _overflowed(trace, context)
    if ratio < RATIO_WARNING:
        return [_finding(Symptom.VANISHING_GRADIENTS, trace, context, values, ratio)]
    if ratio > 1 / RATIO_WARNING:
        return [_finding(Symptom.EXPLODING_GRADIENTS, trace, context, values, ratio)]
    return []


def _typical(ratios: np.ndarray) -> float:
    """Return the geometric mean over members (infinite or NaN if any is)."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(ratios).mean())) if ratios.size else math.nan


def _symmetric(trace: Trace) -> bool:
    places = measures.path(trace, "symmetric_fraction")
    return bool(places) and all(
        float(trace.at("symmetric_fraction", place).mean()) >= SYMMETRIC for place in places
    )


def _overflowed(trace: Trace, context: Context) -> list[Finding]:
    """A forward pass that overflows leaves no gradient to read: the activations tell."""
    rms = measures.activation_rms(trace)
    usable = rms[np.isfinite(rms).all(axis=1)]
    if len(usable) < 3 or (usable == 0).any():
        return []
    growth = _typical((usable[-1] / usable[0]) ** (1 / (len(usable) - 1)))
    if growth ** len(usable) < 1 / RATIO_CRITICAL:
        return []
    return [
        Finding(
            symptom=Symptom.EXPLODING_GRADIENTS,
            severity=Severity.CRITICAL,
            layers=tuple(trace.layers[place].name for place in trace.hidden),
            evidence={"forward_factor": growth, "overflow": True},
            cause=_(
                "The activations grow by a factor {growth:.3g} a layer until they overflow; the "
                "gradient meets the same weights on its way back."
            ).format(growth=growth),
            fixes=_fixes(Symptom.EXPLODING_GRADIENTS, context),
            reference="He et al. 2015; Poole et al. 2016",
        )
    ]


def _finding(
    symptom: Symptom, trace: Trace, context: Context, values: np.ndarray, ratio: float
) -> Finding:
    factor = _typical(measures.factor(values))
    severe = ratio < RATIO_CRITICAL or ratio > 1 / RATIO_CRITICAL
    places = [] if context.recurrent else measures.path(trace, "output_grad_norm")
    evidence = {"grad_ratio": ratio, "decay_per_layer": factor} | _channels(trace, context)
    cause = " ".join(filter(None, (_why(factor, trace, context), _cancelling(evidence))))
    return Finding(
        symptom=symptom,
        severity=Severity.CRITICAL if severe else Severity.WARNING,
        layers=tuple(trace.layers[place].name for place in places),
        evidence=evidence,
        cause=cause,
        fixes=_fixes(symptom, context),
        reference=_reference(symptom, context),
    )


def _channels(trace: Trace, context: Context) -> dict[str, float]:
    """Return the other three channels: forward factor, weight-gradient factor and scales."""
    if context.recurrent:
        return {}
    numbers: dict[str, float] = {}
    rms = measures.activation_rms(trace)
    if len(rms) > 2:
        numbers["forward_factor"] = 1 / _typical(measures.factor(rms))
    for name, label in (
        ("weight_grad_norm", "weight_grad_ratio"),
        ("relative_grad", "relative_grad_first"),
    ):
        places = measures.path(trace, name)
        if len(places) > 2:
            rows = trace.columns[name][-1, places]
            last = rows[-1] if label == "weight_grad_ratio" else np.ones_like(rows[-1])
            numbers[label] = _typical(measures.end_to_end(np.stack([rows[0], last])))
    return numbers


def _cancelling(evidence: dict[str, float]) -> str:
    """Say so when the weight gradients hide what the signal shows."""
    weight, ratio = evidence.get("weight_grad_ratio"), evidence["grad_ratio"]
    if not weight or not math.isfinite(weight) or weight <= 0:
        return ""
    if abs(math.log(weight)) > LEVEL_SHARE * abs(math.log(ratio)):
        return ""
    return _(
        "The weight gradients look level (first/last {weight:.2g}) only because dL/dW is the "
        "product of this signal and of activations that change by {forward:.3g} a layer the "
        "other way."
    ).format(weight=weight, forward=evidence.get("forward_factor", math.nan))


def _why(factor: float, trace: Trace, context: Context) -> str:
    if context.recurrent:
        return _(
            "Backpropagation through time multiplies the signal by the recurrent matrix and by the "
            "activation's slope at every step: measured x{factor:.3g} a step back in time."
        ).format(factor=factor)
    if context.norm == "batch":
        return _(
            "Normalisation fixes the forward scale but divides the backward signal by the "
            "standard deviation of every layer: with {act} the factor sqrt(E[phi'^2] / Var[phi]) "
            "is above 1, measured x{factor:.3g} a layer, whatever the weights."
        ).format(act=context.activation, factor=factor)
    return _(
        "On its way back the signal is multiplied at every layer by the weights and by the "
        "activation's slope: measured x{factor:.3g} a layer{detail}."
    ).format(factor=factor, detail=_slope(context))


def _slope(context: Context) -> str:
    if context.slope_rms is None or context.weight_scale is None:
        return ""
    detail = _(" (weight scale {scale:.3g} x slope {slope:.3g} by theory").format(
        scale=context.weight_scale, slope=context.slope_rms
    )
    if context.slope_max is not None and context.slope_max < 0.5:
        detail += _("; phi' is never above {top:.3g}").format(top=context.slope_max)
    if context.offset:
        detail += _("; phi(0) = {offset:.2g}: outputs sit off zero").format(offset=context.offset)
    return detail + ")"


def _fixes(symptom: Symptom, context: Context) -> tuple[str, ...]:
    if context.recurrent:
        return (
            _("an orthogonal recurrent matrix"),
            _("gradient clipping by norm against explosion"),
            _("a gated cell (lstm, gru) against vanishing"),
        )
    if context.norm == "batch":
        return (
            _("residual connections around the normalised blocks"),
            _("fewer layers, or an activation closer to linear (tanh, selu)"),
            _("no normalisation with an initialisation matched to the activation"),
        )
    fixes = [_("an initialisation matched to the activation (he_normal for the ReLU family)")]
    if symptom is Symptom.VANISHING_GRADIENTS:
        fixes.append(_("batch normalisation"))
        fixes.append(_("an activation whose slope reaches 1 (relu, tanh, selu)"))
    else:
        fixes.append(_("gradient clipping keeps the steps finite but does not cure the start"))
    return tuple(fixes)


def _reference(symptom: Symptom, context: Context) -> str:
    if context.recurrent:
        return "Pascanu, Mikolov & Bengio 2013"
    if context.norm == "batch":
        return "Yang et al. 2019"
    return "Glorot & Bengio 2010; He et al. 2015; Schoenholz et al. 2017"
