"""One model of the script: its probe, its modes, its parameters and its input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import UninitializedParameter
from torch.utils.hooks import RemovableHandle

from nndiag.attach.by_hand import Tensors
from nndiag.attach.inputs import InputWatch, first_float
from nndiag.attach.recurrence import TimeProfiles
from nndiag.probe.layers import all_tensors, batch_size, find_layers
from nndiag.probe.probe import Probe
from nndiag.probe.statistics import entries
from nndiag.probe.tracing import traced
from nndiag.schema.observation import ModelRecord, ParameterRecord
from nndiag.schema.trace import Trace

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_MOST_OUTPUTS = 16
_GRADIENT_LOOKS = 16  # steps at which every parameter's gradient is looked at, at least


class ModelWatch:
    """Watches one model from its first training pass on.

    Args:
        every: record each so-many-th step.
        step: returns how many optimizer steps were taken.
        late: a pass is under way that the probe has missed a part of: wait for the next.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int,
        statistics: Collection[str] | None,
        step: Callable[[], int],
        late: bool = False,
    ) -> None:
        self.model = model
        self._step = step
        self._modules = list(model.modules())
        self._norms = _named(model, _BatchNorm)
        self._dropouts = [
            (name, module)
            for name, module in _named(model, _DropoutNd)
            if getattr(module, "p", 0.5) > 0  # torch.jit.trace does not keep it
        ]
        self.probe = (
            Probe(model, every=every, statistics=statistics) if find_layers(_inner(model)) else None
        )
        self._input = InputWatch()
        drawn = (p for p in model.parameters() if not isinstance(p, UninitializedParameter))
        first = next((p for p in drawn if p.requires_grad), None)
        self._drawn = None if first is None else (first, first.detach().clone())
        self._profiles = TimeProfiles(model)
        self._passes = Counter[str]()
        self._sizes = Counter[int]()
        self._output: tuple[int, ...] = ()
        self._held: set[int] = set()
        self._with_gradient: set[int] = set()
        self._with_signal: set[int] = set()
        self._looks = 0
        self._been_backward = False
        self._beginner: nn.Module = model
        self._waiting: list[tuple[int, Tensor]] = []
        self._handles: list[RemovableHandle] = []
        self._late = late
        self._is_open = False
        self.scripted = isinstance(model, torch.jit.ScriptModule)
        # No call of it is ever seen: a step tells that it was trained.
        self._bare = isinstance(model, Tensors) and self.probe is not None

    def open(self) -> None:
        """Put the hooks on."""
        if self._is_open:
            return
        self._is_open = True
        if not self.scripted:  # torch.jit takes no hooks
            self._handles = [self.model.register_forward_pre_hook(self._enters, with_kwargs=True)]
        if self.probe is not None and not self._late:
            self.probe.__enter__()

    def close(self) -> None:
        """Take all hooks off."""
        self._profiles.close()
        for handle in self._handles:
            handle.remove()
        if self._is_open and self.probe is not None:
            self.probe.__exit__(None, None, None)
        self._handles, self._is_open = [], False

    def owns(self, module: nn.Module) -> bool:
        """Whether the module is the model or inside it."""
        return module is self.model or any(module is inner for inner in self._modules)

    # -- passes -------------------------------------------------------------------------------

    def begin_inside(self, beginner: nn.Module, args: tuple[Any, ...]) -> None:
        """Begin a pass that is under way, in the model itself or in its first part."""
        self._beginner = beginner
        if self.probe is not None and not self._late:
            self.probe.enter_model()
        self._enters(self.model, args, {})

    def _enters(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if traced() or not torch.is_grad_enabled():
            return
        x = first_float(args, kwargs)
        if x is not None and x.numel():
            self._input.note(x, self._step() + 1)
        size = batch_size(args, kwargs)
        if size:
            self._passes["sized"] += 1
            self._sizes[size] += 1

    def part_called(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Take in a call of a part on its own: the first one after a backward pass begins a pass.

        `training_step` of Lightning may call parts of the model and never the model.
        """
        if torch.is_grad_enabled() and self._been_backward:
            self._been_backward = False
            self.begin_inside(module, args)

    def goes_backward(self, root: Tensor, loss: Tensor) -> None:
        """Take in the tensor that a backward pass starts from, and the loss behind it."""
        self._been_backward = True
        if self._late:
            self._late = False
            if self.probe is not None:
                self.probe.__enter__()
        elif self.probe is not None:
            self.probe.learn_activations(root)
            self.probe.note_loss(loss)

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Divide gradients by the scale of this scaler from now on."""
        if self.probe is not None:
            self.probe.unscale(scaler)

    @property
    def notes(self) -> list[str]:
        """What this model does not let one see."""
        return [] if self.probe is None else self.probe.notes

    def learns(self, held: Collection[int]) -> bool:
        """Whether training has to do with it: a gradient came back or an optimizer holds it."""
        return self._passes["training"] > 0 or any(
            id(parameter) in held for parameter in self.model.parameters()
        )

    def leaves(self, module: nn.Module, output: Any) -> None:
        """Take in the end of a call outside any other module."""
        if module is not self.model and module is not self._beginner:
            return
        outputs = all_tensors(output if not hasattr(output, "logits") else output.logits)
        modes = [module.training for _name, module in (*self._norms, *self._dropouts)]
        if not torch.is_grad_enabled():
            self._passes["evaluation"] += 1
            self._passes["evaluation in training"] += self.model.training and any(modes)
            return
        outputs = [one for one in outputs if one.requires_grad][:_MOST_OUTPUTS]
        if not outputs:
            return
        out = outputs[0]
        self._output = tuple(out.shape)
        asleep = bool(modes) and not any(modes) and not self.model.training
        frozen = self.model.training and any(not module.training for _n, module in self._norms)
        single = bool(self._norms) and len(out) == 1 if out.ndim else False
        counted = False

        def came_back(_gradient: Tensor) -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._passes["training"] += 1
                self._passes["training in eval"] += asleep
                self._passes["frozen norms"] += frozen
                self._passes["single"] += single

        for one in outputs:  # a loss may leave some of them out
            one.register_hook(came_back)

    # -- steps --------------------------------------------------------------------------------

    def before_step(self, held: Collection[int], *, ends: bool) -> None:
        """Look at the gradients as an optimizer is about to use them."""
        self._held.update(held)
        self._look_at_gradients(held)
        if self.probe is not None:
            self.probe.before_update(held, ends=ends)

    def after_step(self, held: Collection[int], *, ends: bool) -> None:
        """Take in a finished step."""
        self._passes["training"] += self._bare
        if self.probe is not None:
            self.probe.after_update(held, ends=ends)

    def look_at_weights(self, gradients: Mapping[int, Tensor]) -> None:
        """Look at gradients and weights after a backward pass, before the script moves them.

        Args:
            gradients: by id of the weight, those that stand in no `.grad`.
        """
        self._look_at_gradients(())
        if self.probe is not None:
            self.probe.look_at_weights(gradients)

    def end_step(self, held: Collection[int]) -> None:
        """Take in a step whose beginning was not seen: made by hand, or by a first closure."""
        self._held.update(held)
        self._passes["training"] += self._bare
        self._look_at_gradients(held)
        if self.probe is not None:
            self.probe.step()

    def _look_at_gradients(self, held: Collection[int]) -> None:
        step = self._step()
        if self._looks > _GRADIENT_LOOKS and step & (step - 1):
            return  # later only at powers of two
        self._looks += 1
        for parameter in self.model.parameters():
            if parameter.grad is None or id(parameter) in self._with_signal:
                continue
            self._with_gradient.add(id(parameter))
            norm = torch.linalg.vector_norm(entries(parameter.grad).float())
            self._waiting.append((id(parameter), norm))
        if len(self._waiting) > 512 or self._looks == 1:
            self._settle()

    def _settle(self) -> None:
        by_device: dict[torch.device, list[tuple[int, Tensor]]] = {}
        for key, norm in self._waiting:
            by_device.setdefault(norm.device, []).append((key, norm))
        for pairs in by_device.values():
            norms = torch.stack([norm for _key, norm in pairs]).tolist()
            self._with_signal.update(
                key for (key, _norm), norm in zip(pairs, norms, strict=True) if norm != 0
            )
        self._waiting.clear()

    # -- the record ---------------------------------------------------------------------------

    @property
    def held(self) -> set[int]:
        """Ids of the parameters that an optimizer held at a step."""
        return self._held

    def record(
        self, name: str, used: Collection[int], loaded: Collection[int], held: Collection[int]
    ) -> ModelRecord:
        """Return what was seen (waits for the device).

        Args:
            used: ids of modules that ran.
            loaded: ids of parameters that came from a file.
            held: ids of parameters that any optimizer holds.
        """
        self._look_at_gradients(held)
        self._settle()
        if self.probe is not None and not self.probe.trace.steps.size:
            self.probe.step()  # no optimizer ever moved it: show what came back last
        trace = self.probe.trace if self.probe is not None else _no_trace()
        return ModelRecord(
            name=name,
            kind=type(self.model).__name__,
            trace=trace,
            parameters=self._parameters(used, loaded, held),
            training_passes=self._passes["training"],
            training_passes_in_eval=self._passes["training in eval"],
            evaluation_passes=self._passes["evaluation"],
            evaluation_passes_in_training=self._passes["evaluation in training"],
            batch_norms=tuple(key for key, _module in self._norms),
            dropouts=tuple(key for key, _module in self._dropouts),
            frozen_norms=self._passes["frozen norms"] > 0,
            normalised=_normalised(self._modules),
            moved=self._drawn is None or not torch.equal(*map(torch.Tensor.detach, self._drawn)),
            time_profiles=self._profiles.read(),
            recurrent=any(isinstance(module, _RECURRENT) for module in self._modules),
            batch_sizes=dict(self._sizes),
            single_value_norms=self._passes["single"],
            input=self._input.record(),
            output_shape=self._output,
            output_features=trace.layers[-1].fan_out if trace.layers else None,
        )

    def _parameters(
        self, used: Collection[int], loaded: Collection[int], held: Collection[int]
    ) -> tuple[ParameterRecord, ...]:
        owner = {
            id(parameter): id(module)
            for module in self._modules
            for parameter in module.parameters(recurse=False)
        }
        ran = set(used)
        for module in self._modules:  # what a module that ran holds may be used by it directly
            if id(module) in ran and not any(id(inner) in ran for inner in module.children()):
                ran.update(id(inner) for inner in module.modules())
        return tuple(
            ParameterRecord(
                name=name,
                size=parameter.numel(),
                trainable=parameter.requires_grad,
                held=id(parameter) in held,
                used=owner[id(parameter)] in ran or id(parameter) in self._with_gradient,
                gradient=id(parameter) in self._with_gradient,
                signal=id(parameter) in self._with_signal,
                loaded=id(parameter) in loaded
                or (not parameter.requires_grad and id(parameter) in self._with_signal),
            )
            for name, parameter in self.model.named_parameters()
        )


def stray_record(name: str, parameter: nn.Parameter, held: Collection[int]) -> ParameterRecord:
    """Return the record of a parameter whose module runs inside a model without being its own."""
    seen = parameter.grad is not None
    return ParameterRecord(
        name=name,
        size=parameter.numel(),
        registered=False,
        trainable=parameter.requires_grad,
        held=id(parameter) in held,
        gradient=seen,
        signal=seen,
    )


def _inner(model: nn.Module) -> nn.Module:
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


def _named(model: nn.Module, kind: Any) -> list[tuple[str, Any]]:
    """Return modules of a kind by name; one that torch.jit has scripted goes by its old class."""
    scripted = {one.__name__ for one in _subclasses(kind)}
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, kind) or getattr(module, "original_name", "") in scripted
    ]


def _subclasses(kind: type) -> Iterator[type]:
    one: type
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def _normalised(modules: Collection[nn.Module]) -> str:
    if any(isinstance(module, _BatchNorm) for module in modules):
        return "batch"
    layer = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    return "layer" if any(isinstance(module, layer) for module in modules) else "none"


def _no_trace() -> Trace:
    return Trace(layers=(), steps=np.zeros(0, int), columns={}, missing={}, loss=np.zeros((0, 1)))
