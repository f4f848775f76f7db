"""All that can be said of one run: causes before consequences, and what was not checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nndiag.diagnosis import (
    data,
    direction,
    generalisation,
    learning,
    mismatch,
    modes,
    optimisation,
    parameters,
    recurrence,
    signal,
)
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import Observation

FAMILIES = (
    data,
    direction,
    generalisation,
    mismatch,
    modes,
    optimisation,
    parameters,
    recurrence,
    signal,
)

S = Symptom
_LOSS = (S.STALLED_LOSS, S.UNDERFITTING)
_RATE = (S.LEARNING_RATE_TOO_HIGH, S.LEARNING_RATE_TOO_LOW)
_SIGNAL = (S.VANISHING_GRADIENTS, S.EXPLODING_GRADIENTS, S.SATURATED_ACTIVATIONS, S.DEAD_UNITS)
#: What a run shows whatever is wrong with it.
_GENERAL = (S.UNDERFITTING, *_RATE, S.OVERFITTING)
#: Cause -> what follows from it and is told after it.
FOLLOWS: Mapping[Symptom, tuple[Symptom, ...]] = {
    S.LOSS_OUTPUT_MISMATCH: (
        *_LOSS, *_RATE, *_SIGNAL, S.UNTRAINED_PARAMETERS, S.NON_FINITE, S.WRONG_DIRECTION,
        S.ALWAYS_CLIPPED,
    ),
    S.WRONG_DIRECTION: (*_LOSS, *_RATE, *_SIGNAL, S.NON_FINITE, S.OVERFITTING),
    S.UNTRAINED_PARAMETERS: (*_LOSS, *_RATE, *_SIGNAL),
    S.MISSING_ZERO_GRAD: (*_LOSS, *_RATE, *_SIGNAL, S.NON_FINITE),
    S.WRONG_MODE: (
        *_LOSS, *_RATE, S.EXPLODING_GRADIENTS, S.NON_FINITE, S.OVERFITTING, S.LABEL_NOISE,
    ),
    S.BAD_SCHEDULE: (*_LOSS, S.LEARNING_RATE_TOO_LOW),
    S.ALWAYS_CLIPPED: (*_LOSS, S.LEARNING_RATE_TOO_LOW),
    S.SYMMETRIC_UNITS: (*_LOSS, *_RATE, *_SIGNAL),
    S.UNSHUFFLED_DATA: (*_LOSS, *_RATE, S.OVERFITTING, S.DEAD_UNITS),
    S.LABEL_NOISE: (*_LOSS, S.OVERFITTING),
    S.IMBALANCED_LABELS: (*_LOSS, S.UNSHUFFLED_DATA, S.DEAD_UNITS, S.LEARNING_RATE_TOO_LOW),
    S.UNNORMALISED_INPUT: (*_LOSS, *_RATE, *_SIGNAL, S.NON_FINITE),
    S.SATURATED_ACTIVATIONS: (
        *_LOSS, S.VANISHING_GRADIENTS, S.LEARNING_RATE_TOO_LOW, S.OVERFITTING, S.LABEL_NOISE,
    ),
    S.VANISHING_GRADIENTS: (*_LOSS, S.LEARNING_RATE_TOO_LOW),
    S.EXPLODING_GRADIENTS: (*_LOSS, *_RATE, S.DEAD_UNITS, S.NON_FINITE),
    S.LEARNING_RATE_TOO_HIGH: (*_LOSS, S.DEAD_UNITS, S.SATURATED_ACTIVATIONS, S.NON_FINITE),
    S.NON_FINITE: _LOSS,
    S.DEAD_UNITS: (*_LOSS, S.VANISHING_GRADIENTS, S.LEARNING_RATE_TOO_LOW),
    S.LEARNING_RATE_TOO_LOW: _LOSS,
    S.UNDERFITTING: (S.STALLED_LOSS,),
}  # fmt: skip


def diagnose_run(observation: Observation) -> list[Finding]:
    """Return every finding of one run: worst first, and causes before what follows from them."""
    found = [finding for family in FAMILIES for finding in family.check(observation)]
    return _causes_first(_merged(found))


def _merged(found: list[Finding]) -> list[Finding]:
    """Keep one NaN: where the data bring it in, that is the first."""
    broken = [finding for finding in found if finding.symptom is Symptom.NON_FINITE]
    return [finding for finding in found if finding not in broken[1:]]


def _causes_first(found: list[Finding]) -> list[Finding]:
    told = {f.symptom: f for f in found if f.severity.rank >= Severity.WARNING.rank}
    cause_of: dict[Symptom, Symptom] = {}
    for cause in FOLLOWS:  # in order: an earlier cause is nearer to the script
        if cause in told and cause not in cause_of:
            for effect in (*FOLLOWS[cause], *_broken_down(cause, told)):
                if effect in told and effect is not cause:
                    cause_of.setdefault(effect, cause)
    place = {symptom: at for at, symptom in enumerate(FOLLOWS)}
    ordered = [
        _after(f, told[cause_of[f.symptom]]) if told.get(f.symptom) and f.symptom in cause_of else f
        for f in found
    ]
    return sorted(
        ordered,
        key=lambda f: (-f.severity.rank, f.symptom in cause_of, place.get(f.symptom, len(place))),
    )


def _broken_down(cause: Symptom, told: Mapping[Symptom, Finding]) -> tuple[Symptom, ...]:
    """Return the signal that steps too large have thrown away: it was sound at the start."""
    vanished = told.get(S.VANISHING_GRADIENTS)
    if cause is not S.LEARNING_RATE_TOO_HIGH or vanished is None:
        return ()
    later = vanished.evidence.get("when") == _("last steps")
    lost = "grad_ratio_after" in told[cause].evidence
    return (S.VANISHING_GRADIENTS,) if later or lost else ()


def _after(finding: Finding, cause: Finding) -> Finding:
    """Return a consequence: no worse than its cause, and information where it says little more."""
    follows = _("Follows from {cause}.").format(cause=cause.symptom.value)
    severity = Severity.INFO if finding.symptom in _GENERAL else finding.severity
    return replace(
        finding,
        severity=min(severity, cause.severity, key=lambda one: one.rank),
        cause=f"{finding.cause} {follows}",
        evidence={**finding.evidence, "follows_from": cause.symptom.value},
    )


def not_checked(observation: Observation) -> list[str]:
    """Return what could not be judged and why, a sentence each."""
    said = list(observation.notes)
    if not observation.backwards:
        return [_("Nothing was trained: the script made no backward pass."), *said]
    if observation.steps < learning.JUDGED_STEPS:
        said.append(
            _(
                "Progress of the loss: {steps} steps are too few to judge ({least} at least)."
            ).format(steps=observation.steps, least=learning.JUDGED_STEPS)
        )
    if observation.in_turns:
        said.append(
            _(
                "Progress of the loss and the labels: several optimizers step in turns, and the "
                "losses of players of a game tell nothing of their progress."
            )
        )
    elif learning.several_trainings(observation):
        said.append(
            _(
                "Progress of the loss, overfitting and underfitting: several models are trained "
                "one after another, and which of them counts is not known."
            )
        )
    elif observation.labels is None:
        said.append(
            _(
                "Labels (balance, order, noise): the loss is not one of torch's classification or "
                "regression losses with a label a sample."
            )
        )
    if not learning.unseen(observation) and not learning.several_trainings(observation):
        said.append(
            _(
                "Overfitting: no loss or accuracy was computed without gradients on samples that "
                "training did not meet."
            )
        )
    if all(model.input is None for model in observation.models):
        said.append(_("Scale of the inputs: no model takes a tensor of floating-point numbers."))
    return said
