"""A normalisation after each hidden layer, or another kind in place of the one there is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nndiag.attach.interventions.base import (
    TRANSPOSED,
    Intervention,
    Layers,
    dense_layers,
    expression,
    holding,
    output_layer,
    trained_models,
)
from nndiag.schema.observation import Observation

_CHILD = "inserted_norm"


class InsertedNorm(Intervention):
    """BatchNorm or LayerNorm between each hidden linear or convolution layer and its activation.

    A model that has batch normalisations gets the other kind in their place. New parameters join
    the optimizer group that holds the layer's weight.

    Args:
        kind: `batch` (Ioffe & Szegedy 2015) or `layer` (Ba et al. 2016; for convolutions one
            group over all channels, Wu & He 2018).
    """

    def __init__(self, kind: str, known: Layers | None = None) -> None:
        super().__init__()
        self.kind = kind
        self.name = f"norm={kind}"
        self._known = known or {}
        self._joining: list[tuple[nn.Parameter | None, nn.Module]] = []

    def on_model(self, model: nn.Module) -> None:
        norms = [(n, m) for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
        if norms and self.kind == "layer":
            for name, norm in norms:
                self._replace(model, name, norm)
            return
        last = output_layer(model, self._known)
        for _name, layer in list(dense_layers(model)):
            if layer is not last:
                self._insert(layer)

    def _replace(self, model: nn.Module, name: str, norm: _BatchNorm) -> None:
        new = nn.GroupNorm(1, norm.num_features)
        weight = norm.weight
        new.train(norm.training).to(next(model.parameters()).device)
        parent, _dot, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, new)
        self._joining.append((weight, new))
        self.changes += 1

    def _insert(self, layer: nn.Module) -> None:
        weight: Any = layer.weight
        if isinstance(weight, nn.parameter.UninitializedParameter):
            return
        width = weight.shape[1] if isinstance(layer, TRANSPOSED) else weight.shape[0]
        width *= getattr(layer, "groups", 1) if isinstance(layer, TRANSPOSED) else 1
        norm = _norm(self.kind, layer, width).to(weight.device, weight.dtype).train(layer.training)
        layer.add_module(_CHILD, norm)
        layer.register_forward_hook(_normalise)
        self._joining.append((weight, norm))
        self.changes += 1

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        for weight, norm in list(self._joining):
            group = None if weight is None else holding(optimizer, weight)
            if group is None:
                continue
            held = {id(p) for one in optimizer.param_groups for p in one["params"]}
            group["params"].extend(p for p in norm.parameters() if id(p) not in held)
            self._joining.remove((weight, norm))

    def snippet(self, observation: Observation) -> str:
        lines = []
        for model in trained_models(observation):
            if model.batch_norms and self.kind == "layer":
                lines += [
                    f"- {expression(model, name)}: BatchNorm\n"
                    f"+ {expression(model, name)} = nn.GroupNorm(1, channels)"
                    for name in model.batch_norms
                ]
                continue
            for layer in model.trace.layers:
                written = _written(self.kind, layer.kind, layer.fan_out)
                if not layer.output and written:
                    lines.append(f"+ {written}  # after {expression(model, layer.name)}")
        return "\n".join(lines)


def _norm(kind: str, layer: nn.Module, width: int) -> nn.Module:
    """Return the normalisation of (N, width) rows of a linear layer, or of (B, width, ...)."""
    if kind == "layer":
        return nn.LayerNorm(width) if isinstance(layer, nn.Linear) else nn.GroupNorm(1, width)
    if isinstance(layer, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
        return nn.BatchNorm1d(width)
    if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
        return nn.BatchNorm3d(width)
    return nn.BatchNorm2d(width)


def _normalise(layer: nn.Module, args: Any, output: Tensor) -> Tensor:
    norm: nn.Module = getattr(layer, _CHILD)
    if isinstance(norm, nn.BatchNorm1d) and isinstance(layer, nn.Linear) and output.ndim != 2:
        rows: Tensor = norm(output.reshape(-1, output.shape[-1]))
        return rows.reshape(output.shape)
    normal: Tensor = norm(output)
    return normal


def _written(kind: str, layer: str, width: int) -> str:
    if layer not in ("Linear", "Conv1d", "Conv2d", "Conv3d"):
        return ""
    if kind == "layer":
        return f"nn.LayerNorm({width})" if layer == "Linear" else f"nn.GroupNorm(1, {width})"
    return f"nn.BatchNorm{layer[-2] if layer != 'Linear' else 1}d({width})"
