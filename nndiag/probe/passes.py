"""What one forward pass has given so far, and which of the passes since the last step count."""

from __future__ import annotations

import torch
from torch import Tensor

from nndiag.probe.buffer import Address, Buffer, Entry, Key
from nndiag.probe.layers import Layer

#: The number of the backward pass under way in this thread, -1 outside one.
backward_number = torch._C._current_graph_task_id


class Pass:
    """One forward pass: its values, kept only if a gradient comes back through it.

    Attributes:
        samples: batch size; 0 until known.
        used: whether a gradient has come back.
        backward: the number of the backward pass that brought the first one.
        calls: how often each layer ran.
        alive: (U,) by layer: whether a unit had a non-zero slope.
        entries: what each value is and where it stands in the buffer.
    """

    __slots__ = ("_buffer", "alive", "backward", "calls", "entries", "samples", "used")

    def __init__(self, buffer: Buffer, samples: int = 0) -> None:
        self.samples = samples
        self.used = False
        self.backward = -1
        self.calls: dict[Layer, int] = {}
        self.alive: dict[Layer, Tensor] = {}
        self.entries: list[Entry] = []
        self._buffer = buffer

    def slot(self, key: Key, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the 0-d tensor to write the value into."""
        address, view = self._buffer.slot(device, dtype)
        self.entries.append(self._buffer.entry(key, address))
        return view

    def add(self, key: Key, address: Address) -> None:
        """Keep a value that stands in the buffer already."""
        self.entries.append(self._buffer.entry(key, address))

    def repeat(self, kind: str) -> None:
        """Keep the newest value under another kind too."""
        key, address = self._buffer.split(self.entries[-1])
        self.add(key._replace(kind=kind), address)

    def forget_moments(self, position: int) -> None:
        """Drop the moments of a layer's own output."""
        self.entries = [entry for entry in self.entries if not self._is_moment(entry, position)]

    def _is_moment(self, entry: Entry, position: int) -> bool:
        key, _address = self._buffer.split(entry)
        return key.layer == position and key.kind in ("sum", "norm")


class Passes:
    """The forward and backward passes of one step.

    Several count when gradients accumulate. What does not: a pass through which no gradient comes
    back, passes whose gradients were set to None without a step (a loss scaler that skips it), and
    the second and later evaluations of a closure.

    Attributes:
        in_closure: the optimizer's step has begun before any gradient came back.
        weight_grads: address of the norm of a weight's gradient, by id of the weight.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.all: list[Pass] = []
        self.in_closure = False
        self.weight_grads: dict[int, Address] = {}
        self._weights: list[torch.nn.Parameter] = []

    @property
    def used(self) -> list[Pass]:
        return [one for one in self.all if one.used]

    @property
    def newest(self) -> Pass:
        if not self.all:  # a submodule called on its own
            self.all.append(Pass(self._buffer))
        return self.all[-1]

    @property
    def closed(self) -> bool:
        """Whether further passes are evaluations of a closure that has been seen."""
        return self.in_closure and any(one.used for one in self.all)

    def begin(self, samples: int) -> None:
        """Start a forward pass; those that nothing came back through are given up."""
        kept = self.used
        if not (kept or self.weight_grads or self.in_closure):
            self._buffer.rewind()
        self.all = [*kept, Pass(self._buffer, samples)]

    def gradient_comes_back(self, current: Pass) -> None:
        """Note that `current` takes part in the step."""
        current.used = True
        current.backward = backward_number()
        if self._weights and all(weight.grad is None for weight in self._weights):
            self.all = [one for one in self.all if one.backward in (current.backward, -1)]
            self.weight_grads.clear()
            self._weights.clear()

    def note_weight_grad(self, weight: torch.nn.Parameter, dtype: torch.dtype) -> Tensor:
        """Return the slot for the norm of a weight's gradient, anew at each accumulation."""
        if id(weight) not in self.weight_grads:
            self._weights.append(weight)
        self.weight_grads[id(weight)], view = self._buffer.slot(weight.device, dtype)
        return view

    def clear(self) -> None:
        """Forget everything: a step has ended."""
        self.all = []
        self.in_closure = False
        self.weight_grads = {}
        self._weights = []
