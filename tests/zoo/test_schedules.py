"""Every schedule against torch.optim.lr_scheduler, and what is wrong in how one is written."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torchs

from nndiag.schema.errors import UsageError
from nndiag.zoo import schedules

STEPS = 120

Make = Callable[[torch.optim.Optimizer], torchs.LRScheduler]
TORCHS: dict[str, Make] = {
    "constant": lambda o: torchs.ConstantLR(o, factor=1.0),
    "step": lambda o: torchs.StepLR(o, 40, 0.1),
    "step:25:0.3": lambda o: torchs.StepLR(o, 25, 0.3),
    "halving": lambda o: torchs.StepLR(o, 30, 0.5),
    "exponential:0.02": lambda o: torchs.ExponentialLR(o, math.exp(-0.02)),
    "inverse:0.1": lambda o: torchs.LambdaLR(o, lambda t: 1 / (1 + 0.1 * t)),
    "cosine": lambda o: torchs.CosineAnnealingLR(o, STEPS),
    "one_cycle": lambda o: torchs.OneCycleLR(o, 0.7, STEPS, cycle_momentum=False),
    "one_cycle:0.6": lambda o: torchs.OneCycleLR(
        o, 0.7, STEPS, pct_start=0.6, cycle_momentum=False
    ),
    "warmup:0.25": lambda o: torchs.LinearLR(o, 1 / 30, total_iters=29),
}


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*")
@pytest.mark.parametrize("text", TORCHS)
def test_factors_are_those_of_torch(text: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.7)
    scheduler = TORCHS[text](optimizer)
    rates = []
    for _step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ours = 0.7 * schedules.parse(text).factors(STEPS)
    np.testing.assert_allclose(ours, rates, rtol=1e-9, atol=1e-12)


def test_the_range_test_rises_by_equal_ratios() -> None:
    factors = schedules.parse("rise:1e4").factors(9)
    np.testing.assert_allclose(factors, np.geomspace(1, 1e4, 9))
    assert schedules.parse("rise").factors(1).tolist() == [1.0]


def test_warm_up_and_cosine_multiply() -> None:
    both = schedules.parse("warmup_cosine:0.2").factors(50)
    apart = schedules.parse("warmup:0.2").factors(50) * schedules.parse("cosine").factors(50)
    np.testing.assert_array_equal(both, apart)


@given(
    steps=st.integers(1, 500),
    name=st.sampled_from(
        [row.name for row in schedules.SCHEDULES.rows if row.factor and row.name != "rise"]
    ),
)
def test_every_factor_is_between_0_and_1(name: str, steps: int) -> None:
    factors = schedules.parse(name).factors(steps)
    assert factors.shape == (steps,)
    assert np.all((factors >= 0) & (factors <= 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cosin", "did you mean cosine?"),
        ("step:0", "accepted: step[:EVERY[:GAMMA]]"),
        ("step:5:2", "accepted: step[:EVERY[:GAMMA]]"),
        ("cosine:3", "accepted: cosine"),
        ("warmup:1.5", "accepted: warmup[:SHARE]"),
        ("plateau:0.1:1:1", "accepted: plateau[:GAMMA[:PATIENCE]]"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        schedules.parse(text)
    assert "--schedule" in str(raised.value)
    assert says in str(raised.value)


def test_a_plateau_has_no_factors_of_its_own() -> None:
    with pytest.raises(ValueError, match="depend on the training"):
        schedules.parse("plateau").factors(10)
