from __future__ import annotations

import torch
from torch import Tensor, nn

from nndiag.training.structure import structure


class Own(nn.Module):
    def __init__(self, power: float) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.power = power
        self.act = lambda x: torch.tanh(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.layer(x)) * self.power


def test_weights_and_mode_do_not_count_settings_do() -> None:
    assert structure(Own(2.0)) == structure(Own(2.0).eval())
    assert structure(Own(2.0)) != structure(Own(3.0))
    assert structure(Own(2.0)) != structure(Own(2.0).double())


def test_which_modules_are_one_object_counts() -> None:
    layer = nn.Linear(2, 2)
    shared = nn.Sequential(layer, layer)
    assert structure(shared) != structure(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))


def test_frozen_weights_count() -> None:
    frozen = nn.Linear(2, 2)
    frozen.weight.requires_grad_(False)
    assert structure(frozen) != structure(nn.Linear(2, 2))
