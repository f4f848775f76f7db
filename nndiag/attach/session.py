"""One training of the user's, watched through torch's own global hooks.

Nothing of the training changes: no random number is drawn, no mode or gradient touched, and inside
a step no device is waited for.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.optim import lr_scheduler
from torch.optim import optimizer as torch_optimizer
from torch.utils.hooks import RemovableHandle

from nndiag.attach import losses as loss_calls
from nndiag.attach.evaluation import Evaluations
from nndiag.attach.inputs import first_float
from nndiag.attach.losses import TrainingLosses, right_answers
from nndiag.attach.models import ModelWatch, stray_record
from nndiag.attach.optimizers import OptimizerWatch
from nndiag.attach.patches import Patches
from nndiag.attach.run_series import gradient_norm, update_ratio
from nndiag.attach.series import Recorder
from nndiag.schema.observation import (
    ErrorRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    ParameterRecord,
)
from nndiag.schema.trace import STATISTICS


class Enough(BaseException):
    """The steps asked for are done. No `except Exception` of the script's catches it."""


class Intervening(Protocol):
    """A change made at run time; what `nndiag.attach.interventions` builds."""

    def on_model(self, model: nn.Module) -> None: ...
    def on_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]: ...
    def on_backward(self, loss: Tensor) -> None: ...
    def on_loss(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None: ...
    def before_step(self, optimizer: torch.optim.Optimizer) -> None: ...
    def after_step(self, optimizer: torch.optim.Optimizer) -> None: ...


class Session:
    """Watches everything that trains inside the `with` block.

    Args:
        every: record layer statistics at each so-many-th step.
        statistics: those of `nndiag.schema.trace.STATISTICS` to record, None for all.
        steps: end the training with `Enough` after so many optimizer steps, None for never.
        interventions: changes to make on the way.
        told: called after each step with its number and the newest loss known on the host.
        only: watch these models and no others.
    """

    def __init__(
        self,
        *,
        every: int = 1,
        statistics: Collection[str] | None = None,
        steps: int | None = None,
        interventions: Sequence[Intervening] = (),
        told: Callable[[int, float], None] | None = None,
        only: Iterable[nn.Module] | None = None,
    ) -> None:
        self._every, self._statistics = every, statistics or STATISTICS
        self._limit, self._interventions, self._told = steps, interventions, told
        self._only = None if only is None else list(only)
        self._thread = threading.get_ident()
        self._patches = Patches()
        self._handles: list[RemovableHandle] = []
        self._models: list[ModelWatch] = []
        self._optimizers: dict[int, OptimizerWatch] = {}
        self._stack: list[nn.Module] = []
        self._parents: weakref.WeakKeyDictionary[nn.Module, weakref.ref[nn.Module]] = (
            weakref.WeakKeyDictionary()
        )
        self._ran: set[int] = set()
        self._stray: dict[int, tuple[str, nn.Module]] = {}
        self._loaded: set[int] = set()
        self._losses = TrainingLosses()
        self._accuracy = Recorder()
        self._answers: list[Tensor] = []
        self._evaluations = Evaluations()
        self._fresh: list[Tensor] = []
        self._called_losses = 0
        self._unscaled: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}
        self._notes: list[str] = []
        self._failed_in: nn.Module | None = None
        self._taught = 0
        self._inside_step = False
        self._prepared: list[tuple[ModelWatch, bool]] = []
        self.steps = 0
        self.backwards = 0
        self._started = time.perf_counter()

    # -- on and off ---------------------------------------------------------------------------

    def __enter__(self) -> Session:
        try:
            self._attach()
        except BaseException:
            self._detach()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._detach()

    def _attach(self) -> None:
        add = self._handles.append
        add(torch_module.register_module_forward_pre_hook(self._enter_module))
        add(torch_module.register_module_forward_hook(self._leave_module, always_call=True))
        add(torch_module.register_module_module_registration_hook(self._registered))
        add(torch_optimizer.register_optimizer_step_pre_hook(self._before_step))
        add(torch_optimizer.register_optimizer_step_post_hook(self._after_step))
        wrap = self._patches.wrap
        wrap(torch.autograd, "backward", self._around_backward)
        for function in loss_calls.FUNCTIONS:
            wrap(nn.functional, function, partial(self._around_loss, function))
        wrap(torch.optim.Optimizer, "zero_grad", self._around_zero_grad)
        wrap(nn.Module, "load_state_dict", self._around_load)
        wrap(torch.amp.GradScaler, "scale", self._around_scale)
        wrap(torch.amp.GradScaler, "step", self._around_scaler_step)
        for home in (nn.utils, nn.utils.clip_grad):
            wrap(home, "clip_grad_norm_", self._around_clip_norm)
            wrap(home, "clip_grad_value_", self._around_clip_value)
        for kind in vars(lr_scheduler).values():
            if isinstance(kind, type) and "step" in vars(kind):
                wrap(kind, "step", self._around_scheduler)
        owner: Any
        for owner, name in ((Tensor, "argmax"), (torch, "argmax"), (Tensor, "max"), (torch, "max")):
            wrap(owner, name, self._around_choice)
        for owner, name in ((Tensor, "__eq__"), (Tensor, "eq"), (torch, "eq")):
            wrap(owner, name, self._around_equal)

    def _detach(self) -> None:
        self._patches.undo()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for model in self._models:
            model.close()

    def _foreign(self) -> bool:
        """Whether the call comes from another thread or from the compiler."""
        return torch.compiler.is_compiling() or threading.get_ident() != self._thread

    # -- modules ------------------------------------------------------------------------------

    def _registered(self, owner: nn.Module, name: str, module: nn.Module | None) -> None:
        if isinstance(module, nn.Module):
            self._parents[module] = weakref.ref(owner)

    def _enter_module(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._foreign():
            return
        self._stack.append(module)
        self._ran.add(id(module))
        if len(self._stack) == 1:
            self._enter_root(module, args)
        elif self._only is None:
            self._look_for_stray(module)

    def _enter_root(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        grad = torch.is_grad_enabled()
        known = self._watch_of(module)
        if known is None and (watch := self._new_model(module)) is not None:
            watch.begin_inside(args)
            known = watch
        elif known is not None and known.model is not module:
            known.part_called(module, args)
        if known is None:
            return
        x = first_float(args, {})
        if not grad:
            self._evaluations.met(x)
        elif x is not None and module.training:
            self._evaluations.learn(x)

    def _leave_module(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._foreign():
            return
        if output is None and sys.exc_info()[0] is not None and self._failed_in is None:
            self._failed_in = module
        while self._stack:
            if self._stack.pop() is module:
                break
        if not self._stack and output is not None:
            for watch in self._models:
                watch.leaves(module, output)

    def _watch_of(self, module: nn.Module) -> ModelWatch | None:
        for watch in self._models:
            if watch.owns(module):
                return watch
        return None

    def _new_model(self, module: nn.Module) -> ModelWatch | None:
        """Return a watch for the model that the module stands for, None where nothing can learn."""
        if self._only is not None:
            return None
        model = module if any(True for _child in module.children()) else self._whole(module)
        if not any(True for _p in model.parameters()):
            return None
        if not torch.is_grad_enabled() and not self.steps:
            pass  # a look at an untrained model: it is watched all the same
        return self._watch(model)

    def _watch(self, model: nn.Module) -> ModelWatch:
        for intervention in self._interventions:
            intervention.on_model(model)
        if self._interventions:
            model.register_forward_pre_hook(self._change_input, with_kwargs=True)
        inside = [watch for watch in self._models if any(watch.model is m for m in model.modules())]
        for watch in inside:  # parts called on their own before the whole
            watch.close()
            self._models.remove(watch)
        watch = ModelWatch(
            model,
            every=self._every,
            statistics=self._statistics,
            step=lambda: self.steps,
            late=bool(inside),
        )
        self._models.append(watch)
        return watch

    def add(self, model: nn.Module) -> None:
        """Watch a model before its first pass."""
        self._watch(model)

    def _whole(self, leaf: nn.Module) -> nn.Module:
        """Return the outermost module around a layer: `model.forward(x)` calls no model."""
        module = leaf
        while (owner := self._parents.get(module)) is not None:
            above = owner()
            if above is None or not any(child is module for child in above.children()):
                break
            module = above
        return module

    def _look_for_stray(self, module: nn.Module) -> None:
        """Note a layer that runs inside a model without being among its modules."""
        root = self._stack[0]
        if id(module) in self._stray or not module._parameters or not self._models:
            return
        watch = self._watch_of(root)
        if watch is not None and not watch.owns(module):
            inside = dict(watch.model.named_modules())
            if not any(module is inner for inner in inside.values()):
                name = f"{type(module).__name__}-{len(self._stray) + 1}"
                self._stray[id(module)] = (name, module)

    def _change_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for intervention in self._interventions:
            args, kwargs = intervention.on_input(model, args, kwargs)
        return args, kwargs

    # -- losses -------------------------------------------------------------------------------

    def _replaced(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None:
        for intervention in self._interventions:
            value = intervention.on_loss(function, scores, target, call)
            if value is not None:
                return value
        return None

    def _loss_called(self, function: str, scores: Tensor, target: Tensor, value: Any) -> None:
        if self._foreign() or not isinstance(value, Tensor):
            return
        if scores.requires_grad and torch.is_grad_enabled():
            self._called_losses += 1
            self._losses.note(function, scores, target)
            found = right_answers(function, scores.detach(), target.detach())
            if found is not None:
                self._answers.append(found[0] / max(found[1], 1))
        else:
            self._evaluations.note_loss(function, scores, target, value)

    def _around_loss(self, function: str, original: Callable[..., Any]) -> Callable[..., Any]:
        return loss_calls.looking(function, original, self._loss_called, self._replaced)

    def _around_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if self._foreign():
                return original(tensors, *args, **kwargs)
            roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
            scalars = [root for root in roots if isinstance(root, Tensor) and root.numel() == 1]
            for root in scalars:
                self._before_backward(root)
            return original(tensors, *args, **kwargs)

        return backward

    def _before_backward(self, root: Tensor) -> None:
        for optimizer in self._optimizers.values():
            optimizer.before_backward()
        for intervention in self._interventions:
            intervention.on_backward(root)
        self.backwards += 1
        loss = self._without_scale(root)
        self._losses.note_root(loss, self._called_losses > 0)
        self._called_losses = 0
        self._fresh.append(loss.detach())
        if len(self._fresh) > 64:
            del self._fresh[0]
        for watch in self._models:
            watch.goes_backward(root, loss)

    def _without_scale(self, root: Tensor) -> Tensor:
        known = self._unscaled.pop(id(root), None)
        return known[1] if known is not None and known[0]() is root else root

    def _around_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def scale(scaler: Any, outputs: Any) -> Any:
            scaled = original(scaler, outputs)
            if isinstance(outputs, Tensor) and scaled is not outputs:
                self._unscaled.clear()
                self._unscaled[id(scaled)] = (weakref.ref(scaled), outputs)
                for watch in self._models:
                    if watch.probe is not None:
                        watch.probe.unscale(scaler)
            return scaled

        return scale

    # -- optimizers ---------------------------------------------------------------------------

    def _watch_optimizer(self, optimizer: torch.optim.Optimizer) -> OptimizerWatch:
        while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
            optimizer = inner  # a wrapper, such as Accelerate's
        found = self._optimizers.get(id(optimizer))
        if found is None:
            found = self._optimizers[id(optimizer)] = OptimizerWatch(optimizer)
        return found

    def _ends(self, watch: ModelWatch, optimizer: OptimizerWatch, held: set[int]) -> bool:
        """Whether this optimizer's step ends the model's: of those that step in turns, it holds
        most of the model's parameters."""
        own = [id(parameter) for parameter in watch.model.parameters()]
        share = sum(key in held for key in own)
        turns = [o for o in self._optimizers.values() if o.last_step > optimizer.last_step]
        return all(share >= sum(key in other.held for key in own) for other in turns)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._foreign() or self._ours(optimizer):
            return
        watch = self._watch_optimizer(optimizer)
        watch.before_step(self.steps + 1)
        for intervention in self._interventions:
            intervention.before_step(optimizer)
        held = watch.held
        self._prepared = self._stepped(watch, held)
        for model, ends in self._prepared:
            model.before_step(held, ends=ends)

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._foreign() or self._ours(optimizer):
            return
        watch = self._watch_optimizer(optimizer)
        held = watch.held
        for model, ends in self._prepared:
            model.after_step(held, ends=ends)
        for model, _ends in self._stepped(watch, held):
            if all(model is not known for known, _e in self._prepared):
                model.first_seen_in_closure(held)
        self._inside_step = True
        try:
            for intervention in self._interventions:
                intervention.after_step(optimizer)
        finally:
            self._inside_step = False
        self._evaluations.step_taken()
        self.steps += 1
        self._evaluations.at(self.steps)
        if self._fresh:
            watch.losses.add(self.steps, torch.stack([f.reshape(()) for f in self._fresh]).mean())
            self._fresh.clear()
        if self._answers:
            self._accuracy.add(self.steps, torch.stack(self._answers).mean())
            self._answers.clear()
        watch.after_step(self.steps, self.backwards)
        if self._told is not None:
            self._told(self.steps, watch.losses.newest)
        if self._limit is not None and self.steps >= self._limit:
            raise Enough

    def _ours(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether an intervention steps an optimizer of its own."""
        return self._inside_step

    def _stepped(self, optimizer: OptimizerWatch, held: set[int]) -> list[tuple[ModelWatch, bool]]:
        return [
            (model, self._ends(model, optimizer, held))
            for model in self._models
            if any(id(parameter) in held for parameter in model.model.parameters())
        ]

    def _around_zero_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._foreign() and not self._inside_step:
                self._watch_optimizer(optimizer).cleared()
            return original(optimizer, *args, **kwargs)

        return zero_grad

    def _around_scheduler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            optimizer = getattr(scheduler, "optimizer", None)
            started = getattr(scheduler, "_step_count", 1)  # the first call is its constructor's
            if isinstance(optimizer, torch.optim.Optimizer) and started and not self._foreign():
                counts = self._watch_optimizer(optimizer).schedulers
                kind = type(scheduler).__name__
                counts[kind] = counts.get(kind, 0) + 1
            return original(scheduler, *args, **kwargs)

        return step

    def _around_scaler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            watch = self._watch_optimizer(optimizer)
            before = watch.steps
            result = original(scaler, optimizer, *args, **kwargs)
            watch.skipped += watch.steps == before
            return result

        return step

    def _around_clip_norm(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grad_norm_(parameters: Any, max_norm: float, *args: Any, **kwargs: Any) -> Any:
            parameters = _listed(parameters)
            total = original(parameters, max_norm, *args, **kwargs)
            if not self._foreign() and isinstance(total, Tensor):
                for watch in self._holding(parameters):
                    watch.clipped("norm", float(max_norm), total)
            return total

        return clip_grad_norm_

    def _around_clip_value(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grad_value_(parameters: Any, clip_value: float, *args: Any, **kwargs: Any) -> Any:
            parameters = _listed(parameters)
            grads = [p.grad.detach() for p in parameters if p.grad is not None]
            if grads and not self._foreign():
                largest = torch.stack([g.abs().max() for g in grads]).max()
                for watch in self._holding(parameters):
                    watch.clipped("value", float(clip_value), largest)
            return original(parameters, clip_value, *args, **kwargs)

        return clip_grad_value_

    def _holding(self, parameters: Sequence[Tensor]) -> list[OptimizerWatch]:
        keys = {id(parameter) for parameter in parameters}
        return [watch for watch in self._optimizers.values() if watch.held & keys]

    def _around_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            self._loaded.update(id(parameter) for parameter in module.parameters())
            return original(module, *args, **kwargs)

        return load_state_dict

    # -- answers compared with labels -----------------------------------------------------------

    def _around_choice(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def choose(scores: Any, *args: Any, **kwargs: Any) -> Any:
            chosen = original(scores, *args, **kwargs)
            if torch.compiler.is_compiling() or torch.is_grad_enabled():
                return chosen
            indices = chosen if isinstance(chosen, Tensor) else getattr(chosen, "indices", None)
            if isinstance(indices, Tensor) and not indices.is_floating_point() and indices.ndim:
                self._evaluations.note_prediction(indices)
            return chosen

        return choose

    def _around_equal(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def equal(one: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(one, other, *args, **kwargs)
            if torch.compiler.is_compiling() or torch.is_grad_enabled():
                return result
            if isinstance(other, Tensor) and isinstance(result, Tensor):
                self._evaluations.note_comparison(one, other, result)
            return result

        return equal

    # -- the record ---------------------------------------------------------------------------

    def observation(
        self,
        *,
        namespace: Mapping[str, Any] | None = None,
        error: BaseException | None = None,
        stopped: bool = False,
        interrupted: bool = False,
    ) -> Observation:
        """Return everything seen so far (waits for the device).

        Args:
            namespace: the script's global variables, for the names of its models.
            error: the exception that ended it.
        """
        names = self._names(namespace or {})
        held = {key for optimizer in self._optimizers.values() for key in optimizer.held}
        watches = [w for w in self._models if w.learns(held)] or self._models
        records = [
            self._with_stray(
                watch, watch.record(names[id(watch.model)], self._ran, self._loaded, held), held
            )
            for watch in watches
        ]
        notes = [note for w in self._models if w.probe is not None for note in w.probe.notes]
        alone = len([o for o in self._optimizers.values() if o.steps]) == 1
        return Observation(
            steps=self.steps,
            backwards=self.backwards,
            seconds=time.perf_counter() - self._started,
            models=tuple(records),
            optimizers=tuple(self._optimizer_records(watches, records)),
            losses=self._losses.records(),
            labels=self._losses.labels() if alone else None,
            evaluations=self._evaluations.records(),
            accuracy=self._accuracy.series(),
            error=None if error is None else self._error(error),
            stopped=stopped,
            interrupted=interrupted,
            notes=tuple(dict.fromkeys([*self._notes, *notes])),
        )

    def _names(self, namespace: Mapping[str, Any]) -> dict[int, str]:
        known = {id(value): name for name, value in reversed(list(namespace.items()))}
        names = {}
        for watch in self._models:
            kind = type(watch.model).__name__
            own = known.get(id(watch.model))
            names[id(watch.model)] = own if own and own.isidentifier() else kind.lower()
        return names

    def _with_stray(self, watch: ModelWatch, record: ModelRecord, held: set[int]) -> ModelRecord:
        if watch is not self._models[0] or not self._stray:
            return record
        extra: list[ParameterRecord] = [
            stray_record(f"{name}.{key}", parameter, held)
            for name, module in self._stray.values()
            for key, parameter in module.named_parameters(recurse=False)
        ]
        return replace(record, parameters=(*record.parameters, *extra))

    def _optimizer_records(
        self, watches: Sequence[ModelWatch], records: Sequence[ModelRecord]
    ) -> Iterable[OptimizerRecord]:
        own = {id(p) for watch in self._models for p in watch.model.parameters()}
        own |= {id(p) for _n, module in self._stray.values() for p in module.parameters()}
        for optimizer in self._optimizers.values():
            held = optimizer.held
            mine = [
                record
                for watch, record in zip(watches, records, strict=True)
                if any(id(p) in held for p in watch.model.parameters())
            ]
            trace = mine[0].trace if mine else None
            yield optimizer.record(
                [record.name for record in mine], own, gradient_norm(trace), update_ratio(trace)
            )

    def _error(self, error: BaseException) -> ErrorRecord:
        layer = None
        if self._failed_in is not None:
            for watch in self._models:
                for name, module in watch.model.named_modules():
                    if module is self._failed_in:
                        layer = name or type(module).__name__
        return ErrorRecord(
            kind=type(error).__name__, message=str(error), step=self.steps, layer=layer
        )


def _listed(parameters: Any) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)
