"""Which changes of a user's run are worth trying against what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import ModelRecord, Observation

MOST = 8
_SATURATING = ("sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign")
_REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")

#: Against each symptom, the likeliest first. What no change at run time can cure is not here
#: (labels, order of the data, sign of the loss, size of the model).
_AGAINST: Mapping[Symptom, tuple[str, ...]] = {
    Symptom.LOSS_OUTPUT_MISMATCH: ("remove_softmax", "match_loss", "linear_output"),
    Symptom.MISSING_ZERO_GRAD: ("zero_grad",),
    Symptom.UNTRAINED_PARAMETERS: ("hold_all_parameters",),
    Symptom.WRONG_MODE: ("mode", "norm=layer"),
    Symptom.BAD_SCHEDULE: ("constant_lr", "optimizer=adam"),
    Symptom.ALWAYS_CLIPPED: ("clip_norm=1", "clip_norm=10", "optimizer=adam"),
    Symptom.SYMMETRIC_UNITS: ("reinit",),
    Symptom.UNNORMALISED_INPUT: ("standardise_input", "lr*0.1", "norm=batch"),
    Symptom.NON_FINITE: ("lr*0.1", "clip_norm=1", "standardise_input", "reinit", "lr*0.01"),
    Symptom.LEARNING_RATE_TOO_HIGH: ("lr*0.1", "lr*0.01", "clip_norm=1", "lr*0.001"),
    Symptom.LEARNING_RATE_TOO_LOW: ("lr*10", "lr*100", "optimizer=adam", "lr*1000"),
    Symptom.EXPLODING_GRADIENTS: ("reinit", "norm=batch", "norm=layer", "clip_norm=1", "lr*0.1"),
    Symptom.VANISHING_GRADIENTS: (
        *(
            "act=relu,reinit",
            "norm=batch",
            "reinit",
            "act=relu,norm=batch",
            "act=relu,reinit,lr*0.1",
        ),
        "optimizer=adam",
    ),
    Symptom.SATURATED_ACTIVATIONS: ("reinit", "standardise_input", "norm=batch", "act=relu,reinit"),
    Symptom.DEAD_UNITS: ("reinit", "lr*0.1", "reinit,lr*0.1", "norm=batch", "lr*0.01"),
    Symptom.STALLED_LOSS: ("reinit", "lr*0.1", "lr*10", "norm=batch", "optimizer=adam"),
    Symptom.UNDERFITTING: ("lr*10", "optimizer=adam", "norm=batch"),
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One change to try.

    Attributes:
        names: as `nndiag.attach.interventions.parse` reads them.
        symptoms: that call for it.
    """

    names: str
    reason: str
    symptoms: tuple[Symptom, ...]


def run_candidates(
    findings: Sequence[Finding], observation: Observation, *, most: int = MOST
) -> list[Candidate]:
    """Return the changes worth trying, the likeliest first, without those that cannot apply.

    Findings take turns, the worst first: the first choice against each, what they make together,
    the second choice against each, and so on.

    Args:
        findings: those below a warning call for nothing.
    """
    serious = [one for one in findings if one.severity.rank >= Severity.WARNING.rank]
    serious.sort(key=lambda finding: -finding.severity.rank)
    lists: dict[Symptom, list[str]] = {}
    for finding in serious:
        names = [n for n in _AGAINST.get(finding.symptom, ()) if _applies(n, observation)]
        if names:
            lists.setdefault(finding.symptom, names)
    symptoms: dict[str, list[Symptom]] = {}
    for turn in range(max(map(len, lists.values()), default=0)):
        for symptom, names in lists.items():
            if turn < len(names):
                symptoms.setdefault(names[turn], []).append(symptom)
        if turn == 0:
            for together, wanted in _together(symptoms):
                symptoms.setdefault(together, wanted)
    distinct: dict[frozenset[str], Candidate] = {}
    for label, found in symptoms.items():
        candidate = Candidate(names=label, reason=_reason(label), symptoms=tuple(found))
        distinct.setdefault(frozenset(label.split(",")), candidate)
    return list(distinct.values())[:most]


def _together(first: Mapping[str, list[Symptom]]) -> Iterable[tuple[str, list[Symptom]]]:
    """Yield all first choices at once, where they do not contradict each other."""
    words = list(dict.fromkeys(word for names in first for word in names.split(",")))
    kinds = [word.partition("*")[0].partition("=")[0] for word in words]
    if len(first) > 1 and len(set(kinds)) == len(kinds):
        yield ",".join(words), [symptom for found in first.values() for symptom in found]


def _applies(names: str, observation: Observation) -> bool:
    return all(_CONDITIONS[word](observation) for word in names.split(",") if word in _CONDITIONS)


def _models(observation: Observation) -> list[ModelRecord]:
    return [model for model in observation.models if model.training_passes]


def _hidden_dense(observation: Observation) -> bool:
    kinds = ("Linear", "Conv1d", "Conv2d", "Conv3d")
    return any(
        layer.kind in kinds and not layer.output
        for model in _models(observation)
        for layer in model.trace.layers
    )


def _saturates(observation: Observation) -> bool:
    return any(
        not layer.output and (layer.activation or "").partition("(")[0].lower() in _SATURATING
        for model in _models(observation)
        for layer in model.trace.layers
    )


def _own_weights(observation: Observation) -> bool:
    """Whether the weights were drawn here: those of another training are not to be lost."""
    return not any(p.loaded for model in _models(observation) for p in model.parameters)


def _normalised(observation: Observation, kind: str) -> bool:
    return any(model.normalised == kind for model in _models(observation))


def _squashed(observation: Observation) -> bool:
    twice = ("cross_entropy", "binary_cross_entropy_with_logits")
    return any(
        record.producer in ("softmax", "sigmoid")
        and (record.function in twice or record.producer == "softmax")
        and record.function != "nll_loss"
        for record in observation.losses
    )


def _unmatched(observation: Observation) -> bool:
    error = observation.error.message if observation.error is not None else ""
    return "between 0 and 1" in error or any(
        record.broadcast
        or record.not_log_probabilities > 0
        or (
            record.function == "binary_cross_entropy"
            and record.producer not in ("sigmoid", "softmax")
        )
        for record in observation.losses
    )


def _bounded_output(observation: Observation) -> bool:
    return any(
        (record.function in _REGRESSION and record.producer in ("relu", "tanh", "sigmoid"))
        or record.producer == "relu"
        for record in observation.losses
    )


def _tiny_batches(observation: Observation) -> bool:
    return any(
        model.batch_norms and min(model.batch_sizes, default=99) <= 4
        for model in _models(observation)
    )


def _stepped(observation: Observation) -> set[str]:
    return {one.kind for one in observation.optimizers if one.steps}


_CONDITIONS: Mapping[str, Callable[[Observation], bool]] = {
    "act=relu": lambda seen: (
        _saturates(seen) and not any(model.recurrent for model in _models(seen))
    ),
    "norm=batch": lambda seen: (
        _hidden_dense(seen) and not _normalised(seen, "batch") and not _normalised(seen, "layer")
    ),
    "norm=layer": lambda seen: (
        _tiny_batches(seen)
        or (
            _hidden_dense(seen)
            and not _normalised(seen, "batch")
            and not _normalised(seen, "layer")
        )
    ),
    "reinit": _own_weights,
    "remove_softmax": _squashed,
    "match_loss": _unmatched,
    "linear_output": _bounded_output,
    "constant_lr": lambda seen: any(one.schedulers for one in seen.optimizers),
    "standardise_input": lambda seen: any(model.input is not None for model in _models(seen)),
    "optimizer=adam": lambda seen: (
        not _stepped(seen) & {"Adam", "AdamW", "NAdam", "RAdam", "Adamax", "LBFGS"}
    ),
}


def _reason(names: str) -> str:
    return "; ".join(_why(word) for word in names.split(","))


def _why(word: str) -> str:
    """Return why a change may help."""
    kind = word.partition("*")[0] if "*" in word else word
    if kind == "lr":
        smaller = float(word.partition("*")[2]) < 1
        return (
            _("smaller steps stay where the gradient still holds")
            if smaller
            else _("larger steps reach a lower loss sooner")
        )
    if word.startswith("clip_norm="):
        return _("a limit on the gradient's length that is rarely met")
    return {
        "remove_softmax": _("the loss applies softmax or sigmoid itself"),
        "match_loss": _("the loss gets scores and targets as it expects them"),
        "linear_output": _("every target can be reached"),
        "zero_grad": _("each step follows its own gradient alone"),
        "hold_all_parameters": _("every layer learns"),
        "mode": _("dropout and normalisation act as they should"),
        "norm=layer": _("each layer's input keeps its size, whatever the batch"),
        "norm=batch": _("each layer's input keeps its size"),
        "constant_lr": _("the learning rate stays what it was at the start"),
        "reinit": _("weights that fit each activation keep the signal's size"),
        "standardise_input": _("inputs of mean 0 and deviation 1 suit the initial weights"),
        "act=relu": _("relu does not shrink the gradient of its active units"),
        "optimizer=adam": _("Adam scales each parameter's step by its own gradients"),
    }[word]
