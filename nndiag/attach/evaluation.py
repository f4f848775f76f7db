"""Evaluations: losses and right answers counted with gradients switched off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from nndiag.attach.inputs import Seen
from nndiag.attach.losses import right_answers
from nndiag.attach.patches import Patches
from nndiag.attach.series import on_host
from nndiag.probe.tracing import traced
from nndiag.schema.observation import Evaluation

_MOST = 1024


@dataclass
class _Open:
    """Sums of the evaluation under way."""

    step: int
    samples: int = 0
    losses: list[Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)
    answered: int = 0
    compared: list[Tensor] = field(default_factory=list)
    compared_samples: int = 0
    seen: list[float] = field(default_factory=list)


class Evaluations:
    """Gathers what is computed between two optimizer steps into one evaluation.

    Batches that training has met and batches that it has not count apart.
    """

    def __init__(self) -> None:
        self._done: list[Evaluation] = []
        self._open: dict[tuple[bool, str], _Open] = {}
        self._seen = Seen()
        self._share = float("nan")
        self._predictions = WeakIdKeyDictionary()
        self._step = 0

    def attach(self, patches: Patches) -> None:
        """Watch the functions by which a script counts right answers."""
        owner: Any
        for owner, name in ((Tensor, "argmax"), (torch, "argmax"), (Tensor, "max"), (torch, "max")):
            patches.wrap(owner, name, self._around_choice)
        for owner, name in ((Tensor, "__eq__"), (Tensor, "eq"), (torch, "eq")):
            patches.wrap(owner, name, self._around_equal)

    def _around_choice(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def choose(scores: Any, *args: Any, **kwargs: Any) -> Any:
            chosen = original(scores, *args, **kwargs)
            if traced() or torch.is_grad_enabled():
                return chosen
            indices = chosen if isinstance(chosen, Tensor) else getattr(chosen, "indices", None)
            if isinstance(indices, Tensor) and not indices.is_floating_point() and indices.ndim:
                self._predictions[indices] = True
            return chosen

        return choose

    def _around_equal(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def equal(one: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(one, other, *args, **kwargs)
            if traced() or torch.is_grad_enabled():
                return result
            if isinstance(other, Tensor) and isinstance(result, Tensor):
                self._note_comparison(one, other, result)
            return result

        return equal

    def learn(self, x: Tensor) -> None:
        """Remember a training batch."""
        self._seen.learn(x)

    def met(self, x: Tensor | None) -> None:
        """Take in the input of an evaluating pass."""
        self._share = float("nan") if x is None else self._seen.share(x)

    def note_loss(
        self, function: str, scores: Tensor, target: Tensor, loss: Tensor, *, squashed: bool
    ) -> None:
        """Take in a loss computed with gradients off; `squashed` as for `right_answers`."""
        now = self._current(function)
        size = len(target) if target.ndim else 1
        if loss.numel() == 1:
            now.losses.append(loss.detach().reshape(()).double())
            now.sizes.append(size)
        found = right_answers(function, scores.detach(), target.detach(), squashed=squashed)
        if found is not None:
            now.right.append(found[0])
            now.answered += found[1]
        now.samples += size
        now.seen.append(self._share)

    def _note_comparison(self, one: Tensor, other: Tensor, equal: Tensor) -> None:
        """Take in `prediction == labels`."""
        if not (one in self._predictions or other in self._predictions):
            return
        if one.shape != other.shape or not one.numel():
            return
        now = self._current("")
        now.compared.append(equal.detach().sum())
        now.compared_samples += one.numel()
        now.seen.append(self._share)

    @property
    def training_samples(self) -> int | None:
        """Distinct samples that training met; None where they were not counted."""
        return self._seen.count

    def step_taken(self, number: int) -> None:
        """Close what is open: training goes on, so many steps are taken."""
        for now in self._open.values():
            if len(self._done) < _MOST:
                self._done.append(_closed(now))
        self._open.clear()
        self._share = float("nan")
        self._step = number

    def records(self) -> tuple[Evaluation, ...]:
        """Return all evaluations (waits for the device)."""
        self.step_taken(self._step)
        return tuple(self._done)

    def _current(self, function: str) -> _Open:
        """Return the open evaluation on samples like the last input's, by one loss function."""
        familiar = self._share > 0.5
        same = [key for key in self._open if key[0] == familiar]
        joined = next((key for key in same if "" in (key[1], function)), None)
        if joined is None and same and not function:
            joined = same[0]  # answers counted beside the loss
        if joined is not None:
            now = self._open.pop(joined)
            self._open[familiar, function or joined[1]] = now
            return now
        return self._open.setdefault((familiar, function), _Open(self._step))


def _closed(now: _Open) -> Evaluation:
    loss = accuracy = float("nan")
    if now.losses:
        sizes = torch.tensor(now.sizes, dtype=torch.float64)
        values = torch.tensor(on_host(list(now.losses)), dtype=torch.float64)
        loss = float((values * sizes).sum() / sizes.sum())
    if now.answered:
        accuracy = sum(on_host(list(now.right))) / now.answered
    elif now.compared_samples:  # the loss on the same scores has not counted them
        accuracy = sum(on_host(list(now.compared))) / now.compared_samples
    known = [share for share in now.seen if share == share]
    return Evaluation(
        step=now.step,
        samples=now.samples or now.compared_samples,
        loss=loss,
        accuracy=accuracy,
        seen=sum(known) / len(known) if known else float("nan"),
    )
