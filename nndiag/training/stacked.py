"""The forward pass of many networks of one structure: (M, B, ...) in, (M, B, classes) out.

Stacks of fully connected layers run as batched matrix products; everything else under
`torch.func.vmap`. Both compute what each network computes alone.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from nndiag.training.structure import structure

State = dict[str, Tensor]


def alike(model: nn.Module) -> Hashable:
    """Return facts that are equal for networks that one `Stacked` can hold.

    Where batched products run the networks, their dropout rates may differ.
    """
    tensors = itertools.chain(model.named_parameters(), model.named_buffers())
    names = _Names({id(tensor): name for name, tensor in tensors})
    return structure(model, own_dropout=_plan(model, names) is not None)


class Stacked:
    """M networks with stacked parameters.

    Attributes:
        template: the first of the networks, whose own tensors are not used.
        parameters, buffers: name -> (M, ...) tensors; parameters require gradients where the
            networks' own do. Shared tensors are there once, under their first name. Where
            `batched`, a matrix is (M, in, out), the transpose of what `nn.Linear` keeps.
        batched: whether batched matrix products are used.

    Raises:
        ValueError: the networks differ in structure (see `alike`).
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        if len({alike(model) for model in models}) > 1:
            raise ValueError("networks of different structure cannot be stacked")
        self.template = models[0]
        self.members = len(models)
        trainable = {name: p.requires_grad for name, p in models[0].named_parameters()}
        parameters, buffers = stack_module_state(list(models))
        self.parameters: State = {
            name: value.detach().requires_grad_(trainable[name])
            for name, value in parameters.items()
        }
        self.buffers: State = dict(buffers)
        self._names = {
            id(tensor): name
            for name, tensor in itertools.chain(
                models[0].named_parameters(), models[0].named_buffers()
            )
        }
        names = _Names(self._names, _dropout_rates(models))
        self._steps = _plan(models[0], names) or []
        self._own_dropout = bool(names.dropout)
        self.batched = bool(self._steps)
        self._turned = self._turn() if self.batched else set()

    def forward(self, x: Tensor, *, training: bool) -> Tensor:
        """Return (M, B, classes) for inputs (M, B, *input_shape)."""
        if self.template.training is not training:
            self.template.train(training)
        if self.batched:
            state = self.parameters | self.buffers
            for step in self._steps:
                x = step(state, x, training)
            return x
        return vmap(self._one, randomness="different")(self._as_of_modules(), self.buffers, x)

    def rehearse(self, x: Tensor) -> None:
        """Check on inputs (M, B, *input_shape) that one pass can do what each network does alone.

        Nothing is left changed but the random state. Where batched products fail, vmap is tried.

        Raises:
            Exception: any, where a network cannot run under vmap or is itself at fault.
        """
        alone = _changed_alone(self.template, x[0])
        try:
            together = self._changed(x)
        except Exception:
            if not self.batched or self._own_dropout:
                raise
            self.batched = False
            together = self._changed(x)
        if alone != together:
            # `self.mean = ...` in a forward pass is lost when the module is called functionally.
            raise NotImplementedError("a buffer is replaced instead of updated in place")

    def states(self) -> State:
        """Return parameters and buffers under the names of `state_dict`, detached."""
        stacks = self._as_of_modules() | self.buffers
        return {
            name: stacks[self._names[id(tensor)]].detach()
            for name, tensor in self.template.state_dict(keep_vars=True).items()
            if id(tensor) in self._names
        }

    def _turn(self) -> set[str]:
        """Keep matrices as (M, in, out), as the backward pass writes their gradients.

        A gradient laid out otherwise than its parameter is copied, a sixth of a step.
        """
        turned = {name for name, value in self.parameters.items() if value.ndim == 3}
        for name in turned:
            value = self.parameters[name]
            stored = value.detach().transpose(1, 2).contiguous()
            self.parameters[name] = stored.requires_grad_(value.requires_grad)
        return turned

    def gradients(self) -> State:
        """Return the gradients, under the names and in the shapes of `named_parameters`."""
        return {
            name: self._as_of_module(name, value.grad)
            for name, value in self.parameters.items()
            if value.grad is not None
        }

    def _as_of_modules(self) -> State:
        return {name: self._as_of_module(name, value) for name, value in self.parameters.items()}

    def _as_of_module(self, name: str, value: Tensor) -> Tensor:
        return value.transpose(1, 2) if name in self._turned else value

    def _changed(self, x: Tensor) -> set[str]:
        """Return the buffers that a pass there and back changes, on copies of them."""
        kept = self.buffers
        self.buffers = {name: value.clone() for name, value in kept.items()}
        try:
            out = self.forward(x.clone(), training=True)
            wanted = [p for p in self.parameters.values() if p.requires_grad]
            torch.autograd.grad(out.sum(), wanted, allow_unused=True)
            changed = _different(kept, self.buffers)
            self.forward(x.clone(), training=False)
        finally:
            self.buffers = kept
        return changed

    def _one(self, parameters: State, buffers: State, x: Tensor) -> Tensor:
        return functional_call(self.template, (parameters, buffers), (x,))


def _changed_alone(model: nn.Module, x: Tensor) -> set[str]:
    model = copy.deepcopy(model).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    with torch.no_grad():
        model(x.clone())
    return _different(before, dict(model.named_buffers()))


def _different(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    return {
        name
        for name, value in before.items()
        if value.shape != after[name].shape
        or not torch.allclose(value, after[name], rtol=0, atol=0, equal_nan=True)
    }


Step = Callable[[State, Tensor, bool], Tensor]


@dataclass(frozen=True)
class _Names:
    """Finds the stacked name of a module's own tensor.

    Attributes:
        dropout: id of a dropout module -> (M,) probabilities, where the networks differ in them.
    """

    by_id: Mapping[int, str]
    dropout: Mapping[int, Tensor] = field(default_factory=dict)

    def of(self, tensor: Tensor) -> str:
        return self.by_id[id(tensor)]

    def maybe(self, tensor: Tensor | None) -> str | None:
        return None if tensor is None else self.by_id[id(tensor)]


def _dropout_rates(models: Sequence[nn.Module]) -> dict[int, Tensor]:
    rates = {}
    for name, module in models[0].named_modules():
        if type(module) is nn.Dropout:
            of_all = [model.get_submodule(name).p for model in models]
            if len(set(of_all)) > 1:
                rates[id(module)] = torch.tensor(of_all)
    return rates


def _plan(model: nn.Module, names: _Names) -> list[Step] | None:
    """Return the steps of a plain stack of known layers, None for any other module."""
    if any(_has_hooks(module) for module in model.modules()):
        return None
    modules = _flat(model)
    if modules is None:
        return None
    steps = []
    for module in modules:
        step = _rule(module)(module, names)
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


Rule = Callable[[nn.Module, _Names], Step | None]


def _rule(module: nn.Module) -> Rule:
    rule = _RULES.get(type(module))
    if rule is None and type(module).__module__ == "torch.nn.modules.activation":
        return _unknown if isinstance(module, _NOT_POINTWISE) else _pointwise
    return rule or _unknown


_NOT_POINTWISE = (
    *(nn.PReLU, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin),
    *(nn.MultiheadAttention, nn.GLU),
)


def _unknown(module: nn.Module, names: _Names) -> None:
    return None


def _flatten(module: nn.Module, names: _Names) -> Step | None:
    assert isinstance(module, nn.Flatten)
    if (module.start_dim, module.end_dim) != (1, -1):
        return None
    return lambda state, x, training: x.flatten(2)


def _pointwise(module: nn.Module, names: _Names) -> Step:
    # Dropout and rrelu draw a number an entry, so every member gets its own.
    return lambda state, x, training: module(x)


def _linear(module: nn.Module, names: _Names) -> Step:
    assert isinstance(module, nn.Linear)
    weight, bias = names.of(module.weight), names.maybe(module.bias)

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        if bias is None:
            return torch.bmm(x, state[weight])
        return torch.baddbmm(state[bias][:, None], x, state[weight])

    return step


def _batch_norm(module: nn.Module, names: _Names) -> Step | None:
    """Normalise (M, B, U) as one batch of M * U features."""
    assert isinstance(module, nn.BatchNorm1d)
    counted, momentum = module.num_batches_tracked, module.momentum
    if module.running_mean is None or module.running_var is None or counted is None:
        return None
    if momentum is None:
        return None
    mean, variance = names.of(module.running_mean), names.of(module.running_var)
    weight, bias, count = names.maybe(module.weight), names.maybe(module.bias), names.of(counted)

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


def _layer_norm(module: nn.Module, names: _Names) -> Step | None:
    assert isinstance(module, nn.LayerNorm)
    if len(module.normalized_shape) != 1 or module.weight is None or module.bias is None:
        return None
    weight, bias = names.of(module.weight), names.of(module.bias)

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        out = nn.functional.layer_norm(x, x.shape[-1:], eps=module.eps)
        return torch.addcmul(state[bias][:, None], out, state[weight][:, None])

    return step


def _dropout(module: nn.Module, names: _Names) -> Step:
    """Zero an entry with its network's probability p, divide the others by 1 - p."""
    rates = names.dropout.get(id(module))
    if rates is None:
        return _pointwise(module, names)

    def step(state: State, x: Tensor, training: bool) -> Tensor:
        if not training:
            return x
        p = rates.to(x.device, x.dtype).view(-1, *[1] * (x.ndim - 1))
        scale = torch.where(p < 1, 1 / (1 - p), 0)
        return x * ((torch.rand_like(x) >= p) * scale)

    return step


_RULES: dict[type[nn.Module], Rule] = {
    nn.Flatten: _flatten,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Dropout: _dropout,
    nn.Identity: _pointwise,
}
