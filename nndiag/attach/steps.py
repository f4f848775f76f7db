"""Steps of optimizers, and the calls around them: clearing, clipping, scaling, scheduling."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim import optimizer as torch_optimizer
from torch.utils.hooks import RemovableHandle

from nndiag.attach.by_hand import ByHand
from nndiag.attach.intervening import Intervening
from nndiag.attach.models import ModelWatch
from nndiag.attach.optimizers import OptimizerWatch
from nndiag.attach.patches import Patches

Around = Callable[[Callable[..., Any]], Callable[..., Any]]


class Steps:
    """Follows every optimizer through global hooks.

    Args:
        models: returns the models watched so far.
        foreign: whether a call is not the script's own thread's.
        interventions: changes that act around a step.
        beginning: told which optimizer is about to make its first or second step.
        finished: told which optimizer has ended a step.
        only: optimizers to heed; None for all.
    """

    def __init__(
        self,
        models: Callable[[], Sequence[ModelWatch]],
        foreign: Callable[[], bool],
        interventions: Sequence[Intervening],
        beginning: Callable[[OptimizerWatch], None],
        finished: Callable[[OptimizerWatch], None],
        only: Iterable[torch.optim.Optimizer] | None,
    ) -> None:
        self._models, self._foreign = models, foreign
        self._interventions = interventions
        self._beginning, self._finished = beginning, finished
        self._only = None if only is None else {id(one) for one in only}
        self._watches: dict[int, OptimizerWatch] = {}
        self._prepared: list[tuple[ModelWatch, bool]] = []
        self._intervening = False
        self.taken = 0
        self.backwards = 0

    @property
    def optimizers(self) -> list[OptimizerWatch]:
        """All that were met, in order."""
        return list(self._watches.values())

    def attach(self, patches: Patches) -> list[RemovableHandle]:
        """Put hooks and wrappers on."""
        patches.wrap(torch.optim.Optimizer, "zero_grad", self._around_zero_grad)
        patches.wrap(torch.amp.GradScaler, "step", self._around_scaler_step)
        for home in (nn.utils, nn.utils.clip_grad):
            patches.wrap(home, "clip_grad_norm_", self._around_clip_norm)
            patches.wrap(home, "clip_grad_value_", self._around_clip_value)
        for kind in vars(lr_scheduler).values():
            if isinstance(kind, type) and "step" in vars(kind):
                patches.wrap(kind, "step", self._around_scheduler)
        return [
            torch_optimizer.register_optimizer_step_pre_hook(self._before),
            torch_optimizer.register_optimizer_step_post_hook(self._after),
        ]

    def watch_of(self, optimizer: torch.optim.Optimizer | ByHand) -> OptimizerWatch:
        """Return the watch of an optimizer, made where it is new."""
        while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
            optimizer = inner  # a wrapper, such as Accelerate's
        found = self._watches.get(id(optimizer))
        if found is None:
            found = self._watches[id(optimizer)] = OptimizerWatch(optimizer)
        return found

    # -- steps --------------------------------------------------------------------------------

    def _heeds(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether a step counts: not one that an intervention makes by an optimizer of its own."""
        known = self._only is None or id(optimizer) in self._only
        return known and not self._intervening and not self._foreign()

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._heeds(optimizer):
            return
        watch = self.watch_of(optimizer)
        if watch.steps < 2:
            self._beginning(watch)
        watch.before_step(self.taken + 1)
        for intervention in self._interventions:
            intervention.before_step(optimizer)
        held = watch.held
        self._prepared = [(model, self._ends(model, watch, held)) for model in self._moved(held)]
        for model, ends in self._prepared:
            model.before_step(held, ends=ends)

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._heeds(optimizer):
            return
        watch = self.watch_of(optimizer)
        held = watch.held
        for model, ends in self._prepared:
            model.after_step(held, ends=ends)
        for model in self._moved(held):
            if all(model is not known for known, _ends in self._prepared):
                model.end_step(held)
        self._intervening = True
        try:
            for intervention in self._interventions:
                intervention.after_step(optimizer)
        finally:
            self._intervening = False
        self._finish(watch)

    @property
    def just_made(self) -> bool:
        """Whether the last step was a torch optimizer's and no backward pass has begun since."""
        return any(
            watch.last_step == self.taken and watch.backwards_seen == self.backwards
            for watch in self._watches.values()
            if not watch.by_hand
        )

    @property
    def in_turns(self) -> bool:
        """Whether optimizers step in turns, not one after the end of another."""
        stepped = sorted(
            (watch for watch in self._watches.values() if watch.steps),
            key=lambda watch: watch.first_step,
        )
        return any(one.last_step > other.first_step for one, other in pairwise(stepped))

    @property
    def all_by_hand(self) -> bool:
        """Whether no torch optimizer has been met."""
        return all(watch.by_hand for watch in self._watches.values())

    def by_hand(self, stand_in: ByHand, *, looked: bool = False) -> None:
        """End a step that no torch optimizer makes.

        Args:
            looked: the models took a look at their weights before it.
        """
        watch = self.watch_of(stand_in)
        watch.before_step(self.taken + 1)
        for model in self._models():
            if looked:
                model.after_step(watch.held, ends=True)
            else:
                model.end_step(watch.held)
        self._finish(watch)

    def _finish(self, watch: OptimizerWatch) -> None:
        self.taken += 1
        watch.after_step(self.taken, self.backwards)
        self._finished(watch)

    def _moved(self, held: Collection[int]) -> list[ModelWatch]:
        return [
            model
            for model in self._models()
            if any(id(parameter) in held for parameter in model.model.parameters())
        ]

    def _ends(self, model: ModelWatch, optimizer: OptimizerWatch, held: Collection[int]) -> bool:
        """Whether this optimizer's step ends the model's.

        Of those that step in turns it is the one with most of the model's parameters.
        """
        turns = [one for one in self._watches.values() if one.last_step > optimizer.last_step]
        if not turns:
            return True
        own = [id(parameter) for parameter in model.model.parameters()]
        share = sum(key in held for key in own)
        return all(share >= sum(key in other.held for key in own) for other in turns)

    def before_backward(self) -> None:
        """Take in that a backward pass begins."""
        for optimizer in self._watches.values():
            optimizer.before_backward()
        self.backwards += 1

    # -- calls around a step ------------------------------------------------------------------

    def _around_zero_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._intervening and not self._foreign():
                self.watch_of(optimizer).cleared()
            return original(optimizer, *args, **kwargs)

        return zero_grad

    def _around_scheduler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            optimizer = getattr(scheduler, "optimizer", None)
            started = getattr(scheduler, "_step_count", 1)  # the first call is its constructor's
            if isinstance(optimizer, torch.optim.Optimizer) and started and not self._foreign():
                counts = self.watch_of(optimizer).schedulers
                kind = type(scheduler).__name__
                counts[kind] = counts.get(kind, 0) + 1
            return original(scheduler, *args, **kwargs)

        return step

    def _around_scaler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            watch = self.watch_of(optimizer)
            before = watch.steps
            result = original(scaler, optimizer, *args, **kwargs)
            watch.skipped += watch.steps == before
            return result

        return step

    def _around_clip_norm(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grad_norm_(parameters: Any, max_norm: float, *args: Any, **kwargs: Any) -> Any:
            parameters = _listed(parameters)
            total = original(parameters, max_norm, *args, **kwargs)
            if isinstance(total, Tensor) and not self._foreign():
                for watch in self._holding(parameters):
                    watch.clipped("norm", float(max_norm), total)
            return total

        return clip_grad_norm_

    def _around_clip_value(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grad_value_(parameters: Any, clip_value: float, *args: Any, **kwargs: Any) -> Any:
            parameters = _listed(parameters)
            grads = [p.grad.detach() for p in parameters if p.grad is not None]
            if grads and not self._foreign():
                largest = torch.stack([gradient.abs().max() for gradient in grads]).max()
                for watch in self._holding(parameters):
                    watch.clipped("value", float(clip_value), largest)
            return original(parameters, clip_value, *args, **kwargs)

        return clip_grad_value_

    def moved(self, parameter: Tensor) -> bool:
        """Whether a step of an optimizer that holds it was seen."""
        return any(watch.steps for watch in self._holding([parameter]))

    def _holding(self, parameters: Sequence[Tensor]) -> list[OptimizerWatch]:
        keys = {id(parameter) for parameter in parameters}
        return [watch for watch in self._watches.values() if watch.held & keys]


def _listed(parameters: Any) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)
