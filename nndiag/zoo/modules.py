"""The few modules that torch does not have. Imports torch: load it inside functions only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nndiag.zoo.sequences import as_sequence


class SkipInit(TorchFunctionMode):
    """Within it, new layers keep the memory they get: no draws, the global generator untouched.

    Faster than `torch.nn.utils.skip_init`, which goes through the meta device layer by layer.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


class Hollow(TorchFunctionMode):
    """Within it, new tensors of a network have a shape and no memory.

    Unlike `torch.device("meta")` it leaves sequences and tables alone, whose numbers constructors
    read (RegNet computes its widths with torch); `emptied` takes those away afterwards.
    """

    _FILLED = frozenset(
        {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.normal}
    )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in self._FILLED and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def emptied(model: nn.Module) -> nn.Module:
    """Take the values of a network away; unlike with `.to("meta")`, what was tied stays tied."""
    known: dict[int, tuple[Any, Any]] = {}  # with the original, whose id must not be given away

    def hollow(tensor: torch.Tensor) -> Any:
        if id(tensor) not in known:
            empty = tensor.detach().to("meta")
            if isinstance(tensor, nn.Parameter):
                empty = nn.Parameter(empty, requires_grad=tensor.requires_grad)
            known[id(tensor)] = tensor, empty
        return known[id(tensor)][1]

    for part in model.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                held[name] = None if tensor is None else hollow(tensor)
    return model


class TensorFunction(nn.Module):
    """A user's function of a tensor as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
        super().__init__()
        self.function = function
        self.name = name

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(inputs)

    def extra_repr(self) -> str:
        return self.name


class Residual(nn.Sequential):
    """A block that adds its input to its output (He et al. 2016)."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return inputs + outputs


class ElmanCell(nn.Module):
    """One step of a simple recurrent layer, h' = act(norm(W x + b + U h)) (Elman 1990)."""

    def __init__(
        self, inputs: int, hidden: int, act: nn.Module, norm: nn.Module | None = None
    ) -> None:
        super().__init__()
        with SkipInit():
            self.input = nn.Linear(inputs, hidden)
            self.recurrent = nn.Linear(hidden, hidden, bias=False)
        self.norm = norm
        self.act = act

    def forward(self, inputs: torch.Tensor, state: torch.Tensor | None = None) -> torch.Tensor:
        """Return the next state (B, hidden) from inputs (B, inputs); the first state is 0."""
        if state is None:
            state = inputs.new_zeros(inputs.shape[0], self.recurrent.in_features)
        total = self.input(inputs) + self.recurrent(state)
        if self.norm is not None:
            total = self.norm(total)
        output: torch.Tensor = self.act(total)
        return output


class LSTMCell(nn.LSTMCell):
    """`nn.LSTMCell` spelled out: torch's fused kernel does not run under `torch.func.vmap`."""

    def forward(
        self, inputs: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (hidden, cell), each (B, hidden), from inputs (B, inputs)."""
        if state is None:
            zeros = inputs.new_zeros(inputs.shape[0], self.hidden_size)
            state = zeros, zeros
        hidden, cell = state
        total = F.linear(inputs, self.weight_ih, self.bias_ih)
        total = total + F.linear(hidden, self.weight_hh, self.bias_hh)
        take, keep, new, show = total.chunk(4, -1)
        cell = keep.sigmoid() * cell + take.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell


class GRUCell(nn.GRUCell):
    """`nn.GRUCell` spelled out: torch's fused kernel loops over members under vmap."""

    def forward(self, inputs: torch.Tensor, state: torch.Tensor | None = None) -> torch.Tensor:
        """Return the next state (B, hidden) from inputs (B, inputs)."""
        if state is None:
            state = inputs.new_zeros(inputs.shape[0], self.hidden_size)
        reset_i, keep_i, new_i = F.linear(inputs, self.weight_ih, self.bias_ih).chunk(3, -1)
        reset_h, keep_h, new_h = F.linear(state, self.weight_hh, self.bias_hh).chunk(3, -1)
        new = torch.tanh(new_i + (reset_i + reset_h).sigmoid() * new_h)
        return new + (keep_i + keep_h).sigmoid() * (state - new)


class Recurrent(nn.Module):
    """Stacked recurrent cells, unrolled through time, and a linear read-out of the last state.

    Args:
        cells: input side first, by name; a cell maps (inputs, state) to its next state, or to a
            tuple whose first entry is the output (LSTM).
        fc: the read-out.
        dropout: probability of zeroing an output on its way up (Zaremba et al. 2014: never on
            its way through time).
        residual: add a layer's input to its output where their sizes agree.
    """

    def __init__(
        self, cells: Mapping[str, nn.Module], fc: nn.Module, *, dropout: float, residual: bool
    ) -> None:
        super().__init__()
        self.cell_names = tuple(cells)
        for name, cell in cells.items():
            self.add_module(name, cell)
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.fc = fc
        self.residual = residual

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, classes) of a batch (B, *input_shape)."""
        sequence = as_sequence(batch)
        for name in self.cell_names:
            outputs = self._unroll(self.get_submodule(name), sequence)
            if self.dropout is not None:
                outputs = self.dropout(outputs)
            agree = outputs.shape[-1] == sequence.shape[-1]
            sequence = sequence + outputs if self.residual and agree else outputs
        scores: torch.Tensor = self.fc(sequence[-1])
        return scores

    @staticmethod
    def _unroll(cell: nn.Module, sequence: torch.Tensor) -> torch.Tensor:
        """Return the outputs (steps, B, hidden) of one layer on (steps, B, features)."""
        state, outputs = None, []
        for inputs in sequence.unbind():
            state = cell(inputs, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs)
