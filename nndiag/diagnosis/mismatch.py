"""A loss and scores that do not belong together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nndiag.diagnosis import learning
from nndiag.diagnosis.naming import expression, output_layer, trained_model
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import LossRecord, Observation

#: Losses that apply softmax or sigmoid themselves (PyTorch documentation of each).
_ON_SCORES = ("cross_entropy", "binary_cross_entropy_with_logits")
_REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_MODULES = {
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "kl_div": "KLDivLoss",
    "ctc_loss": "CTCLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
}
#: What a function can put out.
_RANGES = {
    "softmax": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "log_softmax": (-math.inf, 0.0),
    "log_sigmoid": (-math.inf, 0.0),
}
#: `F.binary_cross_entropy` holds its logarithms at -100 (PyTorch documentation: BCELoss). A mean
#: above 10 then says that a tenth of the answers are exactly 0 or 1 and wrong: cut-off scores.
CLAMPED_LOSS = 10.0
#: Share of calls with scores that are no log-probabilities: half excludes rounding of float16.
NOT_LOG_SHARE = 0.5
#: Targets may leave the range of the output by this share of their own range and count as noise
#: around it: values of [0, 1] with normal noise of 0.05 reach 0.15 beyond in ten thousand draws.
RANGE_SLACK = 0.15
#: Share of scores at exactly 0 above which a relu on the output cuts off rather than selects:
#: a centred pre-activation gives one half, so the network is pinned only well above.
PINNED_ZEROS = 0.6

Rule = Callable[[LossRecord, Observation], Finding | None]


def check(observation: Observation) -> list[Finding]:
    """Report each way of computing the loss that defeats it, and errors that come from one."""
    found = [
        finding
        for record in observation.losses
        if (finding := _first(record, observation)) is not None
    ]
    further = (_across(observation), _error(observation))
    return [*found, *(finding for finding in further if finding is not None)]


def _across(observation: Observation) -> Finding | None:
    """A softmax that makes the samples of a batch compete instead of the classes."""
    record = next((one for one in observation.losses if one.across is not None), None)
    if record is None or record.across is None or learning.learns(observation):
        return None
    samples, classes = record.across
    return replace(
        _finding(
            record,
            Severity.CRITICAL,
            _(
                "The softmax runs along axis 0, over the {samples} samples of the batch, instead "
                "of over the {classes} classes: samples compete with each other, and a score says "
                "nothing about its own sample."
            ).format(samples=samples, classes=classes),
            (_("`dim=1` (or `dim=-1`) for `dim=0` in the softmax or log_softmax"),),
            observation,
        ),
        reference="PyTorch documentation: torch.nn.functional.log_softmax",
    )


def _first(record: LossRecord, observation: Observation) -> Finding | None:
    """Return what the first rule says that has something to say."""
    for rule in _RULES:
        finding = rule(record, observation)
        if finding is not None:
            return finding
    return None


def _one_output(record: LossRecord, observation: Observation) -> Finding | None:
    """Softmax over one score, or a cross-entropy that chooses among one class."""
    if record.function == "cross_entropy" and record.classes == 1:
        return _finding(
            record,
            Severity.CRITICAL,
            _(
                "The cross-entropy chooses among one class: whatever the score, its softmax is 1, "
                "the loss 0 and the gradient exactly 0."
            ),
            (
                _("one score a class: `nn.Linear(..., number_of_classes)`"),
                _("for yes or no: `F.binary_cross_entropy_with_logits(score, target.float())`"),
            ),
            observation,
        )
    if record.producer != "softmax" or not _single_column(record, observation):
        return None
    return _finding(
        record,
        Severity.CRITICAL,
        _(
            "Softmax over a single output unit is 1 for every input: the network is a constant, "
            "and its gradient is exactly 0."
        ),
        (
            _("a sigmoid instead of the softmax: `torch.sigmoid(score)`"),
            _("no softmax, and `F.binary_cross_entropy_with_logits(score, target)`"),
        ),
        observation,
    )


def _single_column(record: LossRecord, observation: Observation) -> bool:
    shape = record.scores_shape
    if len(shape) >= 2:
        return shape[-1] == 1
    model = trained_model(observation)
    return len(shape) == 1 and model is not None and model.output_features == 1


def _twice(record: LossRecord, observation: Observation) -> Finding | None:
    """A squashing function before a loss that squashes the scores itself."""
    if record.function not in _ON_SCORES or record.producer not in _RANGES:
        return None
    name, made_by = f"F.{record.function}", record.producer
    if record.function == "cross_entropy" and made_by == "log_softmax":
        return _finding(
            record,
            Severity.INFO,
            _(
                "`{loss}` takes the log-softmax of what already is one. This does no harm, as the "
                "log-softmax of a log-softmax is itself; it only costs time."
            ).format(loss=name),
            (_("remove the log_softmax, or use `F.nll_loss`"),),
            observation,
        )
    if record.function == "cross_entropy" and made_by == "log_sigmoid":
        return None  # unbounded below: odd, but every distribution can be reached
    if made_by == "relu":
        cause = _(
            "A relu makes every score below zero 0, but `{loss}` needs negative scores to say "
            "no; a unit whose score is cut off gets no gradient."
        ).format(loss=name)
    else:
        cause = _bounded_cause(record)
    model, last = trained_model(observation), output_layer(observation)
    after = _("at the output")
    if model is not None and last:
        after = _("after `{layer}`").format(layer=expression(model, last[0]))
    return _finding(
        record,
        _by_harm(observation),
        cause,
        (
            _("remove the {made_by} {after}: `{loss}` expects raw scores").format(
                made_by=made_by, after=after, loss=name
            ),
        ),
        observation,
        **_reach(record),
    )


def _bounded_cause(record: LossRecord) -> str:
    low, high = _RANGES[record.producer]
    return _(
        "`{loss}` applies {inner} itself, but the scores have been through {made_by} already and "
        "lie between {low:g} and {high:g}: the loss cannot fall below {floor:.3f} and its gradient "
        "fades while answers are still wrong."
    ).format(
        loss=f"F.{record.function}",
        inner="softmax" if record.function == "cross_entropy" else "sigmoid",
        made_by=record.producer,
        low=low,
        high=high,
        floor=_reach(record)["loss_floor"],
    )


def _reach(record: LossRecord) -> dict[str, float]:
    """Return the lowest loss that scores of this range allow on one sample, at its best class.

    Cross-entropy: the right score at the top, the others at the bottom. Binary: the worse of
    the two labels.
    """
    low, high = _RANGES[record.producer]
    if record.function == "cross_entropy":
        floor = math.log1p(((record.classes or 2) - 1) * math.exp(low - high))
    else:
        floor = max(math.log1p(math.exp(low)), math.log1p(math.exp(-high)))
    return {"loss_floor": floor}


def _raw(record: LossRecord, observation: Observation) -> Finding | None:
    """Scores where probabilities or their logarithms belong."""
    if record.function == "nll_loss" and record.producer != "log_softmax":
        if record.not_log_probabilities <= NOT_LOG_SHARE:
            return None
        return _finding(
            record,
            Severity.CRITICAL,
            _(
                "`F.nll_loss` only picks minus the score of the right class and expects "
                "log-probabilities. These are none ({made_by}), so the loss falls without "
                "bound by making scores larger, right or wrong."
            ).format(made_by=record.producer),
            (
                _("`F.cross_entropy(scores, target)` on raw scores"),
                _("or `F.log_softmax(scores, dim=1)` before `F.nll_loss`"),
            ),
            observation,
            not_log_probabilities=record.not_log_probabilities,
        )
    if record.function in ("kl_div", "ctc_loss"):
        return _no_logarithms(record, observation)
    if record.function == "binary_cross_entropy" and record.producer in (
        *("linear", "relu", "tanh", "clamp"),
        *("log_softmax", "log_sigmoid"),
    ):
        return _raw_binary(record, observation)
    if record.function == "binary_cross_entropy" and record.producer == "other":
        end = learning.ends(learning.loss(observation))[1]
        return _raw_binary(record, observation) if end > CLAMPED_LOSS else None
    return None


def _no_logarithms(record: LossRecord, observation: Observation) -> Finding | None:
    if record.not_log_probabilities <= NOT_LOG_SHARE:
        return None
    return _finding(
        record,
        Severity.CRITICAL,
        _(
            "`F.{function}` expects log-probabilities, and these are none: their exponentials do "
            "not add up to 1 over any axis. The loss can then fall below zero, and what it falls "
            "to means nothing."
        ).format(function=record.function),
        (
            _("`F.log_softmax(scores, dim=-1)` before `F.{function}`").format(
                function=record.function
            ),
        ),
        observation,
        not_log_probabilities=record.not_log_probabilities,
    )


def _raw_binary(record: LossRecord, observation: Observation) -> Finding:
    return _finding(
        record,
        Severity.CRITICAL,
        _(
            "`F.binary_cross_entropy` expects probabilities, but the scores come from {made_by}: "
            "outside 0 to 1 it raises an error, and cut off to that range they get no gradient."
        ).format(made_by=record.producer),
        (
            _("`F.binary_cross_entropy_with_logits(score, target)` on raw scores"),
            _("or `torch.sigmoid(score)` before `F.binary_cross_entropy`"),
        ),
        observation,
    )


def _broadcast(record: LossRecord, observation: Observation) -> Finding | None:
    """(N, 1) against (N,): every prediction is compared with every target."""
    scores, target = record.scores_shape, record.target_shape
    if not record.broadcast or not _spreads(scores, target):
        return None
    if len(scores) > len(target):
        fixes = (
            _("`pred.squeeze({axis})` before the loss").format(axis=_extra_axis(scores)),
            _("or `target.view_as(pred)`"),
        )
    else:
        fixes = (
            _("`target.squeeze({axis})` before the loss").format(axis=_extra_axis(target)),
            _("or `target.view_as(pred)`"),
        )
    return _finding(
        record,
        Severity.CRITICAL,
        _(
            "Scores of shape {scores} and targets of shape {target} are broadcast against each "
            "other: every prediction is compared with every target of the batch, and the best "
            "answer to that is their mean."
        ).format(scores=scores, target=target),
        fixes,
        observation,
    )


def _spreads(scores: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether as many entries in another shape meet, or more pairs than either has entries."""
    try:
        together = math.prod(np.broadcast_shapes(scores, target))
    except ValueError:
        return False
    sizes = math.prod(scores), math.prod(target)
    return sizes[0] == sizes[1] or together > max(sizes)


def _extra_axis(shape: tuple[int, ...]) -> int:
    return next((axis for axis in range(len(shape) - 1, -1, -1) if shape[axis] == 1), 1)


def _out_of_reach(record: LossRecord, observation: Observation) -> Finding | None:
    """Targets that the function on the output layer cannot produce."""
    low, high = record.target_low, record.target_high
    if record.function not in _REGRESSION or record.producer not in _RANGES:
        return None
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    bottom, top = _RANGES[record.producer]
    beyond = max(bottom - low, high - top)
    pinned = record.producer == "relu" and low > 0 and record.zero_scores >= PINNED_ZEROS
    if beyond <= RANGE_SLACK * (high - low) and not pinned:
        return None
    if beyond <= 0 and not pinned:
        return None
    cause = _(
        "The output goes through {made_by} and lies between {bottom:g} and {top:g}; the targets "
        "go from {low:.3g} to {high:.3g}. What lies outside cannot be reached, and the gradient "
        "vanishes on the way there."
    )
    if pinned:
        cause = _(
            "The output goes through {made_by}, and {zeros:.0%} of the predictions are exactly 0 "
            "while every target is at least {low:.3g}: there the gradient is 0 as well."
        )
    return _finding(
        record,
        _by_harm(observation),
        cause.format(
            made_by=record.producer,
            bottom=bottom,
            top=top,
            low=low,
            high=high,
            zeros=record.zero_scores,
        ),
        (
            _("no {made_by} on the output layer").format(made_by=record.producer),
            _("or targets scaled into the range of the output"),
        ),
        observation,
        target_low=low,
        target_high=high,
        zero_scores=record.zero_scores,
    )


def _error(observation: Observation) -> Finding | None:
    """An exception that a mismatch raises."""
    error = observation.error
    if error is None:
        return None
    if "all elements of input should be between 0 and 1" in error.message:
        squashed = any(
            record.function == "binary_cross_entropy" and record.producer in ("sigmoid", "softmax")
            for record in observation.losses
        )
        known = any(record.function == "binary_cross_entropy" for record in observation.losses)
        if squashed or _not_finite(observation) or known:
            return None  # NaN fails the same check; another rule names the rest
        return _raw_binary(
            LossRecord(function="binary_cross_entropy", calls=0, producer="linear"), observation
        )
    if error.kind == "IndexError" and error.message.startswith("Target "):
        return _label_outside(observation)
    return None


def _label_outside(observation: Observation) -> Finding:
    model = trained_model(observation)
    outputs = model.output_features if model is not None else None
    message = observation.error.message if observation.error is not None else ""
    return Finding(
        symptom=Symptom.LOSS_OUTPUT_MISMATCH,
        severity=Severity.CRITICAL,
        layers=output_layer(observation),
        evidence={"error": message, **({"outputs": outputs} if outputs else {})},
        cause=_(
            "A label names a class that the network has no output for ({message}); "
            "labels count from 0 to the number of outputs minus 1."
        ).format(message=message.rstrip(".")),
        fixes=(
            _("one output a class: `nn.Linear(..., int(labels.max()) + 1)`"),
            _("or labels from 0: `labels - labels.min()`"),
        ),
        reference=_doc("cross_entropy"),
    )


def _not_finite(observation: Observation) -> bool:
    """Whether NaN or infinity was met, in inputs, losses or activations."""
    if any(one.input is not None and one.input.non_finite > 0 for one in observation.models):
        return True
    if any(not np.isfinite(one.loss.values).all() for one in observation.optimizers):
        return True
    return any(
        not np.isfinite(column[:, ~model.trace.missing[name]]).all()
        for model in observation.models
        for name, column in model.trace.columns.items()
        if name in ("activation_mean", "weight_norm")
    )


def _by_harm(observation: Observation) -> Severity:
    """Return how bad a mismatch is with which the network may still learn something."""
    return Severity.WARNING if learning.learns(observation) else Severity.CRITICAL


def _finding(
    record: LossRecord,
    severity: Severity,
    cause: str,
    fixes: tuple[str, ...],
    observation: Observation,
    **numbers: float,
) -> Finding:
    shapes = {"scores_shape": record.scores_shape, "target_shape": record.target_shape}
    return Finding(
        symptom=Symptom.LOSS_OUTPUT_MISMATCH,
        severity=severity,
        layers=output_layer(observation),
        evidence={
            "loss": record.function,
            "output": record.producer,
            "calls": record.calls,
            **{name: str(shape) for name, shape in shapes.items() if shape},
            **({"classes": record.classes} if record.classes else {}),
            **numbers,
        },
        cause=cause,
        fixes=fixes,
        reference=_doc(record.function),
    )


def _doc(function: str) -> str:
    module = _MODULES.get(function)
    return f"PyTorch documentation: {module}" if module else "PyTorch documentation: broadcasting"


_RULES: tuple[Rule, ...] = (_one_output, _twice, _raw, _broadcast, _out_of_reach)
