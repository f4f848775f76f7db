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

    At the first step the parameters move into rows of one table, (M, P): a step is then a few
    operations on the table instead of a few on every parameter.

    Args:
        parameters: stacked (M, ...) leaves; their gradients are read. Those without one at the
            first step are left alone, as torch's optimizers do.
        members: neighbours that share an optimizer and its options step as one.
        name: the optimizer of members that name none.
    """

    def __init__(self, parameters: Sequence[Tensor], members: Sequence[Member], name: str) -> None:
        self._parameters, self._members, self._name = list(parameters), members, name
        self._rates = np.array([member.lr for member in members])
        self._tables: list[_Table] = []
        self._parts: list[_Part] = []
        like = self._parameters[0]
        self._clip_norm = _limits([member.clip_norm for member in members], like)
        self._clip_value = _limits([member.clip_value for member in members], like)

    def set_rates(self, rates: np.ndarray) -> None:
        """Give the members these (M,) learning rates from now on."""
        self._rates = rates
        for part in self._parts:
            part.set_rates(rates[part.members])

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> Tensor:
        """Clip each member's gradients by its own limits and move it by its share of a step.

        Returns:
            The (M,) gradient norms before clipping.
        """
        if not self._parts:
            self._begin()
        gradients = [table.gather() for table in self._tables]
        norms = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(g, dim=1) for g in gradients]), dim=0
        )
        self._clip(gradients, norms)
        for part in self._parts:
            part.step()
        return norms

    def _begin(self) -> None:
        """Lay the parameters that have gradients into tables, and build the optimizers."""
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for parameter in self._parameters:
            if parameter.grad is not None:
                by_type.setdefault(parameter.dtype, []).append(parameter)
        self._tables = [_Table(alike) for alike in by_type.values()]
        rows = [table.rows for table in self._tables]
        for _key, group in groupby(self._members, key=lambda one: optimizer_key(one, self._name)):
            neighbours = list(group)
            first = self._parts[-1].members.stop if self._parts else 0
            here = slice(first, first + len(neighbours))
            part = _Part(rows, neighbours, here, self._name)
            part.set_rates(self._rates[here])
            self._parts.append(part)

    def _clip(self, gradients: Sequence[Tensor], norms: Tensor) -> None:
        if self._clip_norm is not None:
            # As torch.nn.utils.clip_grad_norm_: divided by norm + 1e-6, never enlarged.
            factor = (self._clip_norm / (norms + 1e-6)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(_column(factor, gradient))
        if self._clip_value is not None:
            for gradient in gradients:
                limit = _column(self._clip_value, gradient)
                torch.minimum(torch.maximum(gradient, -limit, out=gradient), limit, out=gradient)

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


class _Table:
    """Stacked parameters of one type, side by side: a row a member.

    The parameters become views of it.

    Attributes:
        rows: (M, P), whose gradient is (M, P) too.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._parameters = parameters
        values = torch.cat([parameter.detach().flatten(1) for parameter in parameters], dim=1)
        self.rows = values.detach().requires_grad_()
        self.rows.grad = torch.zeros_like(values)
        self._places = self._as_parameters(self.rows.grad)
        for parameter, place in zip(parameters, self._as_parameters(values), strict=True):
            parameter.data = place

    def _as_parameters(self, rows: Tensor) -> list[Tensor]:
        """Return views of (M, P) numbers in the shapes of the parameters."""
        sizes = [parameter[0].numel() for parameter in self._parameters]
        return [
            part.view(parameter.shape)
            for part, parameter in zip(rows.split(sizes, dim=1), self._parameters, strict=True)
        ]

    def gather(self) -> Tensor:
        """Return the (M, P) gradients, copied from the parameters; a missing one is zero."""
        assert self.rows.grad is not None
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter in self._parameters
        ]
        torch._foreach_copy_(self._places, gradients)
        return self.rows.grad


class _Part:
    """Neighbours in a stack that one optimizer steps.

    Args:
        tables: (M, P) leaves with gradients of all members.
        neighbours: those that it steps, at their own rates until told others.

    Attributes:
        members: their places.
    """

    def __init__(
        self,
        tables: Sequence[Tensor],
        neighbours: Sequence[Member],
        members: slice,
        name: str,
    ) -> None:
        self.members = members
        self._leaves = [table.detach()[members].requires_grad_() for table in tables]
        for leaf, table in zip(self._leaves, tables, strict=True):
            assert table.grad is not None
            leaf.grad = table.grad[members]  # in the same memory, as the leaf itself
        # Kept for all steps: fresh memory costs more than the copy itself.
        self._old = [torch.empty_like(leaf) for leaf in self._leaves]
        self._frozen = False
        like = tables[0]
        self._moving = torch.ones(len(neighbours), dtype=like.dtype, device=like.device)
        name = neighbours[0].optimizer or name
        options = fastest(name, neighbours[0].options, like.device)
        self._optimizer = optimizers.build(
            self._leaves,  # type: ignore[arg-type]
            OptimizerSpec(name=name, lr=max(one.lr for one in neighbours), options=options),
        )

    def set_rates(self, rates: np.ndarray) -> None:
        most = float(rates.max())
        for group in self._optimizer.param_groups:
            group["lr"] = most
        shares = torch.from_numpy(rates / most if most > 0 else np.ones_like(rates))
        self._share = shares.to(self._moving) * self._moving
        self._uneven = bool((rates != most).any()) or self._frozen

    def step(self) -> None:
        if not self._uneven:
            self._optimizer.step()
            return
        with torch.no_grad():
            torch._foreach_copy_(self._old, self._leaves)
        self._optimizer.step()
        with torch.no_grad():
            for leaf, before in zip(self._leaves, self._old, strict=True):
                torch.lerp(before, leaf, _column(self._share, leaf), out=leaf)

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


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Return (M,) values as a column, (M, 1), in the type of `like`."""
    return values[:, None].to(like.dtype)
