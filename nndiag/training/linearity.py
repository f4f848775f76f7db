"""Whether one optimizer over stacked parameters moves every member as its own would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
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


def serves_many(name: str, options: Mapping[str, Any], scheduled: bool = False) -> bool:
    """Try an optimizer for 64 steps on three small tensors, stacked and alone, in float64.

    With `scheduled` the rates fall, each at its own pace: an optimizer that keeps its rate in its
    state serves many only at constant rates.

    False where the update is not linear in the rate, where it looks at a whole tensor (a trust
    ratio, factored moments, an orthogonalised matrix), where it draws random numbers, or where it
    fails: its members must then train one by one.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            stacked = _stacked(name, options, scheduled)
            alone = [_alone(name, options, member, scheduled) for member in range(len(_RATES))]
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


def _rates(step: int, scheduled: bool) -> np.ndarray:
    """Return the rates of the members at a step."""
    pace = 0.05 * np.arange(len(_RATES)) * scheduled
    return np.array(_RATES) / (1 + pace * step)


def _stacked(name: str, options: Mapping[str, Any], scheduled: bool) -> list[Tensor]:
    values = [value.requires_grad_() for value in _start()]
    members = [Member(seed=0, lr=rate, options=options) for rate in _RATES]
    stepper = Stepper(values, members, name)
    for step in range(_STEPS):
        for place, value in enumerate(values):
            value.grad = _gradient(value.detach(), step, place)
        if scheduled:
            stepper.set_rates(_rates(step, scheduled))
        stepper.step()
    return [value.detach() for value in values]


def _alone(name: str, options: Mapping[str, Any], member: int, scheduled: bool) -> list[Tensor]:
    values = [value[member].clone().requires_grad_() for value in _start()]
    spec = OptimizerSpec(name=name, lr=_RATES[member], options=options)
    optimizer = optimizers.build(values, spec)  # type: ignore[arg-type]
    for step in range(_STEPS):
        for place, value in enumerate(values):
            value.grad = _gradient(value.detach(), step, place)
        if scheduled:
            for group in optimizer.param_groups:
                group["lr"] = float(_rates(step, scheduled)[member])
        optimizer.step()
    return [value.detach() for value in values]
