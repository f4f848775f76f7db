"""Optimizer steps for stacked parameters, with a learning rate of its own for every member.

A torch optimizer steps the stacked tensors with the largest rate; each member then keeps its share
of the step, from its old value. That is exact for every optimizer whose update is linear in the
rate and entry by entry: all of `zoo.optimizers` but Rprop and LBFGS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nndiag.schema.spec import OptimizerSpec
from nndiag.training.members import Member
from nndiag.zoo import optimizers

#: torch optimizers with a fused kernel, one pass over the memory instead of ten.
_FUSED = ("adam", "adamw", "sgd", "gd", "momentum", "nesterov", "adagrad")
#: Options that name another implementation, which torch refuses beside the fused one.
_IMPLEMENTATIONS = ("fused", "foreach", "differentiable")


class Stepper:
    """Steps the parameters of M members.

    Args:
        parameters: stacked (M, ...) leaves; their gradients are read.
        members: neighbours that share an optimizer and its options step as one.
        name: the optimizer of members that name none.
    """

    def __init__(self, parameters: Sequence[Tensor], members: Sequence[Member], name: str) -> None:
        self._parameters = list(parameters)
        self._parts: list[_Part] = []
        for _key, neighbours in groupby(members, key=lambda member: optimizer_key(member, name)):
            first = self._parts[-1].members.stop if self._parts else 0
            self._parts.append(_Part(self._parameters, list(neighbours), first, name))
        like = self._parameters[0]
        self._clip_norm = _limits([member.clip_norm for member in members], like)
        self._clip_value = _limits([member.clip_value for member in members], like)

    def set_rates(self, rates: np.ndarray) -> None:
        """Give the members these (M,) learning rates from now on."""
        for part in self._parts:
            part.set_rates(rates[part.members])

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def clip(self) -> Tensor:
        """Clip each member by its own limits; return the (M,) gradient norms before it."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        parts = [torch.linalg.vector_norm(g, dim=tuple(range(1, g.ndim))) for g in gradients]
        norms = torch.linalg.vector_norm(torch.stack(parts), dim=0)
        if self._clip_norm is not None:
            # As torch.nn.utils.clip_grad_norm_: divided by norm + 1e-6, never enlarged.
            factor = (self._clip_norm / (norms + 1e-6)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(_spread(factor, gradient))
        if self._clip_value is not None:
            for gradient in gradients:
                limit = _spread(self._clip_value, gradient)
                torch.minimum(torch.maximum(gradient, -limit, out=gradient), limit, out=gradient)
        return norms

    def step(self) -> None:
        """Move every member by its share of its optimizer's step."""
        for part in self._parts:
            part.step()

    def hold(self, members: Tensor) -> None:
        """Let the members marked in (M,) booleans stand where they are from now on."""
        for part in self._parts:
            part.hold(members[part.members])

    def freeze(self, diverged: Tensor) -> None:
        """Let the members marked in (M,) booleans stand still, at zero, from now on.

        Their optimizer state is cleared too: a NaN would slow every step down.
        """
        self.hold(diverged)
        with torch.no_grad():
            for parameter in self._parameters:
                parameter[diverged] = 0.0
        for part in self._parts:
            part.forget(diverged[part.members])


class _Part:
    """Neighbours in a stack that one optimizer steps.

    Attributes:
        members: their places.
    """

    def __init__(
        self, stacks: Sequence[Tensor], members: Sequence[Member], first: int, name: str
    ) -> None:
        self.members = slice(first, first + len(members))
        self._stacks = stacks
        self._leaves = list(stacks)
        if len(members) < len(stacks[0]):  # leaves of their own, in the same memory
            self._leaves = [
                stack.detach()[self.members].requires_grad_(stack.requires_grad) for stack in stacks
            ]
        # Kept for all steps: fresh memory costs more than the copy itself.
        self._old = [torch.empty_like(leaf) for leaf in self._leaves]
        self._frozen = False
        self._moving = torch.ones(len(members), dtype=stacks[0].dtype, device=stacks[0].device)
        rates = np.array([member.lr for member in members])
        name = members[0].optimizer or name
        options = fastest(name, members[0].options, stacks[0].device)
        self._optimizer = optimizers.build(
            self._leaves,  # type: ignore[arg-type]
            OptimizerSpec(name=name, lr=float(rates.max()), options=options),
        )
        self.set_rates(rates)

    def set_rates(self, rates: np.ndarray) -> None:
        most = float(rates.max())
        for group in self._optimizer.param_groups:
            group["lr"] = most
        shares = torch.from_numpy(rates / most if most > 0 else np.ones_like(rates))
        self._share = shares.to(self._moving) * self._moving
        self._uneven = bool((rates != most).any()) or self._frozen

    def step(self) -> None:
        for leaf, stack in zip(self._leaves, self._stacks, strict=True):
            if leaf is not stack:
                leaf.grad = None if stack.grad is None else stack.grad[self.members]
        if not self._uneven:
            self._optimizer.step()
            return
        with torch.no_grad():
            torch._foreach_copy_(self._old, self._leaves)
        self._optimizer.step()
        with torch.no_grad():
            for leaf, before in zip(self._leaves, self._old, strict=True):
                torch.lerp(before, leaf, _spread(self._share, leaf), out=leaf)

    def hold(self, held: Tensor) -> None:
        if held.any():
            self._uneven = self._frozen = True
            self._moving[held] = 0.0
            self._share[held] = 0.0

    def forget(self, gone: Tensor) -> None:
        """Clear the optimizer's state of members that are gone."""
        with torch.no_grad():
            for leaf in self._leaves:
                for value in self._optimizer.state.get(leaf, {}).values():
                    if isinstance(value, Tensor) and value.shape == leaf.shape:
                        value[gone] = 0.0


def optimizer_key(member: Member, name: str) -> tuple[str, str]:
    """Return what members that one optimizer can step have in common.

    Args:
        name: the optimizer of a member that names none.
    """
    return member.optimizer or name, repr(sorted(member.options.items()))


def fastest(name: str, options: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the options with the fused implementation chosen, where there is one and no other."""
    fused = name in _FUSED and device.type in ("cpu", "cuda")
    if fused and not any(key in options for key in _IMPLEMENTATIONS):
        return {**options, "fused": True}
    return dict(options)


def _limits(values: Sequence[float | None], like: Tensor) -> Tensor | None:
    """Return (M,) limits in the type of `like`, infinity for none; None where no member has one."""
    if all(value is None for value in values):
        return None
    limits = [float("inf") if value is None else value for value in values]
    return torch.tensor(limits, dtype=like.dtype, device=like.device)


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """Return (M,) values shaped (M, 1, ...) to meet a stacked tensor."""
    return values.view(-1, *[1] * (like.ndim - 1)).to(like.dtype)
