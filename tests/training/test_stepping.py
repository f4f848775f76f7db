"""Parameters of many members in one table: each moves as under an optimizer of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nndiag.training.members import Member
from nndiag.training.stepping import Stepper

_RATES, _LIMITS = (0.1, 0.02, 0.3), (None, 0.5, 0.05)
_SHAPES = ((4, 3), (3,), (2, 2, 2, 2))


def _start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    values = [torch.randn(len(_RATES), *shape, generator=generator) for shape in _SHAPES]
    values[1] = values[1].double()
    return [value.requires_grad_() for value in values]


def _set_gradients(parameters: list[Tensor]) -> None:
    """Give all but the last a gradient that depends on the value alone."""
    for parameter in parameters[:-1]:
        parameter.grad = 0.5 * parameter.detach() + 0.2


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_members_move_as_alone(name: str) -> None:
    members = [
        Member(seed=0, lr=lr, clip_norm=limit, options={"weight_decay": 0.1})
        for lr, limit in zip(_RATES, _LIMITS, strict=True)
    ]
    stacked = _start()
    stepper = Stepper(stacked, members, name)
    alone = [
        [value[place].detach().clone().requires_grad_() for value in _start()]
        for place in range(len(members))
    ]
    classes = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    plain = [
        classes[name](own, lr=lr, weight_decay=0.1) for own, lr in zip(alone, _RATES, strict=True)
    ]
    for _step in range(20):
        _set_gradients(stacked)
        norms = stepper.step()
        for place, (own, optimizer) in enumerate(zip(alone, plain, strict=True)):
            _set_gradients(own)
            limit = _LIMITS[place]
            norm = torch.nn.utils.clip_grad_norm_(own, limit or float("inf"))
            assert norms[place].item() == pytest.approx(norm.item(), rel=1e-5)
            optimizer.step()
    for place, own in enumerate(alone):
        for together, value in zip(stacked, own, strict=True):
            assert together.dtype == value.dtype
            torch.testing.assert_close(
                together[place].detach(), value.detach(), rtol=1e-5, atol=1e-6
            )


def test_a_parameter_without_a_gradient_stays() -> None:
    members = [Member(seed=0, lr=lr, options={"weight_decay": 0.5}) for lr in _RATES]
    stacked = _start()
    stepper = Stepper(stacked, members, "adamw")
    for _step in range(3):
        _set_gradients(stacked)
        stepper.step()
    assert torch.equal(stacked[-1], _start()[-1])
    assert not torch.equal(stacked[0], _start()[0])
