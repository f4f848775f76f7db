"""What a change made at run time can do, and where it finds the layers of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from nndiag.schema.observation import ModelRecord, Observation

#: Layers as a first run saw them: class name of the model -> layer -> repr of the activation that
#: follows it ("" for none), in order of execution. JSON holds it as it is.
Layers = Mapping[str, Mapping[str, str]]

DENSE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Intervention:
    """One change of a training; this one changes nothing.

    Attributes:
        name: stable; `parse` reads it back.
        changes: how often it found something to change. 0 after a run: it did not apply.
        by_hand: the script moves its weights itself: there is no optimizer to act on.
    """

    name = ""
    by_hand = False

    def __init__(self) -> None:
        self.changes = 0

    def active(self) -> AbstractContextManager[None]:
        """Return a context that holds while the script runs."""
        return nullcontext()

    def on_model(self, model: nn.Module) -> None:
        """Change a model before its first pass."""

    def on_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that a model gets instead of these."""
        return args, kwargs

    def on_backward(self, loss: Tensor) -> None:
        """Act before a backward pass."""

    def on_loss(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None:
        """Return another value for a call of torch.nn.functional.<function>, None for its own."""
        return None

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Act before an optimizer steps."""

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Act after an optimizer stepped."""

    def snippet(self, observation: Observation) -> str:
        """Return the lines that make the change in the script itself."""
        return ""


def layers_of(observation: Observation) -> dict[str, dict[str, str]]:
    """Return the layers of an observed run by model, in order of execution."""
    return {
        model.kind: {layer.name: layer.activation or "" for layer in model.trace.layers}
        for model in observation.models
        if model.trace.layers
    }


def dense_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield linear and convolution layers by name, in definition order.

    Parts of nn.MultiheadAttention, which uses their weights without calling them, are left out.
    """
    inside = {
        id(part)
        for attention in model.modules()
        if isinstance(attention, nn.MultiheadAttention)
        for part in attention.modules()
    }
    for name, module in model.named_modules():
        if isinstance(module, DENSE + TRANSPOSED) and id(module) not in inside:
            yield name, module


def output_layer(model: nn.Module, known: Layers) -> nn.Module | None:
    """Return the layer whose output reaches the loss: the last one executed, else defined."""
    names = list(known.get(type(model).__name__, ()))
    if names:
        found = dict(model.named_modules()).get(names[-1])
        if found is not None:
            return found
    return next((module for _name, module in reversed(list(dense_layers(model)))), None)


def activation_name(text: str) -> str:
    """Return `relu` for `ReLU(inplace=True)`, "linear" for the empty text."""
    return text.partition("(")[0].strip().lower().replace("_", "") or "linear"


def activations_of(model: nn.Module, known: Layers) -> dict[str, str]:
    """Return the activation after each layer, by the layer's name.

    From the run where it was observed, else the next activation module in definition order; a
    model without any activation module is taken to call F.relu.
    """
    seen = known.get(type(model).__name__)
    if seen:
        return {layer: activation_name(text) for layer, text in seen.items()}
    found: dict[str, str] = {}
    waiting = ""
    for name, module in model.named_modules():
        if isinstance(module, DENSE + TRANSPOSED):
            found[name], waiting = "", name
        elif type(module).__module__ == "torch.nn.modules.activation" and waiting:
            found[waiting], waiting = activation_name(repr(module)), ""
    default = "linear" if any(found.values()) else "relu"
    last = list(found)[-1:]
    return {
        layer: name or ("linear" if [layer] == last else default) for layer, name in found.items()
    }


def expression(model: ModelRecord, layer: str) -> str:
    """Return the code of a layer: `net.head[2]` for the layer `head.2` of the model `net`."""
    parts = layer.split(".")
    return model.name + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)


def trained_models(observation: Observation) -> list[ModelRecord]:
    """Return the models that gradients came back through."""
    return [model for model in observation.models if model.training_passes]


def holding(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Any] | None:
    """Return the group of an optimizer that holds a parameter."""
    for group in optimizer.param_groups:
        if any(parameter is one for one in group["params"]):
            return group
    return None
