"""Hooks on a stranger's modules, tensors and weights: they read, and write into passes.

Values are taken when they exist: an in-place operation that follows (an in-place relu, a residual
`out += identity`) overwrites the tensor. Output gradients come from hooks on tensors; full backward
hooks of modules break in-place additions.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils.hooks import RemovableHandle

from nndiag.probe import statistics as st
from nndiag.probe.activations import is_activation, tails_of
from nndiag.probe.buffer import ONE, ZERO, Buffer, Key
from nndiag.probe.functional import Source, followed, may_be_followed
from nndiag.probe.layers import Layer, batch_size, first_tensor
from nndiag.probe.passes import Pass, Passes, backward_number
from nndiag.probe.tracing import traced
from nndiag.theory.saturation import Tails

_MOMENTS = {"activation_mean", "activation_std"}
_SHARES = {"saturated_fraction", "off_fraction", "dead_fraction"}
_WEIGHT_GRADS = {"weight_grad_norm", "relative_grad"}


def _scripted(module: nn.Module) -> bool:
    """Whether torch.jit runs the module: it takes no hooks, and shows its weights alone."""
    return isinstance(module, torch.jit.ScriptModule)


class Taps:
    """The hooks of one probe.

    Args:
        exact: use every entry, in float64.
        wanted: names of statistics to take.

    Attributes:
        order: layers that ran, by position.
        recording: whether the step under way is recorded.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: list[Layer],
        buffer: Buffer,
        *,
        exact: bool,
        wanted: Collection[str],
    ) -> None:
        self.passes = Passes(buffer)
        self._buffer = buffer
        self.order: list[Layer] = []
        self.recording = True
        self._model, self._layers, self._exact = model, layers, exact
        self._moments = not _MOMENTS.isdisjoint(wanted)
        self._shares = not _SHARES.isdisjoint(wanted)
        self._output_grads = "output_grad_norm" in wanted
        self._weight_grads = not _WEIGHT_GRADS.isdisjoint(wanted)
        self._latest: Layer | None = None
        self._inside = False
        self._ranks = 0
        self._handles: list[RemovableHandle] = []
        self._lazy: list[Layer] = []
        self._functional: list[RemovableHandle] = []
        self._sources: dict[Any, Source] = {}

    # -- on and off ---------------------------------------------------------------------------

    def attach(self) -> None:
        """Put the hooks on; none stays if one of them fails."""
        try:
            self._attach()
        except BaseException:
            self.detach()
            raise

    def _attach(self) -> None:
        add = self._handles.append
        if not _scripted(self._model):
            add(self._model.register_forward_pre_hook(self._on_root, with_kwargs=True))
        for layer in self._layers:
            if not _scripted(layer.module):
                add(layer.module.register_forward_hook(partial(self._on_layer, layer)))
            if any(isinstance(weight, UninitializedParameter) for weight in layer.weights):
                self._lazy.append(layer)
            else:
                self._attach_weights(layer)
        owners = {layer.module for layer in self._layers}
        for module in self._model.modules():
            owner = module in owners
            if _scripted(module):
                continue
            if not owner and is_activation(module, learnt=True):
                self._attach_activation(module)
            elif owner or may_be_followed(module):
                self._functional.append(module.register_forward_hook(self._on_source))
        if not _scripted(self._model):
            add(self._model.register_forward_hook(self._after_root))

    def _attach_weights(self, layer: Layer) -> None:
        for weight in layer.weights if self._weight_grads else []:
            if weight.requires_grad:
                hook = weight.register_post_accumulate_grad_hook(
                    partial(self._on_weight_grad, layer)
                )
                self._handles.append(hook)

    def _attach_activation(self, module: nn.Module) -> None:
        tails = tails_of(module)
        before = partial(self._before_activation, repr(module), tails)
        self._handles.append(module.register_forward_pre_hook(before))
        self._handles.append(module.register_forward_hook(self._on_activation))

    def detach(self) -> None:
        """Take all hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._stop_learning()
        self._latest = None

    # -- functional activations -----------------------------------------------------------------

    def _on_source(self, module: nn.Module, args: Any, output: Any) -> None:
        layer = self._latest
        if traced() or layer is None or not isinstance(output, Tensor):
            return
        if output.grad_fn is None or (module is not layer.module and not may_be_followed(module)):
            return
        current = self.passes.newest
        call = current.calls.get(layer, 1) - 1
        self._sources[output.grad_fn] = Source(
            module, layer, current, call, output.detach(), output._version
        )

    def learn(self, loss: Tensor) -> None:
        """Find the functional activations in the graph of a loss and watch them from now on."""
        if not self._functional or not self._sources:
            return
        for source, activation in followed(loss, self._sources):
            layer, tails = source.layer, tails_of(activation)
            if layer.activation is None:
                layer.activation, layer.tails = repr(activation), tails
                hook = partial(self._on_functional, layer, activation)
                self._handles.append(source.module.register_forward_hook(hook))
                for one in self.passes.all:
                    one.forget_moments(layer.position)
            if source.z._version == source.version:
                self._note_functional(layer, activation, source.current, source.call, source.z)
        self._stop_learning()

    def _stop_learning(self) -> None:
        for handle in self._functional:
            handle.remove()
        self._functional.clear()
        self._sources.clear()

    def _on_functional(
        self, layer: Layer, activation: nn.Module, module: nn.Module, args: Any, output: Any
    ) -> None:
        if traced() or self._latest is not layer or not isinstance(output, Tensor):
            return
        self._latest = None
        current = self.passes.newest
        call = current.calls.get(layer, 1) - 1
        self._note_functional(layer, activation, current, call, output.detach())

    def _note_functional(
        self, layer: Layer, activation: nn.Module, current: Pass, call: int, z: Tensor
    ) -> None:
        if self._shares and layer.tails is not None:
            self._note_shares(layer, layer.tails, current, call, z)
        if self._moments:
            with torch.no_grad():
                values = z if self._exact else st.sample(z)
                self._note_moments(layer, current, call, activation(values))

    # -- forward ------------------------------------------------------------------------------

    def _on_root(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if traced():
            return
        self.enter_root(kwargs, args)

    def enter_root(self, kwargs: Any, args: Any = ()) -> None:
        """Begin a forward pass of the whole model."""
        self._latest = None
        self._inside = (
            self.recording
            and torch.is_grad_enabled()
            and not self.passes.closed
            and backward_number() == -1
        )
        if self._inside:
            self.passes.begin(batch_size(args, kwargs) or 0)

    def _after_root(self, module: nn.Module, args: Any, output: Any) -> None:
        if not traced():
            self._inside = False

    def _on_layer(self, layer: Layer, module: nn.Module, args: Any, output: Any) -> None:
        if traced():  # no part of the graph: a compiled layer shows its weights alone
            return
        self._latest = None
        if not self.recording or not torch.is_grad_enabled():
            if self._inside and layer.rank < 0:  # a checkpointed layer: it runs again later
                self._rank(layer)
            return
        z = first_tensor(output)
        if z is None or self.passes.closed:
            return
        current = self.passes.newest
        call = current.calls.get(layer, 0)
        if call and backward_number() != -1:
            return  # a checkpointed layer runs again
        current.calls[layer] = call + 1
        if layer.position < 0:
            layer.position = len(self.order)
            self.order.append(layer)
            if layer in self._lazy:  # its weights have a shape now
                self._lazy.remove(layer)
                self._attach_weights(layer)
            if layer.rank < 0:
                self._rank(layer)
        if call >= layer.calls:
            layer.calls = call + 1
        layer.output_size = z.numel()
        if not current.samples:
            current.samples = z.shape[0] if z.ndim else 1
        if z.requires_grad and self._output_grads:
            z.register_hook(partial(self._on_output_grad, layer, current, call))
        if layer.activation is None and self._moments:
            self._note_moments(layer, current, call, z.detach())
        self._latest = layer

    def _rank(self, layer: Layer) -> None:
        layer.rank = self._ranks
        self._ranks += 1

    def place_unseen(self) -> None:
        """Give a place to layers that only their weight gradients show (inside a compiled graph).

        Each comes after the layer that is defined before it.
        """
        rank = -0.5
        for layer in self._layers:
            if layer.position >= 0:
                rank = max(rank, layer.rank)
            elif any(id(weight) in self.passes.weight_grads for weight in layer.weights):
                rank += 1e-6
                layer.rank, layer.position, layer.calls = rank, len(self.order), 1
                self.order.append(layer)

    def _before_activation(
        self, name: str, tails: Tails | None, module: nn.Module, args: Any
    ) -> None:
        if traced():
            return
        layer = self._latest
        if layer is None or not args or not isinstance(args[0], Tensor):
            self._latest = None
            return
        current = self.passes.newest
        if layer.activation is None:  # its own output no longer counts as its activation
            layer.activation, layer.tails = name, tails
            for one in self.passes.all:
                one.forget_moments(layer.position)
        if self._shares and layer.tails is not None:
            call = current.calls.get(layer, 1) - 1
            self._note_shares(layer, layer.tails, current, call, args[0].detach())

    def _on_activation(self, module: nn.Module, args: Any, output: Any) -> None:
        if traced():
            return
        layer, self._latest = self._latest, None  # only the first activation on a layer is its own
        if layer is not None and self._moments and isinstance(output, Tensor):
            current = self.passes.newest
            call = current.calls.get(layer, 1) - 1
            self._note_moments(layer, current, call, output.detach())

    def _note_moments(self, layer: Layer, current: Pass, call: int, a: Tensor) -> None:
        sampled = not self._exact and st.stride(a.shape) > 1
        values = st.sample(a) if sampled else a
        exact = self._exact or layer.exact or sampled
        centre = 0.0 if exact else layer.centre
        dtype = st.sum_type(a, exact=exact)
        if centre:
            values = torch.sub(values, centre, out=self._buffer.scratch(values))
        place, size = layer.position, values.numel()
        st.total(values, current.slot(Key("sum", place, call, size, centre), a.device, dtype))
        st.norm(values, current.slot(Key("norm", place, call, size, centre), a.device, dtype))

    def _note_shares(self, layer: Layer, tails: Tails, current: Pass, call: int, z: Tensor) -> None:
        values = z if self._exact else st.sample(z)
        ends, flat = (tails.low, tails.high), (tails.flat_low, tails.flat_high)
        self._note_share("saturated", ends, layer, current, call, values)
        if flat == ends:
            current.repeat("off")
        else:
            self._note_share("off", flat, layer, current, call, values)
        if layer.all_live:
            return
        if not tails.flat:
            current.add(Key("alive", layer.position), ONE)
            return
        alive = st.alive(z, layer.unit_axis, tails)
        known = current.alive.get(layer)
        fits = known is not None and known.shape == alive.shape
        current.alive[layer] = known | alive if known is not None and fits else alive

    def _note_share(
        self,
        kind: str,
        ends: tuple[float, float],
        layer: Layer,
        current: Pass,
        call: int,
        values: Tensor,
    ) -> None:
        key = Key(kind, layer.position, call, values.numel())
        if math.isinf(ends[0]) and math.isinf(ends[1]):
            current.add(key, ZERO)
            return
        # A float32 holds whole numbers up to 2^24.
        exact = values.numel() >= 2**24
        slot = current.slot(key, values.device, st.wide(values) if exact else torch.float32)
        marks = self._buffer.scratch(values)
        st.mark_outside(values, *ends, out=marks)
        st.total(marks, slot)

    # -- backward -----------------------------------------------------------------------------

    def _on_output_grad(self, layer: Layer, current: Pass, call: int, gradient: Tensor) -> None:
        if not current.used:
            self.passes.gradient_comes_back(current)
        dtype = st.sum_type(gradient, exact=layer.exact or self._exact)
        slot = current.slot(Key("grad", layer.position, call), gradient.device, dtype)
        st.norm(gradient.detach(), slot)

    def _on_weight_grad(self, layer: Layer, weight: nn.Parameter) -> None:
        again = self.passes.in_closure and id(weight) in self.passes.weight_grads
        if self.recording and weight.grad is not None and not again:
            self.note_gradient(layer, weight, weight.grad)

    def note_gradient(self, layer: Layer, weight: nn.Parameter, gradient: Tensor) -> None:
        """Record the norm of the gradient of a weight."""
        dtype = st.sum_type(gradient, exact=layer.exact or self._exact)
        st.norm(st.entries(gradient), self.passes.note_weight_grad(weight, dtype))
