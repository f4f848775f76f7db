"""Calls of torch's loss functions: how scores and targets met, labels, accuracy, evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nndiag.attach import graph
from nndiag.attach.series import on_host
from nndiag.probe import statistics
from nndiag.probe.tracing import traced
from nndiag.schema.observation import LabelRecord, LossRecord

#: Functions of torch.nn.functional that are looked at; the modules of torch.nn call them.
CLASSIFICATION = ("cross_entropy", "nll_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
DIVERGENCE = ("kl_div", "ctc_loss")
FUNCTIONS = (*CLASSIFICATION, *BINARY, *REGRESSION, *DIVERGENCE)
#: Those that take logarithms of probabilities.
_LOGARITHMS = ("nll_loss", *DIVERGENCE)

_MOST_BATCHES = 512
_MOST_CLASSES = 1024
_CHECKED_CALLS = 64  # calls whose values are looked at, from the start


@dataclass
class _Way:
    """One way of computing the loss, by function and what made its scores."""

    record: LossRecord
    invalid: list[Tensor] = field(default_factory=list)
    zeros: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)


class TrainingLosses:
    """Losses of training passes; nothing waits for the device."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, str], _Way] = {}
        self._counts: Tensor | None = None
        self._batches: list[Tensor] = []
        self._classes: int | None = None
        self._single = True
        self._errors: list[Tensor] = []
        self._errors_and_losses: list[tuple[Tensor, Tensor]] = []
        self._roots = 0
        self._across: tuple[int, ...] | None = None

    def note(self, function: str, scores: Tensor, target: Tensor) -> None:
        """Take in one call."""
        made_by = graph.producer(scores)
        way = self._way(function, made_by)
        record = way.record
        classes = class_count(function, scores)
        way.record = replace(
            record,
            calls=record.calls + 1,
            scores_shape=tuple(scores.shape),
            target_shape=tuple(target.shape),
            classes=classes,
            broadcast=record.broadcast or _broadcast(function, scores, target),
        )
        if record.calls < _CHECKED_CALLS:
            with torch.no_grad():
                self._check(way, function, made_by, scores.detach(), target.detach())
        if function == "mse_loss" and len(self._errors_and_losses) < _CHECKED_CALLS:
            with torch.no_grad():
                error = (scores.detach() - target.detach()).float().square().mean()
            self._errors.append(error)
        with torch.no_grad():
            self._note_labels(function, scores, target.detach(), classes)

    def note_root(self, loss: Tensor, called: bool) -> None:
        """Take in the tensor that a backward pass starts from.

        Args:
            called: a loss function was called since the last backward pass.
        """
        self._roots += 1
        if self._errors:
            alone = len(self._errors) == 1 and len(self._errors_and_losses) < _CHECKED_CALLS
            total = loss.detach().float().reshape(()) if alone else torch.tensor(math.nan)
            self._errors_and_losses.append((self._errors[0], total))
            self._errors = []
        turned = self._roots <= _CHECKED_CALLS and graph.negated(loss)
        if self._roots <= _CHECKED_CALLS:
            self._across = self._across or graph.across_samples(loss)
        if called:
            if turned:
                for way in self._ways.values():
                    way.record = replace(way.record, negated=True)
            return
        way = self._way("expression", "other")
        shapes = graph.broadcast_difference(loss) if way.record.calls < _CHECKED_CALLS else None
        way.record = replace(
            way.record,
            calls=way.record.calls + 1,
            negated=way.record.negated or turned,
            broadcast=way.record.broadcast or shapes is not None,
        )
        if shapes is not None:
            whole, part = shapes
            way.record = replace(way.record, scores_shape=part, target_shape=whole[1:])

    def squashed(self, function: str) -> bool:
        """Whether the scores given to this function have been through a sigmoid."""
        return (function, "sigmoid") in self._ways

    def records(self) -> tuple[LossRecord, ...]:
        """Return one record a way, the most used first (waits for the device)."""
        found = [replace(_finished(way), across=self._across) for way in self._ways.values()]
        return tuple(sorted(found, key=lambda record: -record.calls))

    def labels(self) -> LabelRecord | None:
        """Return the labels met, None where there were none."""
        if self._counts is None or self._classes is None:
            return None
        counts = self._counts.cpu().double().numpy()
        width = max(self._classes, 3 if self._classes == 0 else 1)
        rows = (
            torch.stack([row.cpu() for row in self._batches]).double().numpy()
            if self._batches
            else counts[None, :0].reshape(0, width)
        )
        return LabelRecord(
            classes=self._classes,
            counts=counts,
            batch_counts=rows,
            single=self._single,
            mean_squared=self._mean_squared(),
        )

    def _mean_squared(self) -> bool:
        """Whether each loss that was looked at is the mean squared error and nothing else."""
        errors = on_host([error for error, _loss in self._errors_and_losses])
        losses = on_host([loss for _error, loss in self._errors_and_losses])
        return bool(errors) and all(
            math.isclose(error, loss, rel_tol=1e-2) or not math.isfinite(error)
            for error, loss in zip(errors, losses, strict=True)
        )

    def _way(self, function: str, made_by: str) -> _Way:
        if (function, made_by) not in self._ways:
            record = LossRecord(function=function, calls=0, producer=made_by)
            self._ways[function, made_by] = _Way(record)
        return self._ways[function, made_by]

    def _check(
        self, way: _Way, function: str, made_by: str, scores: Tensor, target: Tensor
    ) -> None:
        if function in _LOGARITHMS and scores.ndim >= 1:
            way.invalid.append(_no_log_probabilities(function, scores.float()))
        if made_by == "relu":
            way.zeros.append((scores == 0).float().mean())
        if target.is_floating_point() and target.numel():
            way.targets.append(torch.stack([target.min().float(), target.max().float()]))

    def _note_labels(
        self, function: str, scores: Tensor, target: Tensor, classes: int | None
    ) -> None:
        found = _labels(function, scores, target, classes)
        if found is None or (self._classes is not None and self._classes != found[1]):
            return
        row, self._classes, single = found
        self._single = self._single and single
        self._counts = row if self._counts is None else self._counts + row
        if len(self._batches) < _MOST_BATCHES and self._classes <= _MOST_CLASSES and single:
            self._batches.append(row)


def _finished(way: _Way) -> LossRecord:
    invalid, zeros = on_host(list(way.invalid)), on_host(list(way.zeros))
    low = high = math.nan
    if way.targets:
        low = float(torch.stack([pair[0] for pair in way.targets]).min())
        high = float(torch.stack([pair[1] for pair in way.targets]).max())
    return replace(
        way.record,
        not_log_probabilities=sum(invalid) / len(invalid) if invalid else 0.0,
        zero_scores=sum(zeros) / len(zeros) if zeros else 0.0,
        target_low=low,
        target_high=high,
    )


def class_count(function: str, scores: Tensor) -> int | None:
    """Return the number of classes that a classification loss chooses among, else None."""
    if function in CLASSIFICATION:
        return scores.shape[1] if scores.ndim > 1 else scores.shape[0] if scores.ndim else None
    return 2 if function in BINARY else None


def _broadcast(function: str, scores: Tensor, target: Tensor) -> bool:
    if function in CLASSIFICATION:
        return False
    return scores.shape != target.shape and scores.numel() > 1 and target.numel() > 1


def _labels(
    function: str, scores: Tensor, target: Tensor, classes: int | None
) -> tuple[Tensor, int, bool] | None:
    """Return (C,) counts, C, and whether each sample has one label; None where unclear.

    For a regression: count, sum and sum of squares over all outputs, and 0 classes.
    """
    if function in CLASSIFICATION and classes:
        if target.is_floating_point():  # probabilities
            if target.ndim != 2:
                return None
            target = target.argmax(1)
        return _histogram(target, classes), classes, target.ndim <= 1
    one_each = target.ndim <= 1 or target[0].numel() == 1
    if function in BINARY:
        if not one_each:
            return None  # several questions a sample
        return _histogram((target.reshape(-1) > 0.5).long(), 2), 2, True
    if function in REGRESSION and target.numel() > 1:
        if not one_each and target.shape != scores.shape:
            return None
        values = target.reshape(-1).to(statistics.wide(target))
        count = torch.full_like(values[0], float(values.numel()))
        return torch.stack([count, values.sum(), values.square().sum()]), 0, one_each
    return None


def _no_log_probabilities(function: str, scores: Tensor) -> Tensor:
    """Return 1 where exp(scores) does not add up to 1 over classes, else 0.

    Classes are on axis 1 (`nll_loss`) or 2 (`ctc_loss`); of a divergence on any that fits.
    """
    if function == "kl_div":
        axes = list(range(1, scores.ndim)) or [0]
    else:
        axes = [min(scores.ndim - 1, 1 if function == "nll_loss" else 2)]
    far = torch.stack([(scores.logsumexp(axis).abs() > 1e-2).any() for axis in axes])
    return far.all().float()


def _histogram(labels: Tensor, classes: int) -> Tensor:
    """Return (C,) counts without waiting for the device; labels outside 0..C-1 do not count."""
    places = labels.reshape(-1).clamp(-1, classes).add_(1)
    counts = torch.zeros(classes + 2, device=labels.device)
    return counts.scatter_add_(0, places, counts.new_ones(()).expand(len(places)))[1:-1]


def right_answers(
    function: str, scores: Tensor, target: Tensor, *, squashed: bool
) -> tuple[Tensor, int] | None:
    """Return how many answers are right and how many there are; None for a regression.

    Args:
        squashed: the scores have been through a sigmoid, whatever the function expects.
    """
    if function in CLASSIFICATION:
        if target.is_floating_point():
            target = target.argmax(1)
        axis = 1 if scores.ndim > 1 else 0
        right, counted = scores.argmax(axis) == target, target >= 0
        return (right & counted).sum(), target.numel()
    if function in BINARY:
        limit = 0.0 if function.endswith("logits") and not squashed else 0.5
        return ((scores > limit) == (target > 0.5)).sum(), target.numel()
    return None


def looking(
    function: str,
    original: Callable[..., Any],
    seen: Callable[[str, Tensor, Tensor, Any], None],
    instead: Callable[[str, Tensor, Tensor, Callable[[Tensor, Tensor], Tensor]], Tensor | None],
) -> Callable[..., Any]:
    """Return a loss function that tells `seen` about its call, and lets `instead` answer first."""

    def loss(*args: Any, **kwargs: Any) -> Any:
        scores = args[0] if args else kwargs.get("input")
        target = args[1] if len(args) > 1 else kwargs.get("target")
        usable = isinstance(scores, Tensor) and isinstance(target, Tensor)
        if not usable or traced():
            return original(*args, **kwargs)
        assert isinstance(scores, Tensor)
        assert isinstance(target, Tensor)
        rest = {k: v for k, v in kwargs.items() if k not in ("input", "target")}

        def call(new_scores: Tensor, new_target: Tensor) -> Any:
            return original(new_scores, new_target, *args[2:], **rest)

        value = instead(function, scores, target, call)
        if value is None:
            value = original(*args, **kwargs)
        seen(function, scores, target, value)
        return value

    return loss
