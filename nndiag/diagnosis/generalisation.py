"""Does what was learnt hold on other samples, and was enough learnt at all?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nndiag.diagnosis import learning, order
from nndiag.diagnosis.naming import trained_model
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import Evaluation, Observation

#: Accuracy on training samples minus that on others, and its lower bound at two standard errors.
#: Our choice: early stopping on small, learnable data leaves 5 to 10 points.
ACCURACY_GAP = 0.15
SURE_GAP = 0.1
#: A loss on unseen samples above its own minimum by this factor (trainproof: 1.2; SageMaker
#: Debugger's Overfit: 1.1 of the training loss) while the training loss goes on falling.
RISE = 1.2
#: ... and above the training loss by this factor: rising alone may be one noisy evaluation.
LOSS_GAP = 2.0
#: Without a rise: this factor, and this share of the loss that the training began with.
WIDE_LOSS_GAP = 4.0
STILL_BAD = 0.3
#: ... in so many evaluations: a single figure may be another loss (of the noisy input, say).
WIDE_EVALUATIONS = 3
#: Accuracy on training samples that leaves nothing to learn from them.
FITTED = 0.95

#: Skill (0 chance, 1 perfect) or share of the variance explained below which a converged run has
#: learnt too little.
LITTLE_SKILL = 0.5
#: Loss at the end over loss at the start where nothing else measures the skill.
LITTLE_FALL = 0.3
#: Fall of the loss over the last half below which a run has all but converged.
CONVERGED = 0.2
#: Steps before which a slow start looks like a limit.
SETTLED_STEPS = 100
#: Parameters for each unit of the output layer, and in all, below which capacity is the cause: a
#: network that could know its samples by heart is limited by something else (Zhang et al. 2017).
FEW_PARAMETERS = 200
FEW_IN_ALL = 1000


def check(observation: Observation) -> list[Finding]:
    """Report overfitting and underfitting."""
    if learning.several_trainings(observation):
        return []
    finding = _overfitting(observation) or _underfitting(observation)
    return [finding] if finding is not None else []


def _overfitting(observation: Observation) -> Finding | None:
    numbers = _accuracy_gap(observation)
    if numbers is None and not _has_accuracies(observation):
        numbers = _loss_gap(observation)
    if numbers is None:
        return None
    return Finding(
        symptom=Symptom.OVERFITTING,
        severity=Severity.WARNING,
        evidence=numbers,
        cause=_overfitting_cause(numbers),
        fixes=(
            _("more training samples, or augmented ones"),
            _("stop at the best evaluation and keep that state"),
            _("regularise: `weight_decay=1e-2` with AdamW, `nn.Dropout(0.3)`"),
            _("a smaller network"),
        ),
        reference="Prechelt 1998 (Early Stopping - But When?)",
    )


def _overfitting_cause(numbers: Mapping[str, float]) -> str:
    if "training_accuracy" in numbers:
        return _(
            "Right answers: {training_accuracy:.1%} on training samples, {accuracy:.1%} on "
            "{samples:.0f} others. The network has learnt peculiarities of its samples that do "
            "not hold elsewhere."
        ).format(**numbers)
    return _(
        "The loss is {training_loss:.3g} on training samples and {loss:.3g} on others (best "
        "{best_loss:.3g}, after {best_step:.0f} steps). The network has learnt peculiarities of "
        "its samples that do not hold elsewhere."
    ).format(**numbers)


def _has_accuracies(observation: Observation) -> bool:
    return learning.training_accuracy(observation) is not None and any(
        math.isfinite(one.accuracy) for one in learning.unseen(observation)
    )


def _accuracy_gap(observation: Observation) -> dict[str, float] | None:
    """Return the figures of an accuracy that is much lower on samples not met."""
    train = learning.training_accuracy(observation)
    known = [one for one in learning.unseen(observation) if math.isfinite(one.accuracy)]
    if train is None or not known or learning.at_chance(observation, least=0.9) is not None:
        return None
    last = known[-3:]
    accuracy = float(np.median([one.accuracy for one in last]))
    samples = float(np.median([one.samples for one in last]))
    error = math.sqrt(max(accuracy * (1 - accuracy), 1 / samples) / samples)
    gap = train - accuracy
    if gap < ACCURACY_GAP or gap - 2 * error < SURE_GAP:
        return None
    if train < FITTED and not _rises(_losses(known)):
        return None
    return {"training_accuracy": train, "accuracy": accuracy, "samples": samples, "gap": gap}


def _losses(evaluations: list[Evaluation]) -> list[Evaluation]:
    return [one for one in evaluations if math.isfinite(one.loss)]


def _rises(evaluations: list[Evaluation]) -> bool:
    """Whether the loss ends above its minimum, and not by one evaluation alone."""
    if len(evaluations) < 4:
        return False
    losses = np.array([one.loss for one in evaluations])
    return bool(losses[-1] >= RISE * losses.min() and losses[-2] > losses.min())


def _loss_gap(observation: Observation) -> dict[str, float] | None:
    """Return the figures of a loss that is much higher on samples not met."""
    known = _losses(learning.unseen(observation))
    series = learning.loss(observation)
    start, end = learning.ends(series)
    if not known or not math.isfinite(end) or end <= 0 or len(series) < learning.JUDGED_STEPS:
        return None
    best = min(known, key=lambda one: one.loss)
    last = float(np.median([one.loss for one in known[-3:]]))
    turned = _rises(known) and last >= LOSS_GAP * end and _fell_since(observation, best.step)
    enough = len(known) >= WIDE_EVALUATIONS
    wide = enough and last >= WIDE_LOSS_GAP * end and last >= STILL_BAD * start
    if not (turned or wide):
        return None
    return {
        "training_loss": end,
        "loss": last,
        "best_loss": best.loss,
        "best_step": float(best.step),
    }


def _fell_since(observation: Observation, step: int) -> bool:
    """Whether the training loss is lower at the end than around `step`."""
    series = learning.loss(observation)
    before = series.values[(series.steps <= step) & np.isfinite(series.values)]
    if not before.size:
        return True
    return learning.ends(series)[1] < float(np.median(before[-max(5, before.size // 5) :]))


def _underfitting(observation: Observation) -> Finding | None:
    """A converged run far from good, of a network too small for better."""
    model = trained_model(observation)
    series = learning.loss(observation)
    if model is None or observation.steps < SETTLED_STEPS or _sorted(observation):
        return None
    if not learning.plateau(series, least=CONVERGED) or learning.falling(series):
        return None
    # Frozen numbers count: a large network of which little is trained has another fault.
    size = sum(one.size for one in model.parameters)
    outputs = max(model.output_features or 1, 1)
    numbers = _too_little(observation)
    if (
        numbers is None
        or not 0 < size < min(FEW_PARAMETERS * outputs, FEW_IN_ALL)
        or _rate_gone(observation)
    ):
        return None
    return Finding(
        symptom=Symptom.UNDERFITTING,
        severity=Severity.WARNING,
        evidence=numbers | {"parameters": size},
        cause=_(
            "The loss has settled at {loss:.3g} ({first:.3g} at the start), on training samples "
            "as on others: with {parameters} parameters `{model}` is too small for the task, "
            "or its inputs do not say enough."
        ).format(
            loss=numbers["loss"],
            first=numbers["first_loss"],
            parameters=size,
            model=model.name,
        ),
        fixes=(
            _("more units or layers"),
            _("a non-linear hidden layer, if there is none: `nn.Linear(...), nn.ReLU()`"),
            _("inputs that tell more about the target"),
        ),
        reference="Goodfellow, Bengio & Courville 2016, section 5.2",
    )


def _too_little(observation: Observation) -> dict[str, float] | None:
    """Return the figures of a run that learnt little; None where it learnt, or unknown."""
    start, end = learning.ends(learning.loss(observation))
    if not (math.isfinite(start) and math.isfinite(end) and end > 0):
        return None
    numbers = {"loss": end, "first_loss": start}
    chance, accuracy = learning.majority(observation), learning.training_accuracy(observation)
    if chance is not None and accuracy is not None:
        gained = learning.skill(accuracy, chance)
        return numbers | {"training_accuracy": accuracy} if gained < LITTLE_SKILL else None
    prior = learning.target_variance(observation)
    if prior is not None:
        explained = 1 - end / prior
        return numbers | {"variance_explained": explained} if explained < LITTLE_SKILL else None
    regression = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
    only = {one.function for one in observation.losses}
    return numbers if only and only <= regression and end > LITTLE_FALL * start else None


def _sorted(observation: Observation) -> bool:
    """Whether the batches come sorted: then it forgets, however large it is."""
    labels = observation.labels
    if labels is None or not labels.single or labels.classes < 2:
        return False
    reading = order.by_class(labels.batch_counts)
    return reading is not None and reading.effect > 0.25


def _rate_gone(observation: Observation) -> bool:
    """Whether the rate has been brought so low that a plateau says nothing."""
    for one in observation.optimizers:
        rates = one.lr.values[np.isfinite(one.lr.values)]
        if rates.size and rates[rates.size // 2] < 0.01 * rates.max():
            return True
    return False
