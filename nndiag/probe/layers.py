"""Which modules are layers, and the facts of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.utils.parametrize import ParametrizationList

from nndiag.theory.saturation import Tails


@dataclass(eq=False)
class Layer:
    """A module that owns a matrix, and what the probe has learnt about it.

    Attributes:
        weights: its own parameters of two or more axes.
        unit_axis: the axis of units in its output (channels of a convolution: 1).
        activation: repr of the activation that follows, None until one is seen.
        exact: accumulate its norms in float64 (small or large values, or not known yet).
        centre: a number near the mean activation, 0 unless the mean is large beside the spread.
        position: its place among the layers that ran, by the first recorded call; -1 until then.
        rank: its place in the order of first execution, recorded or not.
        live: (U,) whether a unit had a non-zero slope in this window and in the one before.
        all_live: each unit had one in this window: there is nothing to look for until the next.
    """

    name: str
    module: nn.Module
    weights: list[nn.Parameter]
    unit_axis: int
    activation: str | None = None
    tails: Tails | None = None
    exact: bool = True
    centre: float = 0.0
    position: int = -1
    rank: float = -1
    calls: int = 0
    output_size: int = 0
    live: list[Tensor | None] = field(default_factory=lambda: [None, None])
    all_live: bool = False

    @property
    def rows_a_unit(self) -> int:
        """Rows of the weight that hold the incoming weights of one unit; 0 where it is not rows.

        A gated cell has a block of rows a gate, and one row of each block a unit.
        """
        if isinstance(self.module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return 1
        if isinstance(self.module, nn.RNNBase | nn.RNNCellBase):
            return int(self.weights[0].shape[0] // self.module.hidden_size)
        return 0

    @property
    def fans(self) -> tuple[int, int]:
        """Inputs and outputs of a unit; a convolution counts its kernel area."""
        weight = self.weights[0]
        if isinstance(self.module, Matrix) and weight.ndim == 2:
            return weight.shape[0], weight.shape[1]
        return weight[0].numel(), weight.shape[0]


class Matrix(nn.Module):
    """A matrix of a script's that belongs to no module; it makes a layer of it.

    Args:
        weight: (fan_in, fan_out) where it is used as `x @ weight`, which nothing tells; or the
            kernel (fan_out, ...) of a convolution.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self._parameters["weight"] = weight  # type: ignore[assignment]  # may be a plain tensor


_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def find_layers(model: nn.Module) -> list[Layer]:
    """Return every module with a matrix of its own, in definition order.

    A module that contains layers is one itself only if it owns a matrix that is called a weight:
    the position table of a vision transformer makes no layer of the whole model.
    """
    layers = []
    for name, module in model.named_modules():
        if isinstance(module, ParametrizationList | NonDynamicallyQuantizableLinear):
            continue  # the latter is a part of nn.MultiheadAttention that is never called
        weights = _matrices(module)
        if weights and (_called_weight(module) or not _contains_layers(module)):
            axis = 1 if isinstance(module, _CONVOLUTIONS) else -1
            layers.append(Layer(name or "model", module, weights, axis))
    return layers


def _contains_layers(module: nn.Module) -> bool:
    return any(
        _matrices(inner)
        for inner in module.modules()
        if inner is not module and not isinstance(inner, ParametrizationList)
    )


def _called_weight(module: nn.Module) -> bool:
    names = [name for name, matrix in _own(module) if _is_matrix(name, matrix)]
    return any(name.lower().startswith("w") or "weight" in name for name in names)


def _matrices(module: nn.Module) -> list[nn.Parameter]:
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return []  # lazy ones do not show yet that their weight is a vector
    return [matrix for name, matrix in _own(module) if _is_matrix(name, matrix)]


def _own(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return the module's own parameters; of a parametrised one, those it is computed from."""
    own = list(module.named_parameters(recurse=False))
    parametrised: Any = getattr(module, "parametrizations", {})
    for name, lists in parametrised.items():
        own.extend((name, matrix) for matrix in lists.parameters(recurse=False))
    return own


def _is_matrix(name: str, parameter: nn.Parameter) -> bool:
    if isinstance(parameter, nn.parameter.UninitializedParameter):
        return name != "bias"  # of a lazy layer: it gets its shape in the first pass
    return parameter.ndim >= 2


def first_tensor(value: object) -> Tensor | None:
    """Return the first floating-point tensor in a module's output: itself, or nested in it."""
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    return next(_floats(value), None)


def all_tensors(value: object) -> list[Tensor]:
    """Return every floating-point tensor in a module's output."""
    return list(_floats(value))


def _floats(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
        return
    for item in value.values() if isinstance(value, dict) else value if _listed(value) else ():
        yield from _floats(item)


def _listed(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(value, list | tuple)


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
