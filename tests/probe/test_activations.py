"""Which modules count as activations, and where they are flat."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nndiag.probe.activations import is_activation, slope_of, tails_of


class Swish(nn.Module):
    def __init__(self, beta: float = 1.0, *, learnt: bool = False) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(beta)) if learnt else beta

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)


class Halve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + 1


class UnitNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / x.norm(dim=-1, keepdim=True)


class Reverse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.flip(-1))


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x + torch.randn_like(x))


class Loss(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).pow(2).mean()


@pytest.mark.parametrize(
    "module",
    [nn.ReLU(), nn.ReLU(inplace=True), nn.PReLU(4), nn.RReLU(), nn.Tanh(), nn.GELU(), nn.Softplus(),
     nn.Threshold(0.1, 0.0), Swish()],
    ids=repr,
)  # fmt: skip
def test_activations(module: nn.Module) -> None:
    assert is_activation(module)


@pytest.mark.parametrize(
    "module",
    [nn.Identity(), nn.Dropout(), nn.Flatten(), nn.Softmax(-1), nn.LogSoftmax(-1), nn.GLU(),
     nn.MaxPool1d(2), nn.BatchNorm1d(3), nn.LayerNorm(4), nn.MultiheadAttention(4, 2),
     nn.Linear(4, 4), nn.Sequential(nn.ReLU()), Halve(), UnitNorm(), Reverse(), Noise(), Loss()],
    ids=repr,
)  # fmt: skip
def test_no_activations(module: nn.Module) -> None:
    assert not is_activation(module)


def test_a_learnt_number_is_accepted_on_demand() -> None:
    assert not is_activation(Swish(learnt=True))
    assert is_activation(Swish(learnt=True), learnt=True)
    assert not is_activation(nn.Linear(1, 1), learnt=True)


def test_trying_a_module_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    is_activation(Noise())
    assert torch.equal(torch.get_rng_state(), state)


def test_slope_of_an_inplace_module_leaves_it_alone() -> None:
    module = nn.ELU(inplace=True)
    slope = slope_of(module)(torch.linspace(-2, 2, 5).double().numpy())
    assert slope == pytest.approx([math.exp(-2), math.exp(-1), 1, 1, 1])
    assert module.inplace


def test_tails_follow_settings_that_a_repr_does_not_show() -> None:
    soft, hard = tails_of(Swish(1.0)), tails_of(Swish(4.0))
    assert soft is not None
    assert hard is not None
    assert soft.low == pytest.approx(4 * hard.low, rel=1e-6)


def test_no_tails_without_a_single_bounded_slope() -> None:
    assert tails_of(nn.PReLU(3)) is None

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    assert tails_of(Square()) is None


def test_relu_is_a_gate_and_tanh_is_not() -> None:
    relu, tanh = tails_of(nn.ReLU()), tails_of(nn.Tanh())
    assert relu is not None
    assert relu.gate
    assert relu.flat_low == pytest.approx(0, abs=1e-12)
    assert tanh is not None
    assert not tanh.gate
    assert tanh.high == pytest.approx(2.178, abs=1e-3)
