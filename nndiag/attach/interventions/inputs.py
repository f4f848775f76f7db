"""Changes of what a model is given: its input, and the mode that it runs in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nndiag.attach.inputs import first_float
from nndiag.attach.interventions.base import Intervention, trained_models
from nndiag.schema.observation import Observation

_BATCHES = 16  # training batches from which the statistics come


class StandardisedInput(Intervention):
    """Each feature of the input to mean 0 and deviation 1 (LeCun et al. 1998, section 4.3).

    Feature: the last axis; of images (B, C, H, W) the channel. The statistics come from the first
    16 training batches, are refined with each of them, and stay from then on.
    """

    name = "standardise_input"

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[int, list[Tensor]] = {}
        self._batches: dict[int, int] = {}

    def on_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x = first_float(args, kwargs)
        if x is None or x.requires_grad:
            return args, kwargs
        learning = model.training and torch.is_grad_enabled()
        if learning and self._batches.get(id(model), 0) < _BATCHES:
            self._learn(id(model), x)
        if id(model) not in self._sums:
            return args, kwargs
        y = self._standardised(id(model), x)
        self.changes += 1
        swapped = tuple(_swap(value, x, y) for value in args)
        return swapped, {name: _swap(value, x, y) for name, value in kwargs.items()}

    @torch.no_grad()
    def _learn(self, key: int, x: Tensor) -> None:
        rows = _rows(x).double()
        finite = torch.isfinite(rows)
        rows = torch.where(finite, rows, torch.zeros_like(rows))
        sums = [finite.sum(0).double(), rows.sum(0), rows.square().sum(0)]
        known = self._sums.get(key)
        if known is not None and known[0].shape != sums[0].shape:
            return
        self._sums[key] = (
            sums if known is None else [a + b for a, b in zip(known, sums, strict=True)]
        )
        self._batches[key] = self._batches.get(key, 0) + 1

    @torch.no_grad()
    def _standardised(self, key: int, x: Tensor) -> Tensor:
        count, total, squares = self._sums[key]
        if count.shape[0] != _rows(x).shape[1]:
            return x
        mean = total / count.clamp(min=1)
        std = (squares / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
        std = torch.where(std > 1e-6 * mean.abs().clamp(min=1e-30), std, torch.ones_like(std))
        shape = [1] * x.ndim
        shape[_axis(x)] = -1
        return ((x.double() - mean.view(shape)) / std.view(shape)).to(x.dtype)

    def snippet(self, observation: Observation) -> str:
        models = trained_models(observation)
        shape = models[0].input.shape if models and models[0].input is not None else ()
        axes = "(0, 2, 3)" if len(shape) == 3 else tuple(range(len(shape))) or 0
        axes = 0 if axes == (0,) else axes
        return (
            f"+ mean, std = x_train.mean({axes}, keepdim=True), x_train.std({axes}, keepdim=True)\n"
            "+ x = (x - mean) / std.clamp(min=1e-8)  # the same two for training and evaluation"
        )


class CorrectedMode(Intervention):
    """Passes with gradients on in training mode, others in evaluation mode; then as before."""

    name = "mode"

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[int, list[tuple[nn.Module, bool]]] = {}

    def on_model(self, model: nn.Module) -> None:
        model.register_forward_hook(self._restore, always_call=True)
        self._correct(model)

    def on_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self._correct(model)
        return args, kwargs

    def _correct(self, model: nn.Module) -> None:
        wanted = torch.is_grad_enabled()
        if model.training != wanted and id(model) not in self._before:
            self._before[id(model)] = [(m, m.training) for m in model.modules()]
            model.train(wanted)
            self.changes += 1

    def _restore(self, model: nn.Module, args: Any, output: Any) -> None:
        for module, mode in self._before.pop(id(model), ()):
            module.training = mode

    def snippet(self, observation: Observation) -> str:
        models = trained_models(observation)
        name = models[0].name if models else "model"
        return (
            f"+ {name}.train()  # before the batches of each epoch\n"
            f"+ {name}.eval()   # before each evaluation, with torch.no_grad()"
        )


def _axis(x: Tensor) -> int:
    return 1 if x.ndim == 4 else x.ndim - 1


def _rows(x: Tensor) -> Tensor:
    """Return (N, features)."""
    return x.movedim(_axis(x), -1).reshape(-1, x.shape[_axis(x)])


def _swap(value: Any, old: Tensor, new: Tensor) -> Any:
    """Return the value with one tensor in it replaced."""
    if value is old:
        return new
    if type(value) in (list, tuple):
        return type(value)(_swap(item, old, new) for item in value)
    if type(value) is dict:
        return {key: _swap(item, old, new) for key, item in value.items()}
    return value
