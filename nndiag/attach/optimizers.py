"""One optimizer of the script: its rates, its losses, and what its steps were made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nndiag.attach.by_hand import ByHand
from nndiag.attach.series import Recorder, on_host
from nndiag.probe.statistics import entries
from nndiag.schema.observation import BY_HAND, ClipRecord, OptimizerRecord, Series

_MOST_CLIPS = 4096
#: Parameters whose gradients are looked at before a backward pass: clearing spares none.
_LOOKED_AT = 3
_HOST_LOOKS = 64  # times that a device is waited for to see whether a gradient was set to zero


class OptimizerWatch:
    """Watches one optimizer; the session tells it what happens."""

    def __init__(self, optimizer: torch.optim.Optimizer | ByHand) -> None:
        self.optimizer = optimizer
        self.steps = 0
        self.backwards_seen = 0
        self.first_step = self.last_step = -1
        self.skipped = 0
        self.losses = Recorder()
        self._rates = Recorder()
        self._cleared = True
        self._fresh = True  # gradients came back since they were last cleared
        self._leftover = self._empty = self._unbacked = 0
        self._looks = 0
        self._clips: list[tuple[str, float, Tensor]] = []
        self._clip_calls = 0
        self.schedulers: dict[str, int] = {}

    @property
    def by_hand(self) -> bool:
        """Whether it stands for updates that no torch optimizer makes."""
        return isinstance(self.optimizer, ByHand)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Parameters of all groups."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def held(self) -> set[int]:
        """Their ids."""
        return {id(parameter) for parameter in self.parameters}

    # -- gradients left from before -----------------------------------------------------------

    def cleared(self) -> None:
        """Take in that its gradients were set to zero or to None."""
        self._cleared, self._fresh = True, False

    def before_backward(self) -> None:
        """See whether gradients of its last step are still there as a backward pass begins."""
        self._fresh = True
        if self._cleared or not self.steps:
            return
        trainable = [p for p in self.parameters if p.requires_grad]
        looked = sorted(trainable, key=lambda p: p.numel())[:_LOOKED_AT]
        gradients = [p.grad for p in looked if p.grad is not None]
        if not gradients:
            self._cleared = True
        elif gradients[0].device.type == "cpu" or self._looks < _HOST_LOOKS:
            self._looks += 1
            self._cleared = not any(bool(entries(gradient).any()) for gradient in gradients)

    # -- steps --------------------------------------------------------------------------------

    def before_step(self, step: int) -> None:
        """Take in the rates as a step begins, with its number."""
        self._rates.add(step, max(float(group["lr"]) for group in self.optimizer.param_groups))

    def after_step(self, step: int, backwards: int) -> None:
        """Take in a finished step (a closure may have cleared and gone backward within it).

        Args:
            step: its number.
            backwards: backward passes so far in the whole run.
        """
        if self.steps and not self._cleared:
            self._leftover += 1
        if backwards == self.backwards_seen:
            self._unbacked += 1
        if not self.by_hand:  # a script may drop its gradients before its step is seen
            self._empty += not self._fresh or all(p.grad is None for p in self.parameters)
        self.backwards_seen = backwards
        self.last_step = step
        if self.first_step < 0:
            self.first_step = step
        self.steps += 1
        self._cleared = False

    def clipped(self, kind: str, limit: float, size: Tensor) -> None:
        """Take in a call of a clipping function, with the size of the gradient before it."""
        self._clip_calls += 1
        if len(self._clips) < _MOST_CLIPS:
            self._clips.append((kind, limit, size.detach()))

    # -- the record ---------------------------------------------------------------------------

    def record(
        self,
        models: Sequence[str],
        known: set[int],
        gradient_norm: Series,
        update_ratio: Series,
        rate: Series,
    ) -> OptimizerRecord:
        """Return what was seen (waits for the device).

        Args:
            models: names of the models whose parameters it holds.
            known: ids of the parameters of all models seen.
            rate: as measured, for updates by hand.
        """
        parameters = self.parameters
        return OptimizerRecord(
            kind=BY_HAND if self.by_hand else type(self.optimizer).__name__,
            steps=self.steps,
            models=tuple(models),
            options=_options(self.optimizer.param_groups[0]),
            lr=rate if self.by_hand else self._rates.series(),
            loss=self.losses.series(),
            gradient_norm=gradient_norm,
            update_ratio=update_ratio,
            foreign=sum(id(parameter) not in known for parameter in parameters),
            held=len(parameters),
            leftover=self._leftover / max(self.steps - 1, 1),
            empty=self._empty,
            unbacked=self._unbacked,
            skipped=self.skipped,
            maximize=any(
                bool(group.get("maximize")) or float(group["lr"]) < 0
                for group in self.optimizer.param_groups
            ),
            clip=self._clip(),
            schedulers=dict(self.schedulers),
        )

    def _clip(self) -> ClipRecord | None:
        if not self._clips:
            return None
        sizes = torch.tensor(on_host([size for _kind, _limit, size in self._clips]))
        limits = torch.tensor([limit for _kind, limit, _size in self._clips])
        return ClipRecord(
            kind=self._clips[0][0],
            calls=self._clip_calls,
            share=float((sizes > limits).float().mean()),
            limit=float(limits.median()),
            norm=float(sizes.median()),
        )


def _options(group: Mapping[str, Any]) -> dict[str, float | bool | None]:
    """Return the numbers and switches of a group; a pair such as betas as beta1 and beta2."""
    found: dict[str, float | bool | None] = {}
    for name, value in group.items():
        if name in ("params", "lr", "initial_lr"):
            continue
        if value is None or isinstance(value, bool | int | float):
            found[name] = value
        elif isinstance(value, tuple) and all(isinstance(item, int | float) for item in value):
            found |= {f"{name.rstrip('s')}{at}": item for at, item in enumerate(value, start=1)}
    return found
