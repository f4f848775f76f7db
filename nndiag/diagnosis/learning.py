"""How well a user's run learns: accuracy against chance, loss against its start and its prior."""

from __future__ import annotations

import math

import numpy as np

from nndiag.schema.observation import Evaluation, Observation, Series

#: Half of the way from always saying the commonest label to being always right. ARC Lens's
#: healthy runs end at a loss of 0.27 of the first one, its dead ones at 0.89: half lies between.
GOOD_SKILL = 0.5
#: Steps at the least before a run is judged at all; the opening is not.
JUDGED_STEPS = 20
#: Values at the beginning that an average may take: the loss of a long run falls fast there.
_BEGINNING = 10
#: Share of the run, at its end, over which noisy values are averaged.
_END = 0.2


def loss(observation: Observation) -> Series:
    """Return the loss by step of the optimizer that stepped most."""
    most = max(observation.optimizers, key=lambda one: one.steps, default=None)
    return most.loss if most is not None else Series()


def ends(series: Series) -> tuple[float, float]:
    """Return the median of the first values (a twentieth, ten at most) and of the last fifth.

    NaN where there are none.
    """
    values = series.values[np.isfinite(series.values)]
    if not values.size:
        return math.nan, math.nan
    first = max(1, min(_BEGINNING, values.size // 20))
    last = max(1, int(_END * values.size))
    return float(np.median(values[:first])), float(np.median(values[-last:]))


def plateau(series: Series, *, least: float) -> bool:
    """Whether the second half of the run surely brings no fall of `least` of the loss.

    The last third of that half is compared with its first third; two standard errors are added to
    the fall, so that noise never makes a plateau.
    """
    values = series.values[np.isfinite(series.values)]
    if values.size < 2 * JUDGED_STEPS:
        return False
    later = values[values.size // 2 :]
    third = later.size // 3
    before, after = later[:third], later[-third:]
    error = math.sqrt(float(before.var() + after.var()) / third)
    fall = float(before.mean() - after.mean())
    return fall + 2 * error <= least * abs(float(before.mean()))


def falling(series: Series) -> bool:
    """Whether the loss still goes down in the second half: by 2 % and two standard errors."""
    values = series.values[np.isfinite(series.values)]
    later = values[values.size // 2 :]
    third = later.size // 3
    if third < 2:
        return True
    before, after = later[:third], later[-third:]
    error = math.sqrt(float(before.var() + after.var()) / third)
    return float(before.mean() - after.mean()) > max(2 * error, 0.02 * abs(float(before.mean())))


def majority(observation: Observation) -> float | None:
    """Return the share of the commonest label; None for a regression or without labels."""
    labels = observation.labels
    if labels is None or labels.classes < 2 or not labels.counts.sum():
        return None
    return float(labels.counts.max() / labels.counts.sum())


def several_trainings(observation: Observation) -> bool:
    """Whether several optimizers train several models: what is known of all is of none."""
    stepped = [one for one in observation.optimizers if one.steps]
    trained = [model for model in observation.models if model.training_passes]
    return len(stepped) > 1 and len(trained) > 1


def training_accuracy(observation: Observation) -> float | None:
    """Return the accuracy on training samples at the end of the run, None where unknown."""
    values = observation.accuracy.values[np.isfinite(observation.accuracy.values)]
    if values.size >= 5:
        return float(values[-max(3, int(_END * values.size)) :].mean())
    known = [one.accuracy for one in observation.evaluations if one.seen >= 0.9]
    known = [value for value in known if math.isfinite(value)]
    return known[-1] if known else None


def unseen(observation: Observation) -> list[Evaluation]:
    """Return the evaluations on samples that training did not meet, as far as is known."""
    return [one for one in observation.evaluations if not one.seen > 0.1 and one.samples > 1]


def skill(accuracy: float, chance: float) -> float:
    """Return 0 for an accuracy at chance, 1 for always right."""
    return (accuracy - chance) / (1 - chance) if chance < 1 else 0.0


def target_variance(observation: Observation) -> float | None:
    """Return the variance of the targets where the loss is mean squared error alone.

    Of several outputs it is taken about their common mean: never less than what always answering
    with each output's own mean would cost.
    """
    labels = observation.labels
    if labels is None or labels.classes or not labels.mean_squared:
        return None
    count, total, squares = labels.counts
    variance = squares / count - (total / count) ** 2 if count else 0.0
    return float(variance) if variance > 0 else None


def learns(observation: Observation) -> bool | None:
    """Whether the run ends clearly better than chance, the targets' mean or its own start.

    None where it is too short to tell, or nothing tells.
    """
    chance, accuracy = majority(observation), training_accuracy(observation)
    if chance is not None and accuracy is not None and observation.steps >= JUDGED_STEPS:
        return skill(accuracy, chance) >= GOOD_SKILL
    values = loss(observation)
    if len(values) < JUDGED_STEPS:
        return None
    if not np.isfinite(values.values[-1]):
        return False
    start, end = ends(values)
    prior = target_variance(observation)
    return end <= (1 - GOOD_SKILL) * (prior if prior is not None else start)


#: How far from chance to perfect an accuracy on samples not met may lie and count as chance: the
#: middle of its last evaluations, and its upper bound at two standard errors.
CHANCE_SKILL = 0.1
CHANCE_BOUND = 0.3


#: Samples a class below which chance on others may only mean that there were too few.
SAMPLES_A_CLASS = 30


def training_samples(observation: Observation) -> int | None:
    """Return how many distinct samples were trained on, None where unknown."""
    if observation.training_samples is not None:
        return observation.training_samples
    labels = observation.labels
    if labels is None or not labels.single or len(labels.batch_counts) < 2:
        return None
    rows = labels.batch_counts
    return int(rows[0].sum()) if labels.classes and (rows == rows[0]).all() else None


def at_chance(observation: Observation, *, least: float) -> dict[str, float] | None:
    """Return the figures of a network that knows its samples and guesses at all others.

    Args:
        least: accuracy on training samples from which it knows them.
    """
    train, chance = training_accuracy(observation), majority(observation)
    known = [one for one in unseen(observation) if math.isfinite(one.accuracy)]
    if train is None or chance is None or train < least or not known or chance > least:
        return None
    count, labels = training_samples(observation), observation.labels
    classes = int((labels.counts > 0).sum()) if labels is not None else 0
    if count is not None and count < SAMPLES_A_CLASS * classes:
        return None
    later = known[len(known) // 2 :]
    accuracy = float(np.median([one.accuracy for one in later]))
    samples = float(np.median([one.samples for one in later]))
    bound = accuracy + 2 * math.sqrt(chance * (1 - chance) / samples)
    if skill(accuracy, chance) > CHANCE_SKILL or skill(bound, chance) > CHANCE_BOUND:
        return None
    return {"training_accuracy": train, "accuracy": accuracy, "chance": chance, "samples": samples}
