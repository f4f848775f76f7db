"""The forward pass of many networks of one structure: (M, B, ...) in, (M, B, classes) out.

Stacks of fully connected layers run as batched matrix products; everything else under
`torch.func.vmap`. Both compute what each network computes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

State = dict[str, Tensor]
Forward = Callable[[Tensor], Tensor]


class Stacked:
    """M networks with stacked parameters.

    Attributes:
        parameters, buffers: name -> (M, ...) tensors; parameters require gradients.
        batched: whether batched matrix products are used.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self._template = models[0]
        self.members = len(models)
        parameters, buffers = stack_module_state(list(models))
        self.parameters: State = {
            name: value.detach().requires_grad_() for name, value in parameters.items()
        }
        self.buffers: State = dict(buffers)
        steps = _plan(models[0])
        self.batched = steps is not None
        self._steps = steps or []

    def forward(self, x: Tensor, *, training: bool) -> Tensor:
        """Return (M, B, classes) for inputs (M, B, *input_shape)."""
        if self._template.training is not training:
            self._template.train(training)
        if self.batched:
            for step in self._steps:
                x = step(self, x, training)
            return x
        return vmap(self._one, randomness="different")(self.parameters, self.buffers, x)

    def _one(self, parameters: State, buffers: State, x: Tensor) -> Tensor:
        return functional_call(self._template, (parameters, buffers), (x,))


Step = Callable[[Stacked, Tensor, bool], Tensor]


def _plan(model: nn.Module) -> list[Step] | None:
    """Return the steps of a plain stack of known layers, None for any other module."""
    if not isinstance(model, nn.Sequential):
        return None
    steps = []
    for name, module in model.named_children():
        make = _RULES.get(type(module))
        if make is None and type(module).__module__ == "torch.nn.modules.activation":
            make = None if isinstance(module, _NOT_POINTWISE) else _pointwise
        if make is None:
            return None
        steps.append(make(name, module))
    return steps


_NOT_POINTWISE = (nn.PReLU, nn.Softmax, nn.LogSoftmax, nn.MultiheadAttention, nn.GLU, nn.Softmin)


def _flatten(name: str, module: nn.Module) -> Step:
    return lambda stacked, x, training: x.flatten(2)


def _pointwise(name: str, module: nn.Module) -> Step:
    # Dropout and rrelu draw a number an entry, so every member gets its own.
    return lambda stacked, x, training: module(x)


def _linear(name: str, module: nn.Module) -> Step:
    def step(stacked: Stacked, x: Tensor, training: bool) -> Tensor:
        weight = stacked.parameters[f"{name}.weight"].transpose(1, 2)
        bias = stacked.parameters.get(f"{name}.bias")
        return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias[:, None], x, weight)

    return step


def _batch_norm(name: str, module: nn.Module) -> Step:
    """Normalise (M, B, U) as one batch of M * U features."""

    def step(stacked: Stacked, x: Tensor, training: bool) -> Tensor:
        assert isinstance(module, nn.BatchNorm1d)
        members, samples, units = x.shape
        wide = x.transpose(0, 1).reshape(samples, members * units)
        mean = stacked.buffers[f"{name}.running_mean"]
        variance = stacked.buffers[f"{name}.running_var"]
        out = nn.functional.batch_norm(
            wide,
            mean.view(-1),
            variance.view(-1),
            stacked.parameters[f"{name}.weight"].reshape(-1),
            stacked.parameters[f"{name}.bias"].reshape(-1),
            training=training,
            momentum=module.momentum if module.momentum is not None else 0.1,
            eps=module.eps,
        )
        if training:
            stacked.buffers[f"{name}.num_batches_tracked"].add_(1)
        return out.view(samples, members, units).transpose(0, 1)

    return step


def _layer_norm(name: str, module: nn.Module) -> Step:
    def step(stacked: Stacked, x: Tensor, training: bool) -> Tensor:
        assert isinstance(module, nn.LayerNorm)
        out = nn.functional.layer_norm(x, x.shape[-1:], eps=module.eps)
        weight = stacked.parameters[f"{name}.weight"][:, None]
        return torch.addcmul(stacked.parameters[f"{name}.bias"][:, None], out, weight)

    return step


_RULES: dict[type[nn.Module], Callable[[str, nn.Module], Step]] = {
    nn.Flatten: _flatten,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Dropout: _pointwise,
    nn.Identity: _pointwise,
}
