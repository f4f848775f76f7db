"""What the data do to a training: inputs, labels and the order they come in."""

from __future__ import annotations

import math

import numpy as np

from nndiag.diagnosis import learning, order, progress
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import InputRecord, LabelRecord, ModelRecord, Observation

#: LeCun et al. 1998 (Efficient BackProp, section 4.3): inputs of mean 0 and variance about 1. A
#: root mean square beyond 10 or below 1/100 is another order of magnitude altogether.
LARGE_SCALE = 10.0
SMALL_SCALE = 1e-2
#: No entry above this either, or a rare entry carries the information (one-hot, TF-IDF).
SMALL_PEAK = 0.05
#: From here on it counts even where the training copes: 8-bit images reach it (the darkest usual
#: ones, MNIST, have 85), decibels over a range of 80 cannot.
RAW_SCALE = 80.0
#: Mean over spread of half of the features: the varying part is under a tenth of the signal.
FAR_OFFSET = 10.0
#: Largest over smallest root mean square of the features: the condition number of the problem, by
#: which gradient descent slows down (LeCun et al. 1998, section 5), grows with its square.
UNEVEN_SCALES = 1e3
#: A first layer of default weights passes on 1/sqrt(3) of the scale; below a tenth of that the
#: network rescales its input before the layer.
RESCALED = 0.06
_NORMALISES = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")
_PASSES_SCALE = ("Linear", "Conv")

#: Share of the commonest label. Google's course on machine learning calls a minority under 20 %
#: moderate, under 1 % extreme; at 9 to 1 always saying the commonest label looks like success.
MAJORITY_SHARE = 0.9
#: Labels at the least for a verdict.
LABELS = 50
#: Half-width, as a share of the way from chance to perfect, within which a network says no more
#: than the commonest label.
PRIOR_BAND = 0.25

#: Effect (0 shuffled, 1 one label a batch) from which order matters: batches that hold three of
#: ten sorted classes reach (10/3 - 1)/9 = 0.26.
SORTED_EFFECT = 0.25
SORTED_TARGETS = 0.5
#: Standard deviations above what a shuffle gives: one in three million.
SORTED_SIGMAS = 5.0

#: Skill on samples not met from which the order did no harm.
HARMLESS_SKILL = 0.9

#: Accuracy on training samples that counts as knowing them by heart.
MEMORISED = 0.9
#: ... and, of the way from chance to that, so much while no evaluation of so many beats chance.
MEMORISING = 0.1
HALF_MEMORISED = 0.5
_EVALUATIONS = 4


def check(observation: Observation) -> list[Finding]:
    """Report inputs and labels that hinder the training."""
    found = [
        finding
        for model in observation.models
        if model.input is not None and model.training_passes
        for finding in _inputs(model, model.input, observation)
    ]
    labels = observation.labels
    if labels is not None:
        rules = (_imbalance(labels, observation), _sorted(labels, observation))
        found += [finding for finding in rules if finding is not None]
    noise = None if learning.several_trainings(observation) else _noise(observation)
    return [*found, *([noise] if noise is not None else [])]


# -- inputs -----------------------------------------------------------------------------------


def _inputs(model: ModelRecord, seen: InputRecord, observation: Observation) -> list[Finding]:
    broken = _non_finite(model, seen, observation)
    if broken is not None:
        return [broken]
    finding = _constant(model, seen, observation) or _scale(model, seen, observation)
    return [finding] if finding is not None else []


def _non_finite(model: ModelRecord, seen: InputRecord, observation: Observation) -> Finding | None:
    """NaN or infinity in the input that reaches the loss (a mask of -inf does not)."""
    first = seen.first_non_finite
    if first is None:
        return None
    broken = _first_broken_loss(observation)
    if broken is None or first > broken:
        return None
    share = _(" ({share:.2g} of the entries seen)").format(share=seen.non_finite)
    return Finding(
        symptom=Symptom.NON_FINITE,
        severity=Severity.CRITICAL,
        evidence={"first_step": first, "model": model.name, "share": seen.non_finite},
        cause=_(
            "The input of `{model}` holds NaN or infinity from step {step} on{share}: one such "
            "entry turns the loss, every gradient and then every weight into NaN."
        ).format(model=model.name, step=first, share=share if seen.non_finite else ""),
        fixes=(
            _("look for them: `torch.isfinite(x).all()` before the training"),
            _("fill in or leave out missing values: `x = torch.nan_to_num(x)`"),
        ),
        reference="PyTorch documentation: torch.nan_to_num",
    )


def _first_broken_loss(observation: Observation) -> float | None:
    """Return the first step whose loss is not finite; infinity: an error there ended the run."""
    steps = [
        int(one.loss.steps[~np.isfinite(one.loss.values)][0])
        for one in observation.optimizers
        if not np.isfinite(one.loss.values).all()
    ]
    if steps:
        return min(steps)
    return math.inf if observation.error is not None else None


def _constant(model: ModelRecord, seen: InputRecord, observation: Observation) -> Finding | None:
    """Every sample is the same one."""
    # Batches of one repeat one input by design (deep image prior); a side input such as a zero
    # state may be constant in a network that learns from another one.
    if not seen.constant or seen.samples <= seen.batches or learning.learns(observation):
        return None
    certain = learning.learns(observation) is False and seen.std > 0
    return Finding(
        symptom=Symptom.UNNORMALISED_INPUT,
        severity=Severity.CRITICAL if certain else Severity.WARNING,
        evidence={"samples": seen.samples, "mean": seen.mean, "std": seen.std},
        cause=_(
            "All {samples} samples that `{model}` was given are the same: no output can depend on "
            "the sample, and the best answer is the mean of the targets."
        ).format(samples=seen.samples, model=model.name),
        fixes=(
            _("print a few inputs just before the model: `print(x[:3])`"),
            _("look for an integer division, a clamp or an index that wipes them out"),
        ),
        reference="LeCun et al. 1998 (Efficient BackProp), section 4.3",
    )


def _scale(model: ModelRecord, seen: InputRecord, observation: Observation) -> Finding | None:
    """Inputs far from mean 0 and variance 1."""
    rms = np.sqrt(seen.feature_means**2 + seen.feature_stds**2)
    if not _varying(seen).any() or not np.isfinite(rms).all() or _normalised_inside(model, seen):
        return None
    suffers = learning.learns(observation) is False
    scale = float(rms.max())
    numbers = {"scale": scale, "low": seen.low, "high": seen.high}
    if scale > LARGE_SCALE:
        raw = scale > RAW_SCALE
        severity = Severity.WARNING if raw or suffers else Severity.INFO
        if raw and suffers:
            severity = Severity.CRITICAL
        text = _(
            "Inputs of `{model}` are about {scale:.3g} in size (from {low:.3g} to {high:.3g}): "
            "first-layer outputs and gradients grow with them, so no one rate suits all layers, "
            "and units saturate or die."
        )
        return _scale_finding(model, seen, severity, text, numbers)
    peak = max(abs(seen.low), abs(seen.high))
    severity = Severity.WARNING if suffers else Severity.INFO
    if scale < SMALL_SCALE and peak < SMALL_PEAK:
        text = _(
            "Inputs of `{model}` are only about {scale:.2g} in size: the biases of the first "
            "layer drown them, and its weights hardly move."
        )
        return _scale_finding(model, seen, severity, text, numbers)
    return _uneven(model, seen, severity, rms, numbers)


def _uneven(
    model: ModelRecord,
    seen: InputRecord,
    severity: Severity,
    rms: np.ndarray,
    numbers: dict[str, float],
) -> Finding | None:
    """Features far from zero against their spread, or of very different scales."""
    varying = _varying(seen)
    offset = float(np.median(np.abs(seen.feature_means[varying]) / seen.feature_stds[varying]))
    if offset > FAR_OFFSET:
        text = _(
            "The mean of the inputs of `{model}` is {offset:.3g} times their spread: all samples "
            "look alike to the network, and what tells them apart is a small part of the signal."
        )
        return _scale_finding(model, seen, severity, text, numbers | {"offset": offset})
    sparse = seen.low >= 0 and np.median(seen.feature_means**2) < 0.1 * np.median(
        seen.feature_stds**2
    )
    ratio = float(rms[varying].max() / rms[varying].min())
    if ratio > UNEVEN_SCALES and len(seen.shape) == 1 and not sparse:
        text = _(
            "Features of `{model}` differ in size by a factor of {ratio:.2g}: the smallest "
            "ones hardly move the output, and a rate that suits one suits no other."
        )
        return _scale_finding(model, seen, severity, text, numbers | {"ratio": ratio})
    return None


def _varying(seen: InputRecord) -> np.ndarray:
    """Return which features vary: beyond what sums of float32 leave of a constant one."""
    return np.asarray(seen.feature_stds > 1e-3 * np.abs(seen.feature_means))


def _scale_finding(
    model: ModelRecord,
    seen: InputRecord,
    severity: Severity,
    text: str,
    numbers: dict[str, float],
) -> Finding:
    axes = "0" if len(seen.shape) <= 1 else "(0, 2, 3)" if len(seen.shape) == 3 else "(0, 1)"
    eight_bit = seen.low >= 0 and 200 < seen.high <= 255
    first = (_("`x = x / 255`"),) if eight_bit else ()
    return Finding(
        symptom=Symptom.UNNORMALISED_INPUT,
        severity=severity,
        layers=(model.trace.layers[0].name,) if model.trace.layers else (),
        evidence=numbers,
        cause=text.format(model=model.name, **numbers),
        fixes=(
            *first,
            _(
                "`x = (x - train.mean({axes}, keepdim=True)) / train.std({axes}, keepdim=True)` "
                "with the training set's figures"
            ).format(axes=axes),
            _("a normalisation as the first layer: `nn.BatchNorm1d(features)`"),
        ),
        reference="LeCun et al. 1998 (Efficient BackProp), section 4.3",
    )


def _normalised_inside(model: ModelRecord, seen: InputRecord) -> bool:
    """Whether the model normalises or rescales its input before the first weights."""
    trace = model.trace
    if not trace.layers:
        return False
    first = trace.layers[0]
    if first.kind.startswith(_NORMALISES):
        return True
    open_ended = first.activation is None or first.gate
    if not first.kind.startswith(_PASSES_SCALE) or not open_ended:
        return not first.kind.startswith(_PASSES_SCALE) and first.kind == "Embedding"
    if not trace.has("activation_std", 0) or not len(trace.steps):
        return False
    spread = float(np.nanmean(trace.at("activation_std", 0, 0)))
    scale = math.hypot(seen.mean, seen.std)
    return scale > LARGE_SCALE and spread < RESCALED * scale


# -- labels -----------------------------------------------------------------------------------


def _imbalance(labels: LabelRecord, observation: Observation) -> Finding | None:
    """One label is nearly all there is."""
    total = float(labels.counts.sum())
    share = learning.majority(observation)
    if share is None or not labels.single or total < LABELS or share < MAJORITY_SHARE:
        return None
    common = int(labels.counts.argmax())
    numbers = {"majority_share": share, "label": common, "labels": int(total)}
    if share == 1:
        return _constant_labels(observation, numbers)
    accuracy = learning.training_accuracy(observation)
    gained = learning.skill(accuracy, share) if accuracy is not None else 0.0
    severity = Severity.WARNING if abs(gained) <= PRIOR_BAND else Severity.INFO
    if accuracy is not None:
        numbers["training_accuracy"] = accuracy
    return Finding(
        symptom=Symptom.IMBALANCED_LABELS,
        severity=severity,
        evidence=numbers,
        cause=_(
            "{share:.1%} of the labels are {label}: always answering that is right as often, so "
            "accuracy says little and the loss hardly rewards finding the rest."
        ).format(share=share, label=common),
        fixes=(
            _weights(labels, share),
            _("`WeightedRandomSampler` to draw rare labels more often"),
            _("recall, precision or balanced accuracy instead of accuracy"),
        ),
        reference="He & Garcia 2009 (Learning from Imbalanced Data)",
    )


def _weights(labels: LabelRecord, share: float) -> str:
    if labels.classes == 2:
        return _(
            "weight the rare label: `weight=` of nn.CrossEntropyLoss or `pos_weight=` of "
            "nn.BCEWithLogitsLoss, here {ratio:.0f} to 1"
        ).format(ratio=share / (1 - share))
    return _("`nn.CrossEntropyLoss(weight=1 / counts)`, counts of the labels by class")


def _constant_labels(observation: Observation, numbers: dict[str, float]) -> Finding | None:
    """Every label is the same one."""
    # Contrastive losses put the right answer at place 0 of scores they compose themselves, and
    # one network may be trained towards `real` alone.
    composed = all(
        one.producer == "other" and one.function in ("cross_entropy", "nll_loss")
        for one in observation.losses
    )
    if composed or len([one for one in observation.optimizers if one.steps]) > 1:
        return None
    return Finding(
        symptom=Symptom.IMBALANCED_LABELS,
        severity=Severity.CRITICAL,
        evidence=numbers,
        cause=_(
            "All {labels} labels are {label}: the network learns to say that whatever it is shown, "
            "and the loss falls to 0 without anything being learnt."
        ).format(labels=numbers["labels"], label=numbers["label"]),
        fixes=(
            _("print the labels: `print(torch.unique(y, return_counts=True))`"),
            _("look for a rounding, a unit or a comparison that makes them all alike"),
        ),
        reference="He & Garcia 2009 (Learning from Imbalanced Data)",
    )


def _sorted(labels: LabelRecord, observation: Observation) -> Finding | None:
    """Batches that each hold only a part of the labels."""
    if not labels.single or _calls_are_no_batches(observation):
        return None
    classes = labels.classes
    reading = (
        order.by_class(labels.batch_counts) if classes else order.by_target(labels.batch_counts)
    )
    enough = SORTED_EFFECT if classes else SORTED_TARGETS
    if reading is None or reading.effect < enough or reading.sigmas < SORTED_SIGMAS:
        return None
    recurrent = any(model.recurrent for model in observation.models)
    # Windows of a time series come in their own order by right; so may what is learnt anyway, and
    # targets that a network gives at each step (temporal differences) move as it learns.
    moving = observation.passes_without_gradient >= max(observation.steps, 1)
    mild = _unseen_are_known(observation) or (not classes and (recurrent or moving))
    return Finding(
        symptom=Symptom.UNSHUFFLED_DATA,
        severity=Severity.INFO if mild else Severity.WARNING,
        evidence={
            "label_share_by_batch": reading.effect,
            "sigmas": reading.sigmas,
            "batches": len(labels.batch_counts),
        },
        cause=_(
            "Which batch a sample is in tells {effect:.0%} of what there is to know about its "
            "label (a shuffle: 0 %, {sigmas:.0f} standard deviations away): the data are sorted. "
            "Each batch pulls the network towards its own labels, and it forgets the others."
        ).format(effect=reading.effect, sigmas=reading.sigmas),
        fixes=(
            _("`DataLoader(..., shuffle=True)`"),
            _("in a loop of one's own: `for rows in torch.randperm(len(x)).split(batch_size):`"),
        ),
        reference="Bengio 2012 (Practical Recommendations for Gradient-Based Training)",
    )


def _calls_are_no_batches(observation: Observation) -> bool:
    """Whether one step computes several losses, so that a call is a role and not a batch."""
    calls = sum(one.calls for one in observation.losses if one.function != "expression")
    return calls > 1.5 * max(observation.backwards, 1) or observation.in_turns


def _unseen_are_known(observation: Observation) -> bool:
    """Whether samples not met are answered well: the only witness, as a network that follows
    its sorted batches answers each of them right."""
    chance = learning.majority(observation)
    known = [one for one in learning.unseen(observation) if one.seen <= 0.1]
    if chance is not None:
        rates = [one.accuracy for one in known if math.isfinite(one.accuracy)]
        return bool(rates) and learning.skill(rates[-1], chance) >= HARMLESS_SKILL
    prior = learning.target_variance(observation)
    losses = [one.loss for one in known if math.isfinite(one.loss)]
    return prior is not None and bool(losses) and losses[-1] <= (1 - HARMLESS_SKILL) * prior


def _memorising(observation: Observation) -> dict[str, float] | None:
    """Return the figures of a network that begins to know its samples, and only these.

    What carries over brings the loss on other samples below that of a constant answer first. Where
    the script evaluates no loss, half of the way to knowing them by heart counts.
    """
    chance, prior = learning.majority(observation), progress.prior(observation)
    if chance is None or prior is None:
        return None
    evaluations = learning.unseen(observation)
    known = [one.loss for one in evaluations if math.isfinite(one.loss)]
    least = MEMORISING if known else HALF_MEMORISED
    reading = learning.at_chance(observation, least=chance + least * (1 - chance))
    if reading is None or len(evaluations) < _EVALUATIONS or (known and min(known) < prior):
        return None
    if known and len(known) < _EVALUATIONS:
        return None
    share = reading["accuracy"]
    error = math.sqrt(share * (1 - share) / reading["samples"])
    return reading if reading["training_accuracy"] > share + 3 * error else None


def _noise(observation: Observation) -> Finding | None:
    """Training samples known by heart, or on the way to it, others answered at chance."""
    reading = learning.at_chance(observation, least=MEMORISED) or _memorising(observation)
    if reading is None:
        return None
    return Finding(
        symptom=Symptom.LABEL_NOISE,
        severity=Severity.WARNING,
        evidence=reading,
        cause=_(
            "Training samples are answered right in {train:.0%} of cases, samples never met in "
            "{unseen:.0%}, where chance is {chance:.0%}: the network learns its samples by heart "
            "and finds nothing that carries over. Labels and inputs seem unrelated."
        ).format(
            train=reading["training_accuracy"],
            unseen=reading["accuracy"],
            chance=reading["chance"],
        ),
        fixes=(
            _("look at samples with their labels: `print(y[:10])` beside the inputs"),
            _("shuffle inputs and labels by one and the same order: `order = torch.randperm(n)`"),
            _("more samples, if the labels are right"),
        ),
        reference="Zhang et al. 2017 (Understanding deep learning requires rethinking)",
    )
