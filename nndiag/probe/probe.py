"""The probe: a guest in any model that records what happens to the signal and the gradient."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nndiag.locales import _
from nndiag.probe import statistics as st
from nndiag.probe.buffer import ONE, Buffer, Key
from nndiag.probe.history import History
from nndiag.probe.hooks import Taps
from nndiag.probe.layers import Layer, Matrix, find_layers
from nndiag.probe.passes import Pass
from nndiag.probe.updates import Updates
from nndiag.schema.errors import RunError, unknown_name
from nndiag.schema.trace import STATISTICS, Trace

_BLOCK = 16  # recorded steps between two transfers to the host
_EARLY = 4  # steps at which equal units are looked for: training does not make units equal


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
        exact: take all statistics from every entry and all norms in float64. Otherwise activation
            statistics, and updates of weights, of more than 262,144 entries come from 32,768 or
            more entries spread evenly (standard error of a fraction: at most 0.28 percentage
            points; updates in runs of 16 neighbours), and norms are float32 where their size
            allows; gradient norms and dead units always use every entry.
        statistics: names to record (`nndiag.schema.trace.STATISTICS`), None for all.
        capacity: rows kept; see `History`.
        window: a unit is dead that was off in so many recorded steps at least, twice as many at
            most.
        scaler: a `torch.amp.GradScaler`; gradients are divided by its scale.

    Attributes:
        notes: sentences on what this model does not let the probe see.

    Raises:
        RunError: the model has no layer.
        UsageError: an unknown statistic.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        every: int = 1,
        exact: bool = False,
        statistics: Collection[str] | None = None,
        capacity: int = 512,
        window: int = _BLOCK,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._wanted = frozenset(STATISTICS if statistics is None else statistics)
        for name in sorted(self._wanted - set(STATISTICS)):
            raise unknown_name("statistics", name, STATISTICS)
        inner = self._uncompiled(model)
        self._layers = find_layers(inner)
        if not self._layers:
            raise RunError(
                _("the model {name} has no layer with a weight matrix to look at").format(
                    name=type(model).__name__
                )
            )
        self._optimizer, self._scaler = optimizer, scaler
        self._every, self._exact, self._window = every, exact, window
        self._handles: list[RemovableHandle] = []
        self._buffer = Buffer()
        self._taps = Taps(inner, self._layers, self._buffer, exact=exact, wanted=self._wanted)
        self._updates = Updates(self._buffer, exact=exact)
        self._history = History(capacity, every)
        self._alike: dict[int, Tensor] = {}
        self._loss: Tensor | None = None
        self._step = 0

    def __enter__(self) -> Probe:
        self._taps.attach()
        if self._optimizer is not None:
            self._handles.append(self._optimizer.register_step_pre_hook(self._before_update))
            self._handles.append(self._optimizer.register_step_post_hook(self._after_update))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._taps.detach()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._taps.passes.clear()
        self._flush()

    def _uncompiled(self, model: nn.Module) -> nn.Module:
        if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
            self.notes.append(
                _(
                    "The model, or a part of it, is run by torch.jit: what happens inside cannot "
                    "be seen, so there are statistics of weights and of their gradients only. For "
                    "the rest, train it without torch.jit.script."
                )
            )
        inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        self.notes.append(
            _(
                "The model is compiled: what happens inside its graph cannot be seen, so there are "
                "statistics of weights and of their gradients only. For the rest, train the model "
                "without torch.compile."
            )
        )
        return inner

    # -- the end of a step --------------------------------------------------------------------

    def note_loss(self, loss: Tensor) -> None:
        """Record the loss of the step under way."""
        if self._taps.recording:
            self._loss = loss.detach()

    def step(self, loss: Tensor | None = None) -> None:
        """End a step by hand, after its backward pass."""
        if loss is not None:
            self.note_loss(loss)
        if self._taps.recording:
            self._take_norms()
        self._end_step()

    def _take_norms(self) -> None:
        if len(self._taps.order) < len(self._layers):
            self._taps.place_unseen()
        self._updates.take_norms(self._layers)

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self.before_update()

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self.after_update()

    def before_update(self, held: Collection[int] | None = None, *, ends: bool = True) -> None:
        """Look at the weights as an optimizer is about to move them.

        Args:
            held: ids of the parameters that it moves, None for all.
            ends: its update ends the step; False where another optimizer's does.
        """
        if not self._taps.recording:
            return
        if ends:
            self._taps.passes.in_closure = not self._taps.passes.used
            self._take_norms()
        self._copy_weights(held)

    def look_at_weights(self, gradients: Mapping[int, Tensor]) -> None:
        """Take the weights as they are after a backward pass: what moves them may not be seen.

        `after_update` then tells how far they moved and ends the step.

        Args:
            gradients: by id of the weight, those that stand in no `.grad`.
        """
        if self._taps.recording:
            for layer in self._layers:
                for weight in layer.weights:
                    if id(weight) in gradients:
                        self._taps.note_gradient(layer, weight, gradients[id(weight)])
            self._take_norms()
            self._copy_weights(None)
            for layer in self._layers:  # gradients may be gone when the step is seen
                alike = self._look_for_twins(layer)
                if alike is not None:
                    self._alike[id(layer.weights[0])] = alike

    def _copy_weights(self, held: Collection[int] | None) -> None:
        if "update_ratio" in self._wanted:
            self._updates.before(self._layers, held)

    def after_update(self, held: Collection[int] | None = None, *, ends: bool = True) -> None:
        """Record how far the weights moved; the arguments as for `before_update`."""
        if self._taps.recording:
            self._updates.after(self._layers, held)
        if ends:
            self._end_step()

    def enter_model(self) -> None:
        """Say that a forward pass of the model is under way (hooks put on inside one)."""
        self._taps.enter_root({})

    def learn_activations(self, loss: Tensor) -> None:
        """Find activations called as functions (`torch.relu(...)`) in the graph of a first loss."""
        self._taps.learn(loss)

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Divide gradients by the scale of this scaler from now on."""
        self._scaler = scaler

    def _end_step(self) -> None:
        if self._taps.recording:
            self._record()
        self._taps.passes.clear()
        self._updates.clear()
        self._alike.clear()
        self._loss = None
        self._step += 1
        self._taps.recording = self._step % self._every == 0
        if len(self._buffer) >= _BLOCK:
            self._flush()

    def _record(self) -> None:
        row = Pass(self._buffer)
        passes = self._taps.passes.used
        for one in passes:
            row.entries += one.entries
            row.samples += one.samples
            self._note_alive(one)
        for layer in self._taps.order:
            self._note_weights(layer, row)
            if passes and layer.live[0] is not None:
                self._note_dead(layer, row)
        if self._loss is not None and self._loss.numel() == 1:
            self._note_number("loss", self._loss, row)
        scale = getattr(self._scaler, "_scale", None)  # on the device: no wait
        if isinstance(scale, Tensor):
            self._note_number("scale", scale, row)
        self._buffer.append(self._step, row.samples, row.entries)
        if self._step // self._every % self._window == self._window - 1:
            for layer in self._taps.order:
                layer.live, layer.all_live = [None, layer.live[0]], False

    def _note_number(self, kind: str, number: Tensor, row: Pass) -> None:
        slot = row.slot(Key(kind, -1), number.device, st.wide(number))
        slot.copy_(number.detach().reshape(()))

    def _note_weights(self, layer: Layer, row: Pass) -> None:
        place, updates = layer.position, self._updates
        gradients = self._taps.passes.weight_grads
        for weight in layer.weights:
            row.add(Key("weight", place), updates.norms[id(weight)])
            if id(weight) in gradients:
                row.add(Key("weight_grad", place), gradients[id(weight)])
            if id(weight) in updates.changes:
                key = Key("update", place, centre=updates.whole(weight))
                row.add(key, updates.changes[id(weight)])
        weight = layer.weights[0]
        alike = self._alike.get(id(weight))
        if alike is None:
            alike = self._look_for_twins(layer)
        if alike is not None:
            row.slot(Key("symmetric", place), weight.device, alike.dtype).copy_(alike)

    def _look_for_twins(self, layer: Layer) -> Tensor | None:
        weight = layer.weights[0]
        early = self._exact or self._step < _EARLY
        if not early or "symmetric_fraction" not in self._wanted or weight.grad is None:
            return None
        if isinstance(layer.module, Matrix):
            return st.twins_either_way(weight, weight.grad)
        blocks = layer.rows_a_unit
        return st.twins(weight, weight.grad, blocks) if blocks else None

    def _note_alive(self, one: Pass) -> None:
        for layer, alive in one.alive.items():
            known = layer.live[0]
            fits = known is not None and known.shape == alive.shape
            layer.live[0] = known | alive if known is not None and fits else alive

    def _note_dead(self, layer: Layer, row: Pass) -> None:
        if layer.all_live:
            row.add(Key("alive", layer.position), ONE)
            return
        now, before = layer.live
        assert now is not None
        seen = now | before if before is not None and before.shape == now.shape else now
        key = Key("alive", layer.position, 0, seen.numel())
        st.total(seen, row.slot(key, seen.device, torch.float32))
        place = self._step // self._every % self._window
        if not place & (place + 1):  # the first, the second, the fourth, ... of the window
            layer.all_live = st.all_on_host(now)

    # -- reading ------------------------------------------------------------------------------

    def _flush(self) -> None:
        if len(self._buffer):
            self._history.extend(self._buffer.flush(), self._taps.order)

    @property
    def trace(self) -> Trace:
        """Everything recorded so far, on the host (waits for the device)."""
        self._flush()
        return self._history.trace(self._taps.order)

    def latest(self) -> tuple[int, float, list[float]]:
        """Return (step, loss, output_grad_norm of each layer) of the newest row on the host.

        It lags by up to 16 recorded steps and never waits; step -1 where there is none yet.
        """
        return self._history.latest()
