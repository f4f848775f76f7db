"""The signal of a user's models: which rows of a trace to judge, and what a finding there means.

A network that learns is left alone, whatever its gradients look like: no threshold on gradients
separates healthy from dead runs, while the loss does.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nndiag.diagnosis import (
    activations,
    gradients,
    learning,
    measures,
    naming,
    non_finite,
    progress,
    symmetry,
)
from nndiag.diagnosis.context import Context
from nndiag.diagnosis.thresholds import SATURATED_CRITICAL
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import ModelRecord, Observation
from nndiag.schema.trace import Trace

#: Recorded rows whose median stands for the beginning, and for the end.
_WINDOW = 10
#: Skill (0 chance, 1 always right), or share of the first loss that is gone, that leaves nothing to
#: ask for.
_WELL = 0.9
#: First loss over the loss of always saying how often each label comes, from which an explosion
#: counts although the network recovers: a sound start is near 1 ("verify loss @ init",
#: Karpathy 2019, A Recipe for Training Neural Networks).
_LOUD = 10.0
#: ... and, where the gradient's ratio alone does not tell, from which outputs are too large by this
#: factor while the signal grows by that much from the input to the last hidden layer.
_TOO_LARGE, _GROWTH = 30.0, 100.0
#: ... and from which they are too large by so much that no growth need be seen: it may hide between
#: operations that are no modules.
_FAR_TOO_LARGE = 1e3
#: Calls of a layer in one pass from which it may be a recurrence that the user wrote by hand.
_MANY_CALLS = 8


def check(observation: Observation) -> list[Finding]:
    """Report what the traces show, for each model that a gradient came back through."""
    found: list[Finding] = []
    for model in observation.models:
        trace = model.trace
        if not len(trace.steps) or not trace.layers:
            continue
        found += _broken(model, observation)
        found += _judged(model, observation)
    return found


def _broken(model: ModelRecord, observation: Observation) -> list[Finding]:
    """Return the first value that is not finite, in the words of a run.

    One training of several that broke and was given up (a search for a rate) is a remark.
    """
    later = max(
        (one for one in observation.optimizers if len(one.loss)),
        key=lambda one: one.loss.steps[-1],
        default=None,
    )
    given_up = (
        later is not None
        and learning.several_trainings(observation)
        and model.name not in later.models
        and bool(np.isfinite(later.loss.values).all())
    )
    return [
        replace(
            finding,
            fixes=_non_finite_fixes(finding),
            severity=Severity.INFO if given_up else finding.severity,
        )
        for finding in non_finite.check(model.trace, Context())
    ]


def _non_finite_fixes(finding: Finding) -> tuple[str, ...]:
    if finding.evidence["direction"] == "backward":
        return (
            _("`torch.autograd.set_detect_anomaly(True)` names the operation of the forward pass"),
            _("away from the edge of sqrt, log, division and norm: add `1e-8` inside"),
            _("a smaller learning rate, or gradient clipping"),
        )
    if finding.evidence["direction"] == "loss":
        return (
            _("the loss itself: log or division of zero? Add `1e-8`, or use a `..._with_logits`"),
            _("a smaller learning rate, or gradient clipping"),
        )
    return (
        _("`assert torch.isfinite(x).all()` on each batch"),
        _("a smaller learning rate, or gradient clipping"),
        _("an initialisation that keeps the variance (`kaiming_normal_`, `xavier_uniform_`)"),
    )


def _judged(model: ModelRecord, observation: Observation) -> list[Finding]:
    """Return the findings of the beginning and of the end, each once, in a run that fails."""
    trace = model.trace
    works = _works(observation)
    context = Context(norm=model.normalised, recurrent=_by_time(model))
    beginning = _typical(trace, slice(0, _WINDOW))
    late = len(trace.steps) >= 4 * _WINDOW
    end = _typical(trace, slice(-_WINDOW, None)) if late else None
    found: dict[Symptom, Finding] = {}
    for window, part in ((_("first steps"), beginning), (_("last steps"), end)):
        if part is None:
            continue
        for family in (symmetry, gradients, activations):
            for finding in family.check(part, context):
                if finding.symptom not in found and not _spurious(finding, model, part):
                    found[finding.symptom] = _worded(finding, window, model, works=works)
    if works is False and Symptom.EXPLODING_GRADIENTS not in found:
        found |= {
            finding.symptom: _worded(finding, _("first steps"), model, works=works)
            for finding in _grown(model, beginning, observation)
        }
    return [finding for finding in found.values() if not works or _stays(finding, observation)]


def _grown(model: ModelRecord, part: Trace, observation: Observation) -> list[Finding]:
    """Report a signal that grows on its way forward until the first loss is far too large.

    A few layers that each amplify leave the gradient's first over last small enough to miss.
    """
    prior, losses = progress.prior(observation), learning.loss(observation).values
    if not prior or not len(losses):
        return []
    squared = observation.labels is not None and not observation.labels.classes
    excess = losses[0] / prior
    excess = math.sqrt(excess) if squared and excess > 0 else excess  # of the outputs
    rms = measures.activation_rms(part)[:, 0]
    entry = math.hypot(model.input.mean, model.input.std) if model.input is not None else 0.0
    growth = float(rms[-1] / entry) if len(rms) > 1 and entry > 0 and rms[-1] > rms[0] else 0.0
    grows = excess >= _TOO_LARGE and growth >= _GROWTH
    if not grows and not excess >= _FAR_TOO_LARGE:
        return []
    costs = _("the first loss is {loss:.3g}, where a constant answer costs {prior:.3g}").format(
        loss=losses[0], prior=prior
    )
    return [
        Finding(
            symptom=Symptom.EXPLODING_GRADIENTS,
            severity=Severity.CRITICAL,
            layers=tuple(part.layers[place].name for place in part.hidden),
            evidence={
                **({"growth": growth} if grows else {}),
                "first_loss": float(losses[0]),
                "prior_loss": prior,
            },
            cause=_(
                "The signal grows by a factor {growth:.3g} from the input to the last hidden "
                "layer: {costs}. The gradient meets the same weights on its way back."
            ).format(growth=growth, costs=costs)
            if grows
            else _(
                "Before any step the outputs are too large by orders of magnitude: {costs}. The "
                "gradient meets the same weights on its way back."
            ).format(costs=costs),
            fixes=(
                _("an initialisation that keeps the variance from layer to layer"),
                _("for a recurrence, an orthogonal matrix: `nn.init.orthogonal_(W)`"),
            ),
            reference="He et al. 2015; Karpathy 2019 (A Recipe for Training)",
        )
    ]


def _works(observation: Observation) -> bool | None:
    """Whether training works; None where it cannot be told."""
    stepped = [one for one in observation.optimizers if one.steps]
    if len(stepped) > 1:
        return True  # players of a game: their losses tell nothing
    return learning.learns(observation)


def _stays(finding: Finding, observation: Observation) -> bool:
    """Whether a finding is worth a line although the network learns."""
    if finding.symptom is Symptom.SYMMETRIC_UNITS:
        return True
    if finding.symptom is Symptom.EXPLODING_GRADIENTS:
        prior, losses = progress.prior(observation), learning.loss(observation).values
        return prior is not None and bool(len(losses)) and bool(losses[0] > _LOUD * prior)
    saturated = float(finding.evidence.get("saturated_fraction", 0.0)) > SATURATED_CRITICAL
    return saturated and not _well(observation)


def _well(observation: Observation) -> bool:
    """Whether so much is learnt that nothing can stand in its way."""
    chance, accuracy = learning.majority(observation), learning.training_accuracy(observation)
    if chance is not None and accuracy is not None:
        return learning.skill(accuracy, chance) >= _WELL
    start, end = learning.ends(learning.loss(observation))
    return not end > (1 - _WELL) * start


def _spurious(finding: Finding, model: ModelRecord, part: Trace) -> bool:
    """Whether a finding comes from something that is no fault."""
    if finding.symptom is Symptom.VANISHING_GRADIENTS:
        # Nothing comes back at all: a cut graph, which another family names.
        return bool(np.nanmax(part.columns["output_grad_norm"][-1]) == 0)
    return False


def _by_time(model: ModelRecord) -> bool:
    """Whether the signal is read by time step: a cell, or a layer, called at each of them."""
    by_layer = model.trace.by_call.get("output_grad_norm", {})
    calls = max((values.shape[2] for values in by_layer.values()), default=0)
    return calls >= (1 if model.recurrent else _MANY_CALLS)


def _worded(finding: Finding, window: str, model: ModelRecord, *, works: bool | None) -> Finding:
    fixes = _code(finding, model)
    severity = finding.severity
    if works is not False and severity is Severity.CRITICAL:
        severity = Severity.WARNING
    return replace(
        finding,
        severity=severity,
        evidence={**finding.evidence, "when": window},
        fixes=(*fixes, *finding.fixes),
    )


def _code(finding: Finding, model: ModelRecord) -> tuple[str, ...]:
    """Return the line of code that a fix comes down to, for a layer of this model."""
    layers = [layer for layer in model.trace.layers if layer.name in finding.layers]
    if not layers:
        return ()
    weight = naming.weight(model, layers[0])
    activation = (layers[0].activation or "").partition("(")[0]
    if finding.symptom is Symptom.VANISHING_GRADIENTS and activation == "Sigmoid":
        return (  # whose slope is never above 1/4: no scale of the weights helps
            _("`nn.ReLU()` for `nn.Sigmoid()` with `nn.init.kaiming_normal_({weight})`").format(
                weight=weight
            ),
        )
    gated = layers[0].gate
    if finding.symptom is Symptom.SYMMETRIC_UNITS:
        return (_("`nn.init.kaiming_uniform_({weight})`").format(weight=weight),)
    if finding.symptom in (Symptom.EXPLODING_GRADIENTS, Symptom.DEAD_UNITS) or gated:
        return (
            _("`nn.init.kaiming_normal_({weight}, nonlinearity='relu')`").format(weight=weight),
        )
    if finding.symptom in (Symptom.SATURATED_ACTIVATIONS, Symptom.VANISHING_GRADIENTS):
        return (_("`nn.init.xavier_uniform_({weight})`").format(weight=weight),)
    return ()


def _typical(trace: Trace, rows: slice) -> Trace:
    """Return a trace of one row: the medians over some rows, what is not finite left out."""
    columns = {}
    for name, table in trace.columns.items():
        part = table[rows]
        if name == "symmetric_fraction":
            part = table  # looked at in the first steps alone
        columns[name] = _median(part)
    return replace(
        trace,
        steps=np.asarray(trace.steps)[rows][-1:],
        columns=columns,
        by_call={
            name: {layer: _median(table[rows]) for layer, table in layers.items()}
            for name, layers in trace.by_call.items()
        },
        loss=_median(trace.loss[rows]),
    )


def _median(part: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(part), part, np.nan)
    some = ~np.isnan(finite).all(axis=0)
    row = np.full(part.shape[1:], np.nan)
    row[some] = np.nanmedian(finite[:, some], axis=0)
    return row[None]
