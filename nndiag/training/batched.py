"""A plain stack of layers as batched operations: what each step of it is for M networks at once.

Axes: M network, B sample, U unit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nndiag.zoo.modules import Residual

State = dict[str, Tensor]
Step = Callable[[State, Tensor, bool], Tensor]


@dataclass
class Many:
    """M networks, as the rules need to know them.

    Attributes:
        names: id of a tensor of the first network -> its stacked name.
        rates: id of a dropout layer of the first network -> the probability of each network.
        draws: a generator each; empty for torch's global one.
    """

    names: Mapping[int, str]
    rates: Mapping[int, Sequence[float]]
    draws: list[torch.Generator] = field(default_factory=list)

    @classmethod
    def of(cls, models: Sequence[nn.Module]) -> Many:
        """Describe networks of one structure."""
        first = models[0]
        tensors = itertools.chain(first.named_parameters(), first.named_buffers())
        rates = {
            id(module): [getattr(model.get_submodule(name), "p") for model in models]  # noqa: B009
            for name, module in first.named_modules()
            if type(module) is nn.Dropout
        }
        return cls(names={id(tensor): name for name, tensor in tensors}, rates=rates)

    def name(self, tensor: Tensor) -> str:
        return self.names[id(tensor)]

    def maybe(self, tensor: Tensor | None) -> str | None:
        return None if tensor is None else self.name(tensor)

    def generator(self, member: int) -> torch.Generator | None:
        return self.draws[member] if self.draws else None


def plan(model: nn.Module, many: Many) -> list[Step] | None:
    """Return the steps of a plain stack of known layers, None for any other module."""
    if any(_has_hooks(module) for module in model.modules()):
        return None
    modules = _flat(model)
    if modules is None:
        return None
    steps = []
    for module in modules:
        step = _rule(module)(module, many)
        if step is None:
            return None
        steps.append(step)
    return steps


def _flat(model: nn.Module) -> list[nn.Module] | None:
    """Return what a Sequential runs, in order (a module that it holds twice runs twice)."""
    if not isinstance(model, nn.Sequential) or type(model).forward is not nn.Sequential.forward:
        return None
    modules: list[nn.Module] = []
    for module in model:
        modules.extend(_flat(module) or [module])
    return modules


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


Rule = Callable[[nn.Module, Many], Step | None]


def _rule(module: nn.Module) -> Rule:
    rule = _RULES.get(type(module))
    if rule is None and type(module).__module__ == "torch.nn.modules.activation":
        return _unknown if isinstance(module, _NOT_POINTWISE) else _pointwise
    return rule or _unknown


_NOT_POINTWISE = (
    *(nn.PReLU, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin),
    *(nn.MultiheadAttention, nn.GLU),
)


def _unknown(module: nn.Module, many: Many) -> None:
    return None


def _flatten(module: nn.Module, many: Many) -> Step | None:
    assert isinstance(module, nn.Flatten)
    if (module.start_dim, module.end_dim) != (1, -1):
        return None
    return lambda state, x, training: x.flatten(2)


def _pointwise(module: nn.Module, many: Many) -> Step:
    return lambda state, x, training: module(x)


def _linear(module: nn.Module, many: Many) -> Step:
    assert isinstance(module, nn.Linear)
    weight, bias = many.name(module.weight), many.maybe(module.bias)

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        if bias is None:
            return torch.bmm(x, state[weight])
        return torch.baddbmm(state[bias][:, None], x, state[weight])

    return step


def _batch_norm(module: nn.Module, many: Many) -> Step | None:
    """Normalise (M, B, U) as one batch of M * U features."""
    assert isinstance(module, nn.BatchNorm1d)
    counted, momentum = module.num_batches_tracked, module.momentum
    if module.running_mean is None or module.running_var is None or counted is None:
        return None
    if momentum is None:
        return None
    mean, variance = many.name(module.running_mean), many.name(module.running_var)
    weight, bias, count = many.maybe(module.weight), many.maybe(module.bias), many.name(counted)

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        members, samples, units = x.shape
        out = nn.functional.batch_norm(
            x.transpose(0, 1).reshape(samples, members * units),
            state[mean].view(-1),
            state[variance].view(-1),
            None if weight is None else state[weight].reshape(-1),
            None if bias is None else state[bias].reshape(-1),
            training=training,
            momentum=momentum,
            eps=module.eps,
        )
        if training:
            state[count].add_(1)
        return out.view(samples, members, units).transpose(0, 1)

    return step


def _layer_norm(module: nn.Module, many: Many) -> Step | None:
    assert isinstance(module, nn.LayerNorm)
    if len(module.normalized_shape) != 1 or module.weight is None or module.bias is None:
        return None
    weight, bias = many.name(module.weight), many.name(module.bias)

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        out = nn.functional.layer_norm(x, x.shape[-1:], eps=module.eps)
        return torch.addcmul(state[bias][:, None], out, state[weight][:, None])

    return step


def _dropout(module: nn.Module, many: Many) -> Step:
    """Zero an entry with its network's probability p, divide the others by 1 - p.

    Each network draws as `nn.functional.dropout` does when it is alone.
    """
    rates = many.rates[id(module)]

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        if not training:
            return x
        kept = x.new_empty(x.shape)
        for member, p in enumerate(rates):
            if p in (0, 1):  # nothing is drawn
                kept[member] = 1 - p
            else:
                kept[member].bernoulli_(1 - p, generator=many.generator(member)).div_(1 - p)
        return x * kept

    return step


def _rrelu(module: nn.Module, many: Many) -> Step:
    """Multiply what is negative by a slope of its own, each network drawing as when alone."""
    assert isinstance(module, nn.RReLU)
    low, high = module.lower, module.upper

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        if not training:
            return nn.functional.rrelu(x, low, high)
        slopes = x.new_empty(x.shape)  # contiguous, as the kernel takes for granted
        with torch.no_grad():
            for member, (own, its) in enumerate(zip(x, slopes, strict=True)):
                torch.ops.aten.rrelu_with_noise(own, its, low, high, True, many.generator(member))
        return x * slopes

    return step


def _residual(module: nn.Module, many: Many) -> Step | None:
    """Add what goes into a block to what comes out."""
    inner = [_rule(child)(child, many) for child in module.children()]
    steps = [step for step in inner if step is not None]
    if len(steps) < len(inner):
        return None

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        out = x
        for each in steps:
            out = each(state, out, training)
        return x + out

    return step


_RULES: dict[type[nn.Module], Rule] = {
    nn.Flatten: _flatten,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Dropout: _dropout,
    nn.RReLU: _rrelu,
    Residual: _residual,
    nn.Identity: _pointwise,
}
