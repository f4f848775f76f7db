"""The probe: a guest in any model that records what happens to the signal and the gradient."""

from __future__ import annotations

import math
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nndiag.locales import _
from nndiag.probe import statistics
from nndiag.probe.activations import TailsByKind, is_activation
from nndiag.probe.buffer import Buffer, Key
from nndiag.probe.history import History
from nndiag.probe.layers import Layer, batch_size, find_layers, first_tensor
from nndiag.schema.errors import RunError
from nndiag.schema.trace import Trace

_BLOCK = 16  # recorded steps between two transfers to the host


class _Pass:
    """One forward pass: its values, kept only if a gradient comes back through it."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.used = False
        self.keys: list[Key] = []
        self.values: list[Tensor] = []
        self.calls: dict[int, int] = {}
        self.alive: dict[Layer, Tensor] = {}

    def add(self, key: Key, value: Tensor) -> None:
        self.keys.append(key)
        self.values.append(value)

    def forget(self, position: int | None) -> None:
        """Drop the moments of a layer's own output, which are the newest values of its."""
        for place in reversed(range(len(self.keys))):
            if self.keys[place].layer != position:
                return
            if self.keys[place].kind in ("sum", "norm"):
                del self.keys[place], self.values[place]


class Probe:
    """Records the statistics of docs/statistics.md while a model trains.

    A context manager: hooks are on inside it and all gone after it, also after an exception. The
    model computes bit for bit what it computes without the probe: no random number is drawn, no
    mode changed, no gradient touched. Nothing waits for the device inside a step.

        with Probe(model, optimizer) as probe:
            for x, y in batches:
                loss = criterion(model(x), y)
                optimizer.zero_grad(); loss.backward(); optimizer.step()
        probe.trace

    Args:
        model: any module; its layers are the modules that own a matrix.
        optimizer: ends a step by itself through its step hooks, and gives update ratios; without
            one, call `step` after each backward pass.
        every: record each `every`-th step.
        exact: take activation statistics from every entry and all norms in float64. Otherwise
            activation statistics of large tensors come from 16,384 entries spread evenly (standard
            error of a fraction: at most 0.4 percentage points), and norms are float32 where their
            size allows; gradient norms always use every entry.
        capacity: rows kept; when more are recorded every second one is dropped, but never the
            first, the largest gradient or loss, or the first that is not finite.
        scaler: a `torch.amp.GradScaler`; gradients are divided by its scale.

    Raises:
        RunError: the model has no layer.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        every: int = 1,
        exact: bool = False,
        capacity: int = 512,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._model = self._uncompiled(model)
        self._layers = find_layers(self._model)
        if not self._layers:
            raise RunError(
                _("the model {name} has no layer with a weight matrix to look at").format(
                    name=type(model).__name__
                )
            )
        self._optimizer, self._scaler = optimizer, scaler
        self._every, self._exact = every, exact
        self._handles: list[RemovableHandle] = []
        self._tails = TailsByKind()
        self._buffer = Buffer()
        self._history = History(capacity)
        self._passes: list[_Pass] = []
        self._weight_grads: dict[int, Tensor] = {}
        self._weight_norms: dict[int, Tensor] = {}
        self._before: list[tuple[Tensor, Tensor]] = []
        self._updates: dict[int, Tensor] = {}
        self._in_closure = False
        self._loss: Tensor | None = None
        self._latest: Layer | None = None
        self._order: list[Layer] = []
        self._step = 0
        self._recording = True

    # -- on and off ---------------------------------------------------------------------------

    def __enter__(self) -> Probe:
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
        self._flush()

    def _attach(self) -> None:
        add = self._handles.append
        add(self._model.register_forward_pre_hook(self._on_root, with_kwargs=True))
        owners = {id(layer.module) for layer in self._layers}
        for layer in self._layers:
            add(layer.module.register_forward_hook(partial(self._on_layer, layer)))
            for weight in layer.weights:
                if weight.requires_grad:
                    hook = partial(self._on_weight_grad, layer)
                    add(weight.register_post_accumulate_grad_hook(hook))
        for module in self._model.modules():
            if id(module) not in owners and is_activation(module):
                if getattr(module, "inplace", False):
                    add(module.register_forward_pre_hook(self._before_inplace))
                    add(module.register_forward_hook(self._after_inplace))
                else:
                    add(module.register_forward_hook(self._on_activation))
        if self._optimizer is not None:
            add(self._optimizer.register_step_pre_hook(self._before_update))
            add(self._optimizer.register_step_post_hook(self._after_update))

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _uncompiled(self, model: nn.Module) -> nn.Module:
        inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        self.notes.append(
            _(
                "The model is compiled: a graph compiled before the probe came has no hooks, so "
                "activation statistics may be missing; weight gradients are complete."
            )
        )
        return inner

    # -- forward ------------------------------------------------------------------------------

    @property
    def _listening(self) -> bool:
        # A compiler that traces this hook must see nothing but the return.
        if torch.compiler.is_compiling():
            return False
        return self._recording and torch.is_grad_enabled()

    def _on_root(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._listening:
            # A closure is evaluated several times a step: its last evaluation counts.
            kept = [] if self._in_closure else [one for one in self._passes if one.used]
            self._passes = kept
            self._passes.append(_Pass(batch_size(args, kwargs) or 0))

    def _pass(self, output: Tensor) -> _Pass:
        if not self._passes:  # a submodule called on its own
            self._passes.append(_Pass(0))
        current = self._passes[-1]
        if not current.samples:
            current.samples = output.shape[0] if output.ndim else 1
        return current

    def _on_layer(self, layer: Layer, module: nn.Module, args: Any, output: Any) -> None:
        if not self._listening:
            return
        z = first_tensor(output)
        if z is None:
            return
        self._latest = layer
        if layer.position is None:
            layer.position = len(self._order)
            self._order.append(layer)
        current = self._pass(z)
        call = current.calls.get(layer.position, 0)
        current.calls[layer.position] = call + 1
        layer.calls = max(layer.calls, call + 1)
        layer.output_size = z.numel()
        if z.requires_grad:
            z.register_hook(partial(self._on_output_grad, layer, current, call))
        if layer.activation is None:
            self._note_moments(layer, z.detach(), current, call)

    def _on_activation(self, module: nn.Module, args: Any, output: Any) -> None:
        layer = self._latest
        if layer is None or not self._listening or not isinstance(output, Tensor):
            return
        self._note_input(layer, module, args[0])
        self._note_output(layer, output)

    def _before_inplace(self, module: nn.Module, args: Any) -> None:
        if self._latest is not None and self._listening:
            self._note_input(self._latest, module, args[0])

    def _after_inplace(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._latest is not None and self._listening:
            self._note_output(self._latest, output)

    def _note_input(self, layer: Layer, module: nn.Module, z: Tensor) -> None:
        """Record saturated, off and dead of the pre-activation."""
        if layer.position is None:
            return
        if layer.activation is None:
            self._adopt(layer, module)
        tails = layer.tails
        if tails is None:
            return
        current = self._pass(z)
        call = current.calls.get(layer.position, 1) - 1
        z = z.detach()
        values = z.reshape(-1) if self._exact else statistics.sample(z)
        count = values.numel()
        self._note_share("saturated", layer, current, call, values, (tails.low, tails.high))
        flat = (tails.flat_low, tails.flat_high)
        if flat == (tails.low, tails.high) and not math.isinf(tails.flat_low + tails.flat_high):
            current.add(Key("off", layer.position, call, count), current.values[-1])
        else:
            self._note_share("off", layer, current, call, values, flat)
        if tails.flat:
            alive = statistics.alive(z, layer.unit_axis, tails)
            current.alive[layer] = _either(current.alive.get(layer), alive)
        else:
            self._note_zero("dead", layer, current, call, z)

    def _note_share(
        self,
        kind: str,
        layer: Layer,
        current: _Pass,
        call: int,
        values: Tensor,
        bounds: tuple[float, float],
    ) -> None:
        assert layer.position is not None
        if math.isinf(bounds[0]) and math.isinf(bounds[1]):
            self._note_zero(kind, layer, current, call, values)
            return
        key = Key(kind, layer.position, call, values.numel())
        current.add(key, statistics.count_outside(values, *bounds))

    def _note_zero(self, kind: str, layer: Layer, current: _Pass, call: int, like: Tensor) -> None:
        """Record a share that is zero by the activation's nature."""
        assert layer.position is not None
        current.add(Key(kind, layer.position, call, 1), like.new_zeros((), dtype=torch.float32))

    def _note_output(self, layer: Layer, output: Tensor) -> None:
        if layer.position is not None:
            current = self._pass(output)
            call = current.calls.get(layer.position, 1) - 1
            self._note_moments(layer, output.detach(), current, call)

    def _note_moments(self, layer: Layer, a: Tensor, current: _Pass, call: int) -> None:
        assert layer.position is not None
        values = a.reshape(-1) if self._exact else statistics.sample(a)
        total, norm = statistics.moments(values)
        count = values.numel()
        current.add(Key("sum", layer.position, call, count), total)
        current.add(Key("norm", layer.position, call, count), norm)

    def _adopt(self, layer: Layer, module: nn.Module) -> None:
        """Learn that an activation follows the layer: its own output no longer counts as one."""
        layer.activation, layer.tails = repr(module), self._tails.of(module)
        for current in self._passes:
            current.forget(layer.position)

    # -- backward -----------------------------------------------------------------------------

    def _on_output_grad(self, layer: Layer, current: _Pass, call: int, gradient: Tensor) -> None:
        assert layer.position is not None
        current.used = True
        norm = statistics.norm(gradient.detach(), exact=layer.exact or self._exact)
        current.add(Key("grad", layer.position, call), norm)

    def _on_weight_grad(self, layer: Layer, weight: nn.Parameter) -> None:
        if self._recording and weight.grad is not None:
            norm = statistics.norm(weight.grad, exact=layer.exact or self._exact)
            self._weight_grads[id(weight)] = norm

    # -- the end of a step --------------------------------------------------------------------

    def note_loss(self, loss: Tensor) -> None:
        """Record the loss of the step under way."""
        if self._recording:
            self._loss = loss.detach()

    def step(self, loss: Tensor | None = None) -> None:
        """End a step by hand, after its backward pass."""
        if loss is not None:
            self.note_loss(loss)
        self._end_step()

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._recording:
            return
        self._in_closure = bool(args) or kwargs.get("closure") is not None
        for layer in self._layers:
            exact = layer.exact or self._exact
            for weight in layer.weights:
                before = weight.detach().clone()
                self._before.append((weight, before))
                self._weight_norms[id(weight)] = statistics.norm(before, exact=exact)

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        pairs = iter(self._before)
        for layer in self._layers if self._before else []:
            exact = layer.exact or self._exact
            for _weight, (after, before) in zip(layer.weights, pairs, strict=False):
                self._updates[id(after)] = statistics.norm(after.detach() - before, exact=exact)
        self._in_closure = False
        self._end_step()

    def _end_step(self) -> None:
        if self._recording:
            self._record()
        self._passes, self._before = [], []
        self._weight_grads, self._weight_norms, self._updates = {}, {}, {}
        self._loss = None
        self._step += 1
        self._recording = self._step % self._every == 0
        if len(self._buffer) >= _BLOCK:
            self._flush()

    def _record(self) -> None:
        passes = [one for one in self._passes if one.used]
        if not self._order:  # no forward hook ran (a compiled model): the order of definition
            self._order = self._layers
            for place, layer in enumerate(self._order):
                layer.position = place
        for one in passes:
            for layer, alive in one.alive.items():
                layer.live[0] = _either(layer.live[0], alive)
        keys = [key for one in passes for key in one.keys]
        values = [value for one in passes for value in one.values]
        row = _Pass(0)
        for layer in self._order:
            self._note_weights(layer, row)
            if layer in {owner for one in passes for owner in one.alive}:
                self._note_dead(layer, row)
        if self._loss is not None and self._loss.numel() == 1:
            row.add(Key("loss", -1), self._loss.reshape(()))
        if self._scale is not None:
            row.add(Key("scale", -1), self._scale)
        samples = sum(one.samples for one in passes)
        self._buffer.append(self._step, samples, [*keys, *row.keys], [*values, *row.values])
        if self._step // self._every % _BLOCK == _BLOCK - 1:
            for layer in self._order:
                layer.live = [None, layer.live[0]]

    @property
    def _scale(self) -> Tensor | None:
        """The loss scale, on the device (reading it as a number would wait)."""
        scale = getattr(self._scaler, "_scale", None)
        return scale.detach().clone().reshape(()) if isinstance(scale, Tensor) else None

    def _note_weights(self, layer: Layer, row: _Pass) -> None:
        exact = layer.exact or self._exact
        assert layer.position is not None
        for weight in layer.weights:
            norm = self._weight_norms.get(id(weight))  # before the update, where there is one
            if norm is None:
                norm = statistics.norm(weight.detach(), exact=exact)
            row.add(Key("weight", layer.position), norm)
            if id(weight) in self._weight_grads:
                row.add(Key("weight_grad", layer.position), self._weight_grads[id(weight)])
            if id(weight) in self._updates:
                row.add(Key("update", layer.position), self._updates[id(weight)])
        weight = layer.weights[0]
        if self._exact and layer.rows_are_units and weight.grad is not None:
            row.add(Key("symmetric", layer.position), statistics.twins(weight, weight.grad))

    def _note_dead(self, layer: Layer, row: _Pass) -> None:
        now, before = layer.live
        assert layer.position is not None
        assert now is not None
        seen = now | before if before is not None and before.shape == now.shape else now
        row.add(Key("dead", layer.position), 1 - seen.float().mean())

    # -- reading ------------------------------------------------------------------------------

    def _flush(self) -> None:
        if len(self._buffer):
            self._history.extend(self._buffer.flush(), self._order)

    @property
    def trace(self) -> Trace:
        """Everything recorded so far, on the host (waits for the device)."""
        self._flush()
        return self._history.trace(self._order, self._layers)

    def latest(self) -> tuple[int, float, list[float]]:
        """Return (step, loss, output_grad_norm of each layer) of the newest row on the host.

        It lags by up to 16 recorded steps and never waits; step -1 where there is none yet.
        """
        return self._history.latest()


def _either(known: Tensor | None, alive: Tensor) -> Tensor:
    """Return which units were alive in one or the other; a changed shape starts anew."""
    return alive if known is None or known.shape != alive.shape else known | alive
