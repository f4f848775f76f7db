"""The loss given what it expects: raw scores, log-probabilities, targets of its own shape."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nndiag.attach import graph
from nndiag.attach.interventions.base import Intervention
from nndiag.attach.patches import Patches
from nndiag.schema.observation import Observation

_SQUASHING = ("softmax", "sigmoid")
_ON_SCORES = ("cross_entropy", "binary_cross_entropy_with_logits")
_REMEMBERED = 32  # calls of softmax and sigmoid whose input is still known


class RemovedSoftmax(Intervention):
    """No softmax or sigmoid before a loss that applies its own.

    The loss gets the input of the squashing call whose output it is given (or a view of it), and
    where that call was not seen the logarithm of the probabilities, whose softmax they are.
    A softmax over a single score, which is always 1, becomes a sigmoid.
    """

    name = "remove_softmax"

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[tuple[str, Tensor, Tensor]] = deque(maxlen=_REMEMBERED)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        patches = Patches()
        for home in (torch, functional, Tensor):
            for name in _SQUASHING:
                patches.wrap(home, name, partial(self._around, name))
        try:
            yield
        finally:
            patches.undo()
            self._calls.clear()

    def _around(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def squash(x: Any, *args: Any, **kwargs: Any) -> Any:
            y = original(x, *args, **kwargs)
            if isinstance(x, Tensor) and isinstance(y, Tensor):
                self._calls.append((name, x, y))
            return y

        return squash

    def active(self) -> Any:
        return self._remembering()

    def on_backward(self, loss: Tensor) -> None:
        self._calls.clear()

    def on_loss(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None:
        name, raw = self._raw(scores)
        single = name == "softmax" and scores.numel() in (len(scores), 1)
        if single and function != "cross_entropy" and raw is not None:
            self.changes += 1
            squashed = raw if function == "binary_cross_entropy_with_logits" else raw.sigmoid()
            return call(squashed, target)
        if function not in _ON_SCORES or name not in _SQUASHING:
            return None
        self.changes += 1
        return call(_unsquashed(function, scores) if raw is None else raw, target)

    def _raw(self, scores: Tensor) -> tuple[str, Tensor | None]:
        """Return what squashed the scores, and their values before it where they are known."""
        place = scores.untyped_storage().data_ptr()
        for name, x, y in reversed(self._calls):
            if y.untyped_storage().data_ptr() == place and y.numel() == scores.numel():
                return name, x.reshape(scores.shape)
        return graph.producer(scores), None

    def snippet(self, observation: Observation) -> str:
        found = {
            record.producer: record.function
            for record in observation.losses
            if record.producer in _SQUASHING
        }
        lines = [
            f"- scores = torch.{name}(scores)  # F.{function} applies its own"
            for name, function in found.items()
        ]
        return "\n".join(lines) or "- torch.softmax / nn.Softmax before the loss"


def _unsquashed(function: str, scores: Tensor) -> Tensor:
    """Return scores whose softmax (sigmoid) the given ones are."""
    tiny = torch.finfo(scores.dtype).tiny
    if function == "cross_entropy":
        return scores.clamp(min=tiny).log()
    return torch.logit(scores, eps=torch.finfo(scores.dtype).eps)


class MatchedLoss(Intervention):
    """A loss given raw scores or another shape gets what its definition expects.

    `nll_loss` gets log-probabilities, `binary_cross_entropy` probabilities, and a regression loss
    targets in the shape of the predictions.
    """

    name = "match_loss"

    def on_loss(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None:
        value = self._matched(function, scores, target, call)
        self.changes += value is not None
        return value

    def _matched(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None:
        if function == "nll_loss" and scores.ndim > 1:
            far = scores.detach().float().logsumexp(1).abs() > 1e-2
            return call(functional.log_softmax(scores, 1), target) if bool(far.any()) else None
        if function == "binary_cross_entropy":
            if graph.producer(scores) in _SQUASHING:
                return None
            inside = bool(((scores >= 0) & (scores <= 1)).all())
            if inside and not scores.requires_grad:
                return None
            return call(torch.sigmoid(scores), target)
        regression = function in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
        if regression and scores.shape != target.shape and scores.numel() == target.numel():
            return call(scores, target.reshape(scores.shape))
        return None

    def snippet(self, observation: Observation) -> str:
        lines = []
        for record in observation.losses:
            if record.function == "nll_loss":
                lines.append("- F.nll_loss(scores, target)\n+ F.cross_entropy(scores, target)")
            elif record.function == "binary_cross_entropy":
                lines.append(
                    "- F.binary_cross_entropy(scores, target)\n"
                    "+ F.binary_cross_entropy_with_logits(scores, target)"
                )
            elif record.broadcast:
                lines.append("+ target = target.view_as(prediction)  # before the loss")
        return "\n".join(lines)
