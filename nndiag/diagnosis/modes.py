"""Training and evaluation mode: dropout and batch normalisation that are on or off wrongly."""

from __future__ import annotations

from nndiag.diagnosis import learning
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import ModelRecord, Observation

#: Share of the optimizer's steps with a pass in training mode below which the model is trained in
#: evaluation mode. Attacks crafted in evaluation mode (adversarial training) still train in
#: training mode once a step, so they stay at 1.
AWAKE_SHARE = 0.8
#: Passes in evaluation mode at the least: one forgotten batch is no fault worth a line.
ASLEEP_PASSES = 3
#: Share of the passes without gradients that are in training mode above which the script never
#: switches; scripts that do switch use training mode on purpose (pseudo-labels, re-estimating a
#: batch normalisation, Monte Carlo dropout).
NEVER_SWITCHED = 0.9
#: Batches of up to two samples: Wu & He 2018 (Group Normalization, figure 1) measure 10 points
#: more error at 2 images a batch than at 32.
TINY_BATCH = 2
#: Share of the batches that are that small; the rest of an epoch alone is no fault.
TINY_SHARE = 0.5
#: Share of a model's entries that must be trained for its mode to be judged by all its modules;
#: below, the body is frozen and stays in evaluation mode by right.
TRAINED_SHARE = 0.5


def check(observation: Observation) -> list[Finding]:
    """Report models trained in evaluation mode, evaluated in training mode, or on tiny batches."""
    found = []
    for model in observation.models:
        rules = (_asleep(model, observation), _awake(model, observation), _tiny(model))
        found += [finding for finding in rules if finding is not None]
    refused = _refused(observation)
    return [*found, *([refused] if refused is not None else [])]


def _asleep(model: ModelRecord, observation: Observation) -> Finding | None:
    """Training in evaluation mode."""
    asleep, passes = model.training_passes_in_eval, model.training_passes
    norms, dropouts = _trained_norms(model), model.dropouts
    if asleep < ASLEEP_PASSES or not (norms or dropouts) or _mostly_frozen(model):
        return None
    steps = max(
        (one.steps for one in observation.optimizers if model.name in one.models),
        default=observation.steps,
    )
    if passes - asleep >= AWAKE_SHARE * min(steps, passes):
        return None
    whole = all(one.loaded for one in model.parameters) if model.parameters else False
    severity = Severity.CRITICAL if norms and not whole else Severity.WARNING
    return Finding(
        symptom=Symptom.WRONG_MODE,
        severity=severity,
        layers=(*norms, *dropouts),
        evidence={"training_passes": passes, "in_evaluation_mode": asleep},
        cause=_(
            "{asleep} of {passes} training passes of `{model}` ran in evaluation mode: "
            "{effect}. Once `eval()` is called it stays, until `train()` is called."
        ).format(asleep=asleep, passes=passes, model=model.name, effect=_effect(norms, dropouts)),
        fixes=(_("`{model}.train()` at the start of every epoch").format(model=model.name),),
        reference="PyTorch documentation: Module.train, Module.eval",
    )


def _effect(norms: tuple[str, ...], dropouts: tuple[str, ...]) -> str:
    if not norms:
        return _("dropout does nothing, and the network overfits sooner")
    if not dropouts:
        return _("batch normalisation uses stored statistics that are never updated")
    return _("batch normalisation uses stored statistics, and dropout does nothing")


def _awake(model: ModelRecord, observation: Observation) -> Finding | None:
    """Evaluation in training mode."""
    passes, awake = model.evaluation_passes, model.evaluation_passes_in_training
    if not awake or not model.training_passes or not (model.batch_norms or model.dropouts):
        return None
    # Without a loss or an accuracy it is no evaluation: a generator's samples, targets, a teacher.
    if not learning.unseen(observation):
        return None
    sure = awake >= NEVER_SWITCHED * passes and not _several_players(model, observation)
    if not sure and not _plausible(model):
        return None
    norms = bool(model.batch_norms)
    effect = (
        _("dropout still removes units at random")
        if not norms
        else _("batch normalisation uses the test batch's statistics and takes them into its own")
    )
    return Finding(
        symptom=Symptom.WRONG_MODE,
        severity=Severity.WARNING if sure else Severity.INFO,
        layers=(*model.batch_norms, *model.dropouts),
        evidence={"evaluation_passes": passes, "in_training_mode": awake},
        cause=_(
            "{awake} of {passes} passes of `{model}` with gradients off ran in training mode: "
            "{effect}, so the figures understate the network and change from run to run. (Right "
            "only where it is meant, as when averaging Monte Carlo dropout.)"
        ).format(awake=awake, passes=passes, model=model.name, effect=effect),
        fixes=(
            _("`{model}.eval()` before the evaluation, `{model}.train()` after it").format(
                model=model.name
            ),
        ),
        reference="PyTorch documentation: Module.train, Module.eval",
    )


def _several_players(model: ModelRecord, observation: Observation) -> bool:
    """Whether other models train against it, each with an optimizer of its own (GANs)."""
    stepping = [one for one in observation.optimizers if one.steps]
    return any(one.steps and model.name not in one.models for one in stepping)


def _plausible(model: ModelRecord) -> bool:
    """Whether the passes are too few to be a part of every training step."""
    return 2 * model.evaluation_passes_in_training <= model.training_passes


def _tiny(model: ModelRecord) -> Finding | None:
    """Batch normalisation over one or two samples."""
    batches = sum(model.batch_sizes.values())
    small = sum(count for size, count in model.batch_sizes.items() if size <= TINY_BATCH)
    if not model.batch_norms or model.frozen_norms or not batches or not small:
        return None
    if model.training_passes_in_eval >= NEVER_SWITCHED * model.training_passes:
        return None
    often = small >= TINY_SHARE * batches
    if not often and not model.single_value_norms:
        return None
    return Finding(
        symptom=Symptom.WRONG_MODE,
        severity=Severity.WARNING if often else Severity.INFO,
        layers=model.batch_norms,
        evidence={
            "batches": batches,
            "of_one_or_two": small,
            "of_one_value": model.single_value_norms,
        },
        cause=_(
            "{small} of {batches} training batches have one or two samples: batch normalisation "
            "then takes mean and variance from almost nothing, its output is mostly noise, and "
            "the stored statistics of evaluation mode differ from what training saw."
        ).format(small=small, batches=batches),
        fixes=(
            _("larger batches: `DataLoader(..., batch_size=32)`"),
            _("`nn.GroupNorm` or `nn.LayerNorm`, which do not depend on the batch"),
        )
        if often
        else (_("`DataLoader(..., drop_last=True)`"),),
        reference="Wu & He 2018 (Group Normalization)",
    )


def _refused(observation: Observation) -> Finding | None:
    """The error of a batch normalisation that got a single value a channel."""
    error = observation.error
    if error is None or "Expected more than 1 value per channel" not in error.message:
        return None
    return Finding(
        symptom=Symptom.WRONG_MODE,
        severity=Severity.CRITICAL,
        layers=(error.layer,) if error.layer else (),
        evidence={"step": error.step, "error": error.message},
        cause=_(
            "After {step} steps a batch with one value a channel reached a batch normalisation in "
            "training mode: one value has no variance."
        ).format(step=error.step),
        fixes=(
            _("`DataLoader(..., drop_last=True)`, as the last batch of an epoch may be one sample"),
            _("`model.eval()` where this was an evaluation or a prediction"),
        ),
        reference="PyTorch documentation: BatchNorm1d",
    )


def _trained_norms(model: ModelRecord) -> tuple[str, ...]:
    """Return the batch normalisations that are not frozen on purpose."""
    if model.frozen_norms:
        return ()
    frozen = {one.name.rpartition(".")[0] for one in model.parameters if not one.trainable}
    return tuple(name for name in model.batch_norms if name not in frozen)


def _mostly_frozen(model: ModelRecord) -> bool:
    whole = sum(one.size for one in model.parameters)
    trained = sum(one.size for one in model.parameters if one.trainable)
    return trained < TRAINED_SHARE * whole
