"""The size of the steps: too large, too small, cut short, or made of old gradients; and no step
that helps."""

from __future__ import annotations

import math

import numpy as np

from nndiag.diagnosis import learning, measures, progress
from nndiag.diagnosis.naming import trained_model
from nndiag.diagnosis.progress import Progress
from nndiag.diagnosis.thresholds import RATIO_WARNING
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import BY_HAND, Observation, OptimizerRecord

#: Norm of a step over the norm of the weights. TheDeepChecker (Ben Braiek & Khomh 2022) asks for
#: 1e-4 to 1e-1, DeepDiagnosis (Wardat et al. 2022) for 1e-5 to 1e-1.
LARGE_UPDATE = 1e-1
SMALL_UPDATE = 1e-4
#: Share of the first loss that must be gone at best for a run to count as learning at all; ARC
#: Lens measured a best loss of 0.27 of the first in healthy runs and 0.89 in dead ones.
LEARNT = 0.3
#: The loss climbs to so many times its start, and stays above it.
CLIMBS = 1.5
#: The first steps raise the loss to so many times its start (a good rate may double it), and the
#: skill at the end, 0 for chance and 1 for always right, stays below so much.
BLOWN_UP = 8.0
RECOVERED = 0.9
#: Changes from step to step over the level of the loss: a healthy mini-batch loss that is not yet
#: small swings by 10 to 40 % of itself.
SWINGS = 0.8
#: The loss lies within so much of what always saying the label frequencies costs.
PRIOR_BAND = 0.05
#: Recorded steps by which what the first ones did has come out.
EARLY = 10
#: ... and below so much of that it has found out what the inputs tell.
BELOW_PRIOR = 0.8
#: Share of the clipping calls that cut, and the cut, from which clipping sets the pace.
CLIPPED_SHARE = 0.95
CLIPPED_CUT = 20.0
#: Share of the steps made of old gradients.
LEFT_OVER = 0.5


def check(observation: Observation) -> list[Finding]:
    """Report what is wrong with the steps of the optimizers."""
    found = [
        finding
        for optimizer in observation.optimizers
        if (finding := _left_over(optimizer, observation)) is not None
    ]
    optimizer = progress.main_optimizer(observation)
    seen = progress.read(optimizer.loss) if optimizer is not None else None
    if optimizer is None or seen is None:
        return found
    for rule in (_clipped, _too_high, _too_low, _stalled):
        finding = rule(observation, optimizer, seen)
        if finding is not None:
            found.append(finding)
    return found


def _left_over(optimizer: OptimizerRecord, observation: Observation) -> Finding | None:
    if optimizer.steps < 5 or optimizer.leftover < LEFT_OVER:
        return None
    return Finding(
        symptom=Symptom.MISSING_ZERO_GRAD,
        severity=Severity.CRITICAL,
        evidence={"share_of_steps": optimizer.leftover, "steps": optimizer.steps},
        cause=_(
            "At {share:.0%} of the {steps} steps the gradients of earlier steps were still there "
            "and were added to the new ones: each step follows a growing sum of old directions."
        ).format(share=optimizer.leftover, steps=optimizer.steps),
        fixes=(
            _("`p.grad = None` of each parameter after its update")
            if optimizer.kind == BY_HAND
            else _("`optimizer.zero_grad()` before `loss.backward()` at every step"),
        ),
        reference="PyTorch documentation: Optimizer.zero_grad",
    )


def _clipped(
    observation: Observation, optimizer: OptimizerRecord, seen: Progress
) -> Finding | None:
    clip = optimizer.clip
    if clip is None or clip.calls < learning.JUDGED_STEPS or clip.share < CLIPPED_SHARE:
        return None
    cut = clip.norm / clip.limit if clip.limit > 0 else math.inf
    if cut < CLIPPED_CUT or _learns(observation, seen):
        return None
    return Finding(
        symptom=Symptom.ALWAYS_CLIPPED,
        severity=Severity.WARNING,
        evidence={"share": clip.share, "limit": clip.limit, "norm": clip.norm, "calls": clip.calls},
        cause=_(
            "Clipping at {limit:.3g} cuts {share:.0%} of the gradients, typically from {norm:.3g} "
            "({cut:.0f} times shorter): it no longer guards against rare jumps, it sets the length "
            "of every step, and the loss has hardly moved."
        ).format(limit=clip.limit, share=clip.share, norm=clip.norm, cut=cut),
        fixes=(
            _("a limit near the usual norm: `clip_grad_norm_(parameters, {norm:.2g})`").format(
                norm=clip.norm
            ),
            _("no clipping, or a larger learning rate"),
        ),
        reference="Pascanu, Mikolov & Bengio 2013",
    )


def _learns(observation: Observation, seen: Progress) -> bool:
    """Whether the training plainly works."""
    known = learning.learns(observation)
    if known is not None:
        return known
    return seen.best_fall >= LEARNT if progress.positive(seen) else True


def _too_high(
    observation: Observation, optimizer: OptimizerRecord, seen: Progress
) -> Finding | None:
    evidence = _rate_evidence(optimizer, seen)
    update = _update(optimizer, early=False)
    start = _update(optimizer, early=True)
    why = None
    if seen.broken and np.isfinite(seen.values[0]):
        rising = seen.rises > CLIMBS or _grows_before_break(seen)
        if rising and max(update, start) > LARGE_UPDATE:
            why = _("the loss grows until it is no number any more")
    elif progress.positive(seen) and _blown_up(observation, seen, start):
        why = _("the first steps throw the loss up to {times:.3g} times its start").format(
            times=seen.rises
        )
    elif not progress.positive(seen) or _learns(observation, seen):
        return None
    elif seen.last > CLIMBS * seen.first and update > SMALL_UPDATE:
        why = _("the loss climbs from {first:.3g} to {last:.3g}").format(
            first=seen.first, last=seen.last
        )
    elif seen.rises > 4 and max(update, start) > LARGE_UPDATE / 10:
        why = _("the loss jumps to {times:.3g} times its start").format(times=seen.rises)
    elif max(update, start) > LARGE_UPDATE and seen.fall < LEARNT:
        why = _("a step moves the weights by {update:.0%} of their size").format(
            update=max(update, start)
        )
    elif (lost := _signal_lost(observation, optimizer)) is not None:
        evidence |= {"grad_ratio_before": lost[0], "grad_ratio_after": lost[1]}
        why = _(
            "the first steps bring the gradient's ratio of first to last layer from {before:.2g} "
            "down to {after:.2g}"
        ).format(before=lost[0], after=lost[1])
    elif seen.swing > SWINGS and update > LARGE_UPDATE / 10:
        why = _("the loss swings by {swing:.0%} of itself from step to step").format(
            swing=seen.swing
        )
    if why is None:
        return None
    lr = evidence.get("learning_rate", math.nan)
    return Finding(
        symptom=Symptom.LEARNING_RATE_TOO_HIGH,
        severity=Severity.CRITICAL,
        evidence=evidence,
        cause=_(
            "With a learning rate of {lr:.3g} {why}, and nothing is learnt: steps this large leap "
            "over the valley instead of going down into it."
        ).format(lr=lr, why=why),
        fixes=(
            _("a learning rate ten times smaller: `lr={lr:.1g}`").format(lr=lr / 10),
            _("warm-up over the first steps"),
            _("`torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)` before the step"),
        ),
        reference="Smith 2017 (Cyclical Learning Rates); Goodfellow et al. 2016, section 8.3",
    )


def _signal_lost(
    observation: Observation, optimizer: OptimizerRecord
) -> tuple[float, float] | None:
    """Return the gradient's first over last before any step and after the first ones.

    None where it did not vanish there, or where it was small already, or the steps are small.
    """
    model = trained_model(observation)
    updates = optimizer.update_ratio.values[:3]
    if model is None or not (updates > LARGE_UPDATE).any():
        return None
    trace = model.trace
    if "output_grad_norm" not in trace.columns or len(trace.steps) <= EARLY or trace.steps[0]:
        return None
    floor = measures.floor_of(trace)
    ratios = [
        float(measures.end_to_end(measures.signal(trace, row=row), floor)[0])
        for row in range(EARLY + 1)
    ]
    before, after = ratios[0], float(np.median(ratios[EARLY // 2 :]))
    return (before, after) if before >= RATIO_WARNING > after else None


def _blown_up(observation: Observation, seen: Progress, update: float) -> bool:
    """Whether the first steps undo the initialisation, and the run has not got over it."""
    if seen.rises < BLOWN_UP or update < LARGE_UPDATE:
        return False
    chance, accuracy = learning.majority(observation), learning.training_accuracy(observation)
    if chance is not None and accuracy is not None:
        return learning.skill(accuracy, chance) < RECOVERED
    return seen.last > LEARNT * seen.first


def _grows_before_break(seen: Progress) -> bool:
    finite = seen.values[: int(np.argmax(~np.isfinite(seen.values)))]
    return finite.size >= 2 and float(np.abs(finite).max()) > CLIMBS * abs(float(finite[0]))


def _too_low(
    observation: Observation, optimizer: OptimizerRecord, seen: Progress
) -> Finding | None:
    if not progress.positive(seen) or seen.broken or optimizer.leftover >= LEFT_OVER:
        return None
    if any(p.loaded for model in observation.models for p in model.parameters):
        return None  # what was learnt before is moved with care
    if _learns(observation, seen) or seen.best_fall >= LEARNT or seen.fall < -0.1:
        return None
    update, most = _update(optimizer, early=False), _update(optimizer, early=True)
    rates = optimizer.lr.values
    if not len(rates) or rates[-1] <= 1e-3 * rates.max():
        return None  # the schedule ended it
    if not 0 < max(update, most) < SMALL_UPDATE * (2 if _falls_steadily(seen) else 1):
        return None
    lr = float(np.median(rates))
    times = 10 ** max(1, min(4, round(math.log10(1e-3 / max(update, most)))))
    return Finding(
        symptom=Symptom.LEARNING_RATE_TOO_LOW,
        severity=Severity.WARNING,
        evidence=_rate_evidence(optimizer, seen),
        cause=_(
            "A step moves the weights by {update:.1e} of their size (1e-3 is usual), and after "
            "{steps} steps {fall:.0%} of the first loss is gone: at a rate of {lr:.3g} the "
            "training hardly begins."
        ).format(update=max(update, most), steps=optimizer.steps, fall=max(seen.fall, 0.0), lr=lr),
        fixes=(
            _("a larger learning rate: `lr={lr:.1g}`").format(lr=lr * times),
            _("an optimizer that scales its steps: `torch.optim.Adam(..., lr=1e-3)`"),
        ),
        reference="Ben Braiek & Khomh 2022 (TheDeepChecker); Bengio 2012, section 3.1.1",
    )


def _falls_steadily(seen: Progress) -> bool:
    """Whether the loss goes down surely, and in the last third as it did before."""
    finite = seen.values[np.isfinite(seen.values)]
    means = [float(part.mean()) for part in np.array_split(finite, 3)]
    error = float(finite.std()) / math.sqrt(len(finite) / 3)
    return means[0] - means[2] > 2 * error and means[1] - means[2] > 0


def _stalled(
    observation: Observation, optimizer: OptimizerRecord, seen: Progress
) -> Finding | None:
    if seen.broken or not progress.positive(seen) or _learns(observation, seen):
        return None
    if observation.steps < 2 * learning.JUDGED_STEPS:
        return None
    prior = progress.prior(observation)
    if prior is not None and prior > 0 and seen.last < BELOW_PRIOR * prior:
        return None  # it stands where the inputs tell no more, maybe, and knows what they do
    near = prior is not None and prior > 0 and abs(seen.last / prior - 1) < PRIOR_BAND
    flat = seen.best_fall < 0.1 and learning.plateau(optimizer.loss, least=0.05)
    if not (flat or (near and learning.plateau(optimizer.loss, least=0.1))):
        return None
    cause = _(
        "The loss stands at {last:.4g} after {steps} steps (first {first:.4g}, best {best:.4g})."
    ).format(last=seen.last, steps=optimizer.steps, first=seen.first, best=seen.best)
    if near and prior is not None:
        cause += " " + _(
            "Always answering with the frequencies of the labels costs {prior:.4g}: the network "
            "gives the same answer whatever its input."
        ).format(prior=prior)
    evidence = {"first_loss": seen.first, "last_loss": seen.last, "best_loss": seen.best}
    return Finding(
        symptom=Symptom.STALLED_LOSS,
        severity=Severity.WARNING,
        evidence=evidence if prior is None else {**evidence, "prior_loss": prior},
        cause=cause,
        fixes=(
            _("train on one batch of 8 samples until its loss is zero: what cannot is broken"),
            _("look at the inputs as the network gets them: are they different, do they vary?"),
            _("another learning rate: ten times larger, ten times smaller"),
        ),
        reference="Goodfellow et al. 2016, section 11.5; Karpathy 2019 (A Recipe for Training)",
    )


def _rate_evidence(optimizer: OptimizerRecord, seen: Progress) -> dict[str, float]:
    rates = optimizer.lr.values
    return {
        "learning_rate": float(np.max(rates)) if len(rates) else math.nan,
        "update_ratio": _update(optimizer, early=False),
        "first_loss": seen.first,
        "last_loss": seen.last,
        "best_loss": seen.best,
        "largest_loss_ratio": seen.rises,
    }


def _update(optimizer: OptimizerRecord, *, early: bool) -> float:
    """Return the median update ratio of the first ten recorded steps, or of the rest."""
    values = optimizer.update_ratio.values
    values = values[:10] if early else values[10:]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else 0.0
