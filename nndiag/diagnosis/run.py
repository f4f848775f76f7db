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
    signal,
)

S = Symptom
_LOSS = (S.STALLED_LOSS, S.UNDERFITTING)
_RATE = (S.LEARNING_RATE_TOO_HIGH, S.LEARNING_RATE_TOO_LOW)
_SIGNAL = (S.VANISHING_GRADIENTS, S.EXPLODING_GRADIENTS, S.SATURATED_ACTIVATIONS, S.DEAD_UNITS)
#: Cause -> what follows from it. A consequence is told, but as information, and after its cause.
FOLLOWS: Mapping[Symptom, tuple[Symptom, ...]] = {
    S.LOSS_OUTPUT_MISMATCH: (
        *_LOSS, *_RATE, *_SIGNAL, S.UNTRAINED_PARAMETERS, S.NON_FINITE, S.WRONG_DIRECTION,
        S.ALWAYS_CLIPPED,
    ),
    S.WRONG_DIRECTION: (*_LOSS, *_RATE, *_SIGNAL, S.NON_FINITE, S.OVERFITTING),
    S.UNTRAINED_PARAMETERS: (*_LOSS, *_RATE, *_SIGNAL),
    S.MISSING_ZERO_GRAD: (*_LOSS, *_RATE, *_SIGNAL, S.NON_FINITE),
    S.WRONG_MODE: (*_LOSS, *_RATE, S.EXPLODING_GRADIENTS, S.NON_FINITE, S.OVERFITTING),
    S.BAD_SCHEDULE: (*_LOSS, S.LEARNING_RATE_TOO_LOW),
    S.ALWAYS_CLIPPED: (*_LOSS, S.LEARNING_RATE_TOO_LOW),
    S.SYMMETRIC_UNITS: (*_LOSS, *_RATE, *_SIGNAL),
    S.UNSHUFFLED_DATA: (*_LOSS, *_RATE, S.OVERFITTING, S.DEAD_UNITS),
    S.LABEL_NOISE: (S.OVERFITTING,),
    S.IMBALANCED_LABELS: (*_LOSS, S.UNSHUFFLED_DATA, S.DEAD_UNITS, S.LEARNING_RATE_TOO_LOW),
    S.UNNORMALISED_INPUT: (*_LOSS, *_RATE, S.EXPLODING_GRADIENTS, S.DEAD_UNITS, S.NON_FINITE),
    S.SATURATED_ACTIVATIONS: (*_LOSS, S.VANISHING_GRADIENTS, S.LEARNING_RATE_TOO_LOW),
    S.VANISHING_GRADIENTS: (*_LOSS, S.LEARNING_RATE_TOO_LOW),
    S.EXPLODING_GRADIENTS: (*_LOSS, *_RATE, S.DEAD_UNITS, S.NON_FINITE),
    S.NON_FINITE: (*_LOSS, *_RATE),
    S.LEARNING_RATE_TOO_HIGH: (*_LOSS, S.DEAD_UNITS, S.NON_FINITE),
    S.DEAD_UNITS: (*_LOSS, S.VANISHING_GRADIENTS, S.LEARNING_RATE_TOO_LOW),
    S.LEARNING_RATE_TOO_LOW: _LOSS,
    S.STALLED_LOSS: (S.UNDERFITTING,),
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
    serious = [finding for finding in found if finding.severity.rank >= Severity.WARNING.rank]
    told = {finding.symptom: finding for finding in serious}
    explained: dict[Symptom, Symptom] = {}
    for cause in FOLLOWS:  # in order: an earlier cause is nearer to the script
        if cause in told and cause not in explained:
            for effect in FOLLOWS[cause]:
                if effect in told and effect is not cause:
                    explained.setdefault(effect, cause)
    ordered = [_demoted(f, explained.get(f.symptom)) if f in serious else f for f in found]
    place = {symptom: at for at, symptom in enumerate(FOLLOWS)}
    return sorted(
        ordered,
        key=lambda f: (-f.severity.rank, place.get(f.symptom, len(place))),
    )


def _demoted(finding: Finding, cause: Symptom | None) -> Finding:
    if cause is None:
        return finding
    follows = _("Follows from {cause}.").format(cause=cause.value)
    return replace(
        finding,
        severity=Severity.INFO,
        cause=f"{finding.cause} {follows}",
        evidence={**finding.evidence, "follows_from": cause.value},
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
    if len([one for one in observation.optimizers if one.steps]) > 1:
        said.append(
            _(
                "Progress of the loss and the labels: several optimizers step in turns, and the "
                "losses of players of a game tell nothing of their progress."
            )
        )
    elif observation.labels is None:
        said.append(
            _(
                "Labels (balance, order, noise): the loss is not one of torch's classification or "
                "regression losses with a label a sample."
            )
        )
    if not learning.unseen(observation):
        said.append(
            _(
                "Overfitting: no loss or accuracy was computed without gradients on samples that "
                "training did not meet."
            )
        )
    if all(model.input is None for model in observation.models):
        said.append(_("Scale of the inputs: no model takes a tensor of floating-point numbers."))
    return said
