"""One training of the user's, watched through torch's own global hooks.

Nothing of the training changes: no random number is drawn, no mode or gradient touched, and inside
a step no device is waited for.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.utils.hooks import RemovableHandle

from nndiag.attach import discretion
from nndiag.attach import losses as loss_calls
from nndiag.attach.by_hand import HandUpdates, Tensors
from nndiag.attach.calls import Calls
from nndiag.attach.evaluation import Evaluations
from nndiag.attach.intervening import Intervening
from nndiag.attach.losses import TrainingLosses, right_answers
from nndiag.attach.models import ModelWatch, stray_record
from nndiag.attach.optimizers import OptimizerWatch
from nndiag.attach.patches import Patches
from nndiag.attach.run_series import applied_rate, gradient_norm, update_ratio
from nndiag.attach.series import Recorder
from nndiag.attach.steps import Steps
from nndiag.locales import _
from nndiag.probe.tracing import tracing, transformed
from nndiag.schema.observation import ErrorRecord, ModelRecord, Observation, OptimizerRecord
from nndiag.schema.trace import STATISTICS

_MOST_FRESH = 64  # backward passes whose losses count for one step


class Enough(BaseException):
    """The steps asked for are done. No `except Exception` of the script's catches it."""


class Session:
    """Watches everything that trains inside the `with` block.

    Args:
        every: record layer statistics at each so-many-th step.
        statistics: those of `nndiag.schema.trace.STATISTICS` to record, None for all.
        steps: end the training with `Enough` after so many optimizer steps, None for never.
        interventions: changes to make on the way.
        told: called after each step with its number and the newest loss known on the host.
        only: watch these models and no others.
        optimizers: heed these optimizers and no others.
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
        optimizers: Iterable[torch.optim.Optimizer] | None = None,
    ) -> None:
        self._every, self._statistics = every, STATISTICS if statistics is None else statistics
        self._limit, self._interventions, self._told = steps, interventions, told
        self._thread = threading.get_ident()
        self._patches = Patches()
        self._handles: list[RemovableHandle] = []
        self._steps = Steps(
            lambda: self._calls.models,
            self._foreign,
            interventions,
            self._step_begins,
            self._step_ended,
            optimizers,
        )
        only = None if only is None else list(only)
        self._calls = Calls(self._new_watch, self._foreign, self._passing, only, self._change_first)
        self._by_hand = HandUpdates(
            lambda: self._calls.open and self._steps.all_by_hand,
            self._look_at_weights,
            lambda: self._steps.by_hand(self._by_hand.stand_in, looked=True),
            self._adopt,
            [p for model in only or () for p in model.parameters()],
        )
        self._loaded: set[int] = set()
        self._losses = TrainingLosses()
        self._accuracy = Recorder()
        self._answers: list[Tensor] = []
        self._evaluations = Evaluations()
        self._fresh: list[Tensor] = []
        self._called_losses = self._free_passes = 0
        self._transformed = False
        self._unscaled: tuple[weakref.ref[Tensor], Tensor] | None = None
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
        self._limit = None  # the training is over
        try:
            self._by_hand.see()
        finally:
            self._detach()

    def _attach(self) -> None:
        wrap = self._patches.wrap
        self._handles += self._calls.attach()
        self._handles += self._steps.attach(self._patches)
        wrap(torch.autograd, "backward", self._around_backward)
        wrap(torch.autograd, "grad", self._around_grad)
        for function in loss_calls.FUNCTIONS:
            wrap(nn.functional, function, partial(self._around_loss, function))
        wrap(nn.Module, "load_state_dict", self._around_load)
        wrap(nn.Parameter, "__deepcopy__", self._around_copy)
        wrap(nn.Module, "__reduce_ex__", discretion.reducing)
        for name in ("script", "trace", "trace_module"):
            wrap(torch.jit, name, discretion.scripting)
        wrap(torch.amp.GradScaler, "scale", self._around_scale)
        self._evaluations.attach(self._patches)

    def _detach(self) -> None:
        self._patches.undo()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for model in self._calls.models:
            model.close()

    def _foreign(self) -> bool:
        """Whether the call comes from another thread, the compiler or a transform of torch.func."""
        if torch.compiler.is_compiling() or threading.get_ident() != self._thread or tracing():
            return True
        if transformed():
            self._transformed = True
            return True
        return False

    # -- models -------------------------------------------------------------------------------

    def _new_watch(self, model: nn.Module, late: bool) -> ModelWatch:
        for intervention in self._interventions:
            intervention.on_model(model)
        if self._interventions and not isinstance(model, torch.jit.ScriptModule):
            model.register_forward_pre_hook(self._change_input, with_kwargs=True)
        return ModelWatch(
            model,
            every=self._every,
            statistics=self._statistics,
            step=lambda: self._steps.taken,
            late=late,
        )

    def _change_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for intervention in self._interventions:
            args, kwargs = intervention.on_input(model, args, kwargs)
        return args, kwargs

    def _change_first(self, model: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return self._change_input(model, args, {})[0] if self._interventions else None

    def _passing(self, x: Tensor | None, grad: bool, training: bool) -> None:
        self._by_hand.see()
        if not grad:
            self._free_passes += 1
            self._evaluations.met(x)
        elif x is not None and training:
            self._evaluations.learn(x)

    def _around_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            self._loaded.update(id(parameter) for parameter in module.parameters())
            return original(module, *args, **kwargs)

        return load_state_dict

    def _around_copy(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def deepcopy(parameter: nn.Parameter, memo: dict[int, Any]) -> Any:
            copied = original(parameter, memo)
            if id(parameter) in self._loaded or self._steps.moved(parameter):
                self._loaded.add(id(copied))
            return copied

        return deepcopy

    # -- losses -------------------------------------------------------------------------------

    def _around_loss(self, function: str, original: Callable[..., Any]) -> Callable[..., Any]:
        return loss_calls.looking(function, original, self._loss_called, self._replaced)

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
        training = scores.requires_grad and torch.is_grad_enabled()
        if training:
            self._called_losses += 1
            self._losses.note(function, scores, target)
        squashed = self._losses.squashed(function)
        if not training:
            self._evaluations.note_loss(function, scores, target, value, squashed=squashed)
            return
        found = right_answers(function, scores.detach(), target.detach(), squashed=squashed)
        if found is not None:
            self._answers.append(found[0] / max(found[1], 1))

    def _around_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._foreign():
                roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
                for root in roots:
                    if isinstance(root, Tensor) and root.numel() == 1:
                        self._before_backward(root)
            result = original(tensors, *args, **kwargs)
            if not self._foreign():
                self._by_hand.after_backward()
            return result

        return backward

    def _around_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            single = isinstance(inputs, Tensor | GradientEdge)
            wanted = (inputs,) if single else tuple(inputs)  # a generator is read once
            create_graph = bool(kwargs.get("create_graph") or args[2:3] == (True,))
            root = None
            if not self._foreign():
                root = self._by_hand.asks(outputs, wanted, create_graph)
            if root is not None:
                self._before_backward(root)
            result = original(outputs, wanted, *args, **kwargs)
            if root is not None:
                pairs = zip(wanted, result, strict=False)
                self._by_hand.after_backward({id(w): g for w, g in pairs if g is not None})
            return result

        return grad

    def _before_backward(self, root: Tensor) -> None:
        self._by_hand.before_backward(root)
        self._steps.before_backward()
        for intervention in self._interventions:
            intervention.on_backward(root)
        loss = self._without_scale(root)
        self._losses.note_root(loss, self._called_losses > 0)
        self._called_losses = 0
        self._fresh = [*self._fresh[1 - _MOST_FRESH :], loss.detach()]
        for watch in self._calls.models:
            watch.goes_backward(root, loss)

    def _around_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def scale(scaler: Any, outputs: Any) -> Any:
            scaled = original(scaler, outputs)
            if isinstance(outputs, Tensor) and scaled is not outputs:
                self._unscaled = (weakref.ref(scaled), outputs)
                for watch in self._calls.models:
                    watch.unscale(scaler)
            return scaled

        return scale

    def _without_scale(self, root: Tensor) -> Tensor:
        known, self._unscaled = self._unscaled, None
        return known[1] if known is not None and known[0]() is root else root

    # -- steps --------------------------------------------------------------------------------

    def _step_begins(self, optimizer: OptimizerWatch) -> None:
        """Take in weights of no module that an optimizer moves, and those beside that it misses."""
        self._by_hand.forget()
        if optimizer.steps:
            held = [p for p in optimizer.parameters if p.grad is not None]
            self._adopt(held, beside=self._by_hand.steady())

    def _adopt(self, moving: Sequence[Tensor], beside: Sequence[Tensor] = ()) -> None:
        """Watch what moves and belongs to no model; then also what stands `beside` it."""
        known = {id(parameter) for parameter in self._calls.parameters()}
        bare = [tensor for tensor in moving if id(tensor) not in known]
        if bare and self._calls.open:
            known.update(id(tensor) for tensor in bare)
            self._calls.add(Tensors([*bare, *(one for one in beside if id(one) not in known)]))

    def _look_at_weights(self, gradients: Mapping[int, Tensor]) -> None:
        for watch in self._calls.models:
            watch.look_at_weights(gradients)

    def step(self, loss: Tensor | None = None) -> None:
        """End a step that no torch optimizer makes; one that it has just made counts once."""
        if self._steps.just_made:
            return
        if loss is not None:
            self._fresh.append(loss.detach())
        self._steps.by_hand(self._by_hand.stand_in)

    def _step_ended(self, optimizer: OptimizerWatch) -> None:
        number = self._steps.taken
        self._evaluations.step_taken(number)
        if self._fresh:
            losses = [loss.reshape(()) for loss in self._fresh]
            optimizer.losses.add(number, torch.stack(losses).mean())
            self._fresh = []
        if self._answers:
            self._accuracy.add(number, torch.stack(self._answers).mean())
            self._answers = []
        if self._told is not None:
            self._told(number, optimizer.losses.newest)
        if self._limit is not None and number >= self._limit:
            raise Enough

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
        self._by_hand.see()
        optimizers = self._steps.optimizers
        held = {key for optimizer in optimizers for key in optimizer.held}
        models = self._calls.models
        watches = [watch for watch in models if watch.learns(held)] or models
        records = list(self._model_records(watches, held, namespace or {}))
        notes = [note for watch in watches for note in watch.notes]
        if self._transformed:
            notes.append(
                _(
                    "A model is called inside transforms of torch.func (grad, vmap, ...): what "
                    "happens there cannot be seen."
                )
            )
        return Observation(
            steps=self._steps.taken,
            backwards=self._steps.backwards,
            seconds=time.perf_counter() - self._started,
            models=tuple(records),
            optimizers=tuple(self._optimizer_records(watches, records)),
            losses=self._losses.records(),
            labels=None if self._steps.in_turns else self._losses.labels(),
            in_turns=self._steps.in_turns,
            evaluations=self._evaluations.records(),
            accuracy=self._accuracy.series(),
            training_samples=self._evaluations.training_samples,
            error=None if error is None else self._error(error),
            stopped=stopped,
            interrupted=interrupted,
            passes_without_gradient=self._free_passes,
            notes=tuple(dict.fromkeys(notes)),
        )

    def _model_records(
        self, watches: Sequence[ModelWatch], held: set[int], namespace: Mapping[str, Any]
    ) -> Iterator[ModelRecord]:
        known = {id(value): name for name, value in reversed(list(namespace.items()))}
        strays = [
            stray_record(f"{name}.{key}", parameter, held)
            for name, module in self._calls.stray.values()
            for key, parameter in module.named_parameters(recurse=False)
        ]
        taken = Counter[str]()
        for place, watch in enumerate(watches):
            name = known.get(id(watch.model), type(watch.model).__name__.lower())
            taken[name] += 1
            if taken[name] > 1:
                name = f"{name}_{taken[name]}"
            record = watch.record(name, self._calls.ran, self._loaded, held)
            yield replace(record, parameters=(*record.parameters, *(() if place else strays)))

    def _optimizer_records(
        self, watches: Sequence[ModelWatch], records: Sequence[ModelRecord]
    ) -> Iterator[OptimizerRecord]:
        known = {id(parameter) for parameter in self._calls.parameters()}
        for optimizer in self._steps.optimizers:
            held = optimizer.held
            own = [
                record
                for watch, record in zip(watches, records, strict=True)
                if any(id(parameter) in held for parameter in watch.model.parameters())
            ]
            trace = own[0].trace if own else None
            names = [record.name for record in own]
            yield optimizer.record(
                names, known, gradient_norm(trace), update_ratio(trace), applied_rate(trace)
            )

    def _error(self, error: BaseException) -> ErrorRecord:
        return ErrorRecord(
            kind=type(error).__name__,
            message=str(error),
            step=self._steps.taken,
            layer=self._calls.name_of_failed(),
        )
