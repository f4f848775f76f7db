"""The forward pass of many networks of one structure: (M, B, ...) in, (M, B, classes) out.

Stacks of fully connected layers run as batched matrix products; everything else under
`torch.func.vmap`. Both compute what each network computes alone.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from nndiag.training.batched import Many, State, plan
from nndiag.training.structure import structure


def alike(model: nn.Module) -> Hashable:
    """Return facts that are equal for networks that one `Stacked` can hold.

    Where batched operations run the networks, their dropout rates may differ.
    """
    return structure(model, own_dropout=_drops(model) and draws_apart(model))


def draws_apart(model: nn.Module) -> bool:
    """Whether networks like this one, stacked, draw random numbers from generators of their own."""
    return plan(model, Many.of([model])) is not None


def _drops(model: nn.Module) -> bool:
    return any(type(module) is nn.Dropout for module in model.modules())


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
        self._many = Many.of(models)
        self._steps = plan(models[0], self._many) or []
        self.batched = bool(self._steps)
        self._turned = self._turn() if self.batched else set()

    def seed(self, seeds: Sequence[int]) -> None:
        """Let each network draw as it does alone after `torch.manual_seed` (where `batched`)."""
        device = next(iter(self.parameters.values())).device
        self._many.draws = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    @property
    def random_states(self) -> list[Tensor]:
        """Return the state of each network's generator; none before `seed`."""
        return [generator.get_state() for generator in self._many.draws]

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
            if not self.batched or self._many.rates:
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
            name: stacks[self._many.names[id(tensor)]].detach()
            for name, tensor in self.template.state_dict(keep_vars=True).items()
            if id(tensor) in self._many.names
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
