"""Changes of the step: its rate, its schedule, the length of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nndiag.attach.interventions.base import Intervention, trained_models
from nndiag.attach.patches import Patches
from nndiag.schema.observation import BY_HAND, Observation, OptimizerRecord


def main_optimizer(observation: Observation) -> OptimizerRecord | None:
    """Return the optimizer that stepped most."""
    return max(observation.optimizers, key=lambda one: one.steps, default=None)


class _OtherRate(Intervention):
    """Steps at another rate; between steps the groups hold the script's own, for schedulers."""

    def __init__(self) -> None:
        super().__init__()
        self._own: list[tuple[dict[str, Any], Any]] = []

    def rate(self, group: dict[str, Any]) -> Any:
        """Return the rate of a group for the coming step."""
        raise NotImplementedError

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._restore()  # the last step may have ended in an exception
        for group in optimizer.param_groups:
            if group.get("lr") is not None:
                self._own.append((group, group["lr"]))
                group["lr"] = self.rate(group)
                self.changes += 1

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._restore()

    def _restore(self) -> None:
        for group, own in self._own:
            group["lr"] = own
        self._own.clear()


class ScaledRate(_OtherRate):
    """Learning rate times a factor, whatever schedule there is."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.name = f"lr*{factor:g}"

    def rate(self, group: dict[str, Any]) -> Any:
        return group["lr"] * self.factor

    def on_backward(self, loss: Tensor) -> None:
        if self.by_hand:  # the gradient is all of a step that can be reached
            loss.register_hook(lambda gradient: gradient * self.factor)
            self.changes += 1

    def snippet(self, observation: Observation) -> str:
        found = main_optimizer(observation)
        first = float(found.lr.values[0]) if found is not None and len(found.lr) else 0.0
        if found is None or not first:
            return f"lr = {self.factor:g} * lr"
        if found.kind == BY_HAND:
            return f"- lr = {first:.3g}\n+ lr = {first * self.factor:.3g}"
        own = found.options.get("initial_lr")
        base = float(own) if own else first
        return (
            f"- torch.optim.{found.kind}(..., lr={base:g})\n"
            f"+ torch.optim.{found.kind}(..., lr={base * self.factor:g})"
        )


class ConstantRate(_OtherRate):
    """No schedule: each group keeps the rate that it began with."""

    name = "constant_lr"

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[int, Any] = {}

    def rate(self, group: dict[str, Any]) -> Any:
        first = self._first.setdefault(id(group), group.get("initial_lr") or group["lr"])
        return first

    def snippet(self, observation: Observation) -> str:
        return "- scheduler.step()"


class ClippedNorm(Intervention):
    """Gradients clipped to a total norm, in place of any clipping that the script does."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.name = f"clip_norm={limit:g}"
        self._replaced = False

    @contextmanager
    def _own_clipping_off(self) -> Iterator[None]:
        patches = Patches()

        def only_measured(original: Callable[..., Any]) -> Callable[..., Any]:
            def measure(parameters: Any, *args: Any, **kwargs: Any) -> Tensor:
                self._replaced = True
                listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
                grads = [one.grad for one in listed if one.grad is not None]
                return nn.utils.get_total_norm(grads)

            return measure

        for home in (nn.utils, nn.utils.clip_grad):
            for name in ("clip_grad_norm_", "clip_grad_value_"):
                patches.wrap(home, name, only_measured)
        try:
            yield
        finally:
            patches.undo()

    def active(self) -> Any:
        return self._own_clipping_off()

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        moved = [p for p in held if p.grad is not None]
        if moved:
            total = nn.utils.get_total_norm([p.grad for p in moved if p.grad is not None])
            nn.utils.clip_grads_with_norm_(moved, self.limit, total)
            self.changes += 1

    def snippet(self, observation: Observation) -> str:
        clip = next((o.clip for o in observation.optimizers if o.clip is not None), None)
        models = trained_models(observation)
        name = models[0].name if models else "model"
        new = f"+ nn.utils.clip_grad_norm_({name}.parameters(), {self.limit:g})"
        if clip is None:
            return f"  loss.backward()\n{new}\n  optimizer.step()"
        return f"- nn.utils.clip_grad_{clip.kind}_({name}.parameters(), {clip.limit:g})\n{new}"
