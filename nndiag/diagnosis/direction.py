"""Steps that go the wrong way, and rates that die before the work is done."""

from __future__ import annotations

import numpy as np

from nndiag.diagnosis import learning
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import Observation, OptimizerRecord

#: A rate below this share of its largest moves nothing: 1e-3 of a good rate is below every grid
#: of rates that we know of (Schmidt et al. 2021 search down to 1e-4 of the largest).
DEAD_RATE = 1e-3
#: Share of the run spent at such a rate. Cosine and linear decay to zero pass below 1e-3 of the
#: largest rate only in their last 2 % and 0.1 %.
DEAD_SHARE = 0.3
#: Loss at the end over loss at the start from which a run counts as not done yet.
UNDONE = 0.3
#: Times the size of the first loss below zero from which an objective has no floor. A negative
#: log-density or reward ends within a few times its first size; our choice, far beyond it.
FLOORLESS = 100.0
#: ... and from here on even where it has come to a halt there.
FAR_BELOW = 1e4


def check(observation: Observation) -> list[Finding]:
    """Report a maximised loss, one without a floor, and a schedule that ends training early."""
    return [*(_upwards(observation) or _floorless(observation)), *_schedule(observation)]


def _upwards(observation: Observation) -> list[Finding]:
    stepped = [one for one in observation.optimizers if one.steps]
    adversarial = len(stepped) > 1
    climbing = [one for one in stepped if one.maximize]
    negated = [one for one in observation.losses if one.negated]
    if adversarial or not (climbing or negated):
        return []
    if climbing and negated:
        return []  # twice turned round is the right way
    if negated and observation.backwards >= 1.5 * observation.steps:
        return []  # further passes may be attacks on the input, which climb by right
    known = [one for one in observation.losses if one.function != "expression" or one.negated]
    if climbing and not known:
        return []  # the user's own objective may be one to maximise
    name = (negated or known)[0].function
    start, end = learning.ends(learning.loss(observation))
    how = (
        _("the backward pass starts from minus the loss")
        if negated
        else _("`maximize=True` or a negative rate")
    )
    return [
        Finding(
            symptom=Symptom.WRONG_DIRECTION,
            severity=Severity.CRITICAL,
            evidence={"first_loss": start, "last_loss": end, "function": name},
            cause=_(
                "The training climbs: {how}. {name} is an error, never below zero, and each step "
                "makes it larger ({start:.3g} at the start, {end:.3g} at the end, as "
                "differentiated)."
            ).format(how=how, name=_called(name), start=start, end=end),
            fixes=(
                _("`loss.backward()` without the minus sign")
                if negated
                else _("`torch.optim.{kind}(..., maximize=False)`").format(kind=climbing[0].kind),
            ),
            reference="PyTorch documentation: torch.optim (maximize)",
        )
    ]


def _floorless(observation: Observation) -> list[Finding]:
    """Report an objective that falls below zero faster and faster: a wrong sign in a term."""
    series = learning.loss(observation)
    values = series.values[np.isfinite(series.values)]
    if len(values) < learning.JUDGED_STEPS or sum(o.steps > 0 for o in observation.optimizers) > 1:
        return []
    start, end = learning.ends(series)
    before, later, last = (float(np.median(part)) for part in np.array_split(values, 3))
    faster = before - later < later - last
    if end > -(FLOORLESS if faster else FAR_BELOW) * max(abs(start), 1.0):
        return []
    return [
        Finding(
            symptom=Symptom.WRONG_DIRECTION,
            severity=Severity.WARNING,
            evidence={"first_loss": start, "last_loss": end},
            cause=_(
                "The loss falls from {start:.3g} to {end:.3g}{faster}: it has no floor, "
                "so that training makes some error ever larger. A term of it is likely to have the "
                "wrong sign."
            ).format(start=start, end=end, faster=_(", faster and faster") if faster else ""),
            fixes=(
                _("look at each term alone: an error or a divergence is added, never subtracted"),
                _("bound what may grow: a log-variance clamped, a score through a sigmoid"),
            ),
            reference="Goodfellow et al. 2016, section 4.3",
        )
    ]


def _called(function: str) -> str:
    return _("The loss") if function == "expression" else f"`{function}`"


def _schedule(observation: Observation) -> list[Finding]:
    found = []
    for optimizer in observation.optimizers:
        rates = optimizer.lr.values
        if len(rates) < learning.JUDGED_STEPS or not np.all(np.isfinite(rates)):
            continue  # steps by hand have no rate that is known
        largest = float(np.max(rates))
        dead = rates <= DEAD_RATE * largest if largest > 0 else np.ones(len(rates), bool)
        share = _share_at_end(dead)
        if share >= DEAD_SHARE and not _done(observation, optimizer, int(np.argmax(_tail(dead)))):
            found.append(_dead_rate(optimizer, share, largest))
    return found


def _tail(dead: np.ndarray) -> np.ndarray:
    """Return which places belong to the unbroken stretch at the end."""
    return np.asarray(np.logical_and.accumulate(dead[::-1])[::-1])


def _share_at_end(dead: np.ndarray) -> float:
    return float(_tail(dead).mean())


def _done(observation: Observation, optimizer: OptimizerRecord, place: int) -> bool:
    """Whether the training had done its work when the rate died."""
    if learning.learns(observation):
        chance, accuracy = learning.majority(observation), learning.training_accuracy(observation)
        if chance is not None and accuracy is not None:
            return learning.skill(accuracy, chance) >= 0.9
        start, end = learning.ends(optimizer.loss)
        return end <= UNDONE * start
    return False


def _dead_rate(optimizer: OptimizerRecord, share: float, largest: float) -> Finding:
    last = float(optimizer.lr.values[-1])
    each = {name: calls for name, calls in optimizer.schedulers.items() if calls}
    per_step = any(calls >= 0.9 * optimizer.steps for calls in each.values())
    name = next(iter(each), None)
    cause = _(
        "For the last {share:.0%} of the steps the learning rate is next to nothing (largest "
        "{largest:.3g}, last {last:.3g}): the parameters stand still while the loss is still high."
    ).format(share=share, largest=largest, last=last)
    if per_step and name is not None:
        cause += " " + _(
            "`{name}.step()` is called at every optimizer step; a decay meant for epochs runs out "
            "within a few of them."
        ).format(name=name)
    elif largest == 0:
        cause = _("The learning rate is zero throughout: no step moves anything.")
    return Finding(
        symptom=Symptom.BAD_SCHEDULE,
        severity=Severity.CRITICAL if share > 0.5 else Severity.WARNING,
        evidence={"share": share, "largest_rate": largest, "last_rate": last, **each},
        cause=cause,
        fixes=(
            _("`scheduler.step()` once an epoch, outside the loop over batches"),
            _("a decay over the whole run: `CosineAnnealingLR(optimizer, T_max=total_steps)`"),
            _("first a constant rate, then a decay"),
        ),
        reference="PyTorch documentation: torch.optim.lr_scheduler; Loshchilov & Hutter 2017",
    )
