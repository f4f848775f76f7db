from __future__ import annotations

from typing import Any

import pytest
import torch

from nndiag.training.linearity import serves_many
from nndiag.zoo import optimizers

LINEAR = [row.name for row in optimizers.OPTIMIZERS.rows if row.linear_in_lr]


@pytest.mark.parametrize("name", LINEAR)
def test_the_table_tells_the_truth(name: str) -> None:
    assert serves_many(name, {})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("torch.optim:Adam", {"amsgrad": True, "weight_decay": 0.1}),
        ("torch.optim:SGD", {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
        ("torch.optim:RMSprop", {"centered": True, "momentum": 0.9}),
        ("torch.optim:Adagrad", {"lr_decay": 0.1}),
        ("torch.optim:NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ],
)
def test_classes_by_import_that_are_linear(name: str, options: dict[str, Any]) -> None:
    assert serves_many(name, options)


@pytest.mark.parametrize(
    "name",
    [
        "rprop",
        "torch.optim:Rprop",
        "torch.optim:ASGD",  # its rate decays by a law that contains the rate
        "torch.optim:Adafactor",  # factored moments of a whole tensor
        "torch.optim:Muon",  # refuses vectors
        "torch.optim:LBFGS",  # wants a closure
    ],
)
def test_classes_that_must_run_alone(name: str) -> None:
    assert not serves_many(name, {})


def test_the_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    serves_many("adam", {})
    assert torch.equal(before, torch.get_rng_state())
