"""Other activations: relu for those that saturate, none on the output layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nndiag.attach.interventions.base import (
    Intervention,
    Layers,
    dense_layers,
    expression,
    output_layer,
    trained_models,
)
from nndiag.attach.patches import Patches
from nndiag.schema.observation import Observation

#: Where the functions live that modules and scripts call. Each is called through one of these.
_SATURATING = ("sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign")
_HOMES: tuple[tuple[Any, str], ...] = tuple(
    (home, name)
    for home in (torch, torch.nn.functional, Tensor)
    for name in (*_SATURATING, "relu")
    if hasattr(home, name)
)


class _InsideModel(Intervention):
    """Replaces activations by where in a model's pass they are called.

    Modules and functional calls alike: `nn.Tanh` itself calls torch.tanh.
    """

    def __init__(self, known: Layers | None = None) -> None:
        super().__init__()
        self._known = known or {}
        self._inside = self._layers_ran = self._output_ran = False

    def instead(self, name: str, x: Tensor) -> Tensor | None:
        """Return what takes the place of an activation, None to leave it."""
        raise NotImplementedError

    @contextmanager
    def _patched(self) -> Iterator[None]:
        patches = Patches()
        for home, name in _HOMES:

            def around(original: Callable[..., Any], name: str = name) -> Callable[..., Any]:
                def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
                    if self._inside and self._layers_ran and isinstance(x, Tensor):
                        other = self.instead(name, x)
                        if other is not None:
                            self.changes += 1
                            return other
                    return original(x, *args, **kwargs)

                return activation

            patches.wrap(home, name, around)
        try:
            yield
        finally:
            patches.undo()

    def active(self) -> Any:
        return self._patched()

    def on_model(self, model: nn.Module) -> None:
        last = output_layer(model, self._known)
        for _name, layer in dense_layers(model):
            layer.register_forward_hook(self._layer_ran)
        if last is not None:
            last.register_forward_hook(self._last_ran)
        model.register_forward_hook(self._left, always_call=True)
        self._enter()

    def on_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self._enter()
        return args, kwargs

    def _enter(self) -> None:
        self._inside, self._layers_ran, self._output_ran = True, False, False

    def _layer_ran(self, layer: nn.Module, args: Any, output: Any) -> None:
        self._layers_ran = True

    def _last_ran(self, layer: nn.Module, args: Any, output: Any) -> None:
        self._layers_ran = self._output_ran = True

    def _left(self, model: nn.Module, args: Any, output: Any) -> None:
        self._inside = False


class ReluInstead(_InsideModel):
    """relu in place of each saturating activation between layers (Glorot et al. 2011).

    What follows the output layer stays as it is.
    """

    name = "act=relu"

    def instead(self, name: str, x: Tensor) -> Tensor | None:
        if name not in _SATURATING or self._output_ran:
            return None
        return torch.ops.aten.relu(x)

    def snippet(self, observation: Observation) -> str:
        lines = []
        for model in trained_models(observation):
            for layer in model.trace.layers:
                text = (layer.activation or "").partition("(")[0]
                if not layer.output and text.lower() in _SATURATING:
                    place = expression(model, layer.name)
                    lines.append(f"- nn.{text}()  # after {place}\n+ nn.ReLU()")
        return "\n".join(lines) or "- torch.sigmoid / torch.tanh between layers\n+ torch.relu"


class LinearOutput(_InsideModel):
    """No relu, tanh or sigmoid after the output layer."""

    name = "linear_output"

    def instead(self, name: str, x: Tensor) -> Tensor | None:
        return x if self._output_ran else None

    def snippet(self, observation: Observation) -> str:
        lines = []
        for model in trained_models(observation):
            for layer in model.trace.layers:
                if layer.output:
                    text = (layer.activation or "relu").partition("(")[0]
                    lines.append(f"- {text}  # after {expression(model, layer.name)}")
        return "\n".join(lines)
