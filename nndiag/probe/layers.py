"""Which modules are layers, and the facts of each."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from nndiag.theory.saturation import Tails


@dataclass(eq=False)
class Layer:
    """A module that owns a matrix, and what the probe has learnt about it.

    Attributes:
        weights: its own parameters of two or more axes.
        unit_axis: the axis of units in its output (channels of a convolution: 1).
        activation: repr of the activation that follows, None until one is seen.
        exact: accumulate its norms in float64 (small or large values, or an exact probe).
        position: order of first execution, from 0; None until it has run.
        live: (U,) whether a unit had a non-zero slope in this window and in the one before.
    """

    name: str
    module: nn.Module
    weights: list[nn.Parameter]
    unit_axis: int
    activation: str | None = None
    tails: Tails | None = None
    exact: bool = True
    position: int | None = None
    calls: int = 0
    output_size: int = 0
    live: list[Tensor | None] = field(default_factory=lambda: [None, None])

    @property
    def rows_are_units(self) -> bool:
        """Whether row u of the weight holds the incoming weights of unit u."""
        return isinstance(self.module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)

    @property
    def fans(self) -> tuple[int, int]:
        """Inputs and outputs of a unit; a convolution counts its kernel area."""
        weight = self.weights[0]
        return weight[0].numel(), weight.shape[0]


_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def find_layers(model: nn.Module) -> list[Layer]:
    """Return every module with a parameter of at least two axes of its own, in definition order."""
    layers = []
    for name, module in model.named_modules():
        if isinstance(module, ParametrizationList):
            continue
        weights = _matrices(module)
        if weights:
            axis = 1 if isinstance(module, _CONVOLUTIONS) else -1
            layers.append(Layer(name or "model", module, weights, axis))
    return layers


def _matrices(module: nn.Module) -> list[nn.Parameter]:
    own = list(module.parameters(recurse=False))
    for lists in getattr(module, "parametrizations", {}).values():
        own.extend(lists.parameters(recurse=False))
    return [
        parameter
        for parameter in own
        if not isinstance(parameter, nn.parameter.UninitializedParameter) and parameter.ndim >= 2
    ]


def first_tensor(value: object) -> Tensor | None:
    """Return the first floating-point tensor in a module's output: itself, or nested in it."""
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            found = first_tensor(item)
            if found is not None:
                return found
    return None


def batch_size(args: tuple[object, ...], kwargs: dict[str, object]) -> int | None:
    """Return the length of the first tensor among a call's arguments."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor) and value.ndim:
            return int(value.shape[0])
        if isinstance(value, list | tuple | dict):
            items = value.values() if isinstance(value, dict) else value
            inner = batch_size(tuple(items), {})
            if inner is not None:
                return inner
    return None
