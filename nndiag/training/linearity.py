"""Whether one optimizer over stacked parameters moves every member as its own would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nndiag.schema.spec import OptimizerSpec
from nndiag.training.members import Member
from nndiag.training.stepping import Stepper
from nndiag.zoo import optimizers

#: Long enough for warm-ups and for step sizes that grow by 1.2 a step to meet their limits.
_STEPS = 64
_RATES = (0.02, 0.006, 0.0004)
_SHAPES = ((3,), (4, 3), (3, 2, 2, 2))


def serves_many(name: str, options: Mapping[str, Any]) -> bool:
    """Try an optimizer for 64 steps on three small tensors, stacked and alone, in float64.

    False where the update is not linear in the rate, where it looks at a whole tensor (a trust
    ratio, factored moments, an orthogonalised matrix), where it draws random numbers, or where it
    fails: its members must then train one by one.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            stacked = _stacked(name, options)
            alone = [_alone(name, options, member) for member in range(len(_RATES))]
        except Exception:  # a third-party class may raise anything; alone it says what is wrong
            return False
    return all(
        torch.allclose(values[member], one, rtol=1e-8, atol=1e-12)
        for member, values_alone in enumerate(alone)
        for values, one in zip(stacked, values_alone, strict=True)
    )


def _start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    members = len(_RATES)
    return [
        torch.randn(members, *shape, generator=generator, dtype=torch.float64) for shape in _SHAPES
    ]


def _gradient(value: Tensor, step: int, place: int) -> Tensor:
    """Return a gradient, entry by entry: of lasting sign at even places, changing at odd ones."""
    wave = torch.sin(7 * value + step)
    return 1 + 0.5 * wave if place % 2 == 0 else value + 0.5 * wave


def _stacked(name: str, options: Mapping[str, Any]) -> list[Tensor]:
    values = [value.requires_grad_() for value in _start()]
    members = [Member(seed=0, lr=rate, options=options) for rate in _RATES]
    stepper = Stepper(values, members, name, options)
    for step in range(_STEPS):
        for place, value in enumerate(values):
            value.grad = _gradient(value.detach(), step, place)
        stepper.step()
    return [value.detach() for value in values]


def _alone(name: str, options: Mapping[str, Any], member: int) -> list[Tensor]:
    values = [value[member].clone().requires_grad_() for value in _start()]
    spec = OptimizerSpec(name=name, lr=_RATES[member], options=options)
    optimizer = optimizers.build(values, spec)  # type: ignore[arg-type]
    for step in range(_STEPS):
        for place, value in enumerate(values):
            value.grad = _gradient(value.detach(), step, place)
        optimizer.step()
    return [value.detach() for value in values]
