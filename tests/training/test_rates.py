"""A rate that follows the validation loss, against torch.optim.lr_scheduler."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nndiag.training.members import Member
from nndiag.training.rates import Rates


@given(
    losses=st.lists(st.floats(0.01, 2.0), min_size=1, max_size=25),
    gamma=st.sampled_from([0.1, 0.5]),
    patience=st.integers(0, 4),
)
def test_plateau_is_that_of_torch(losses: list[float], gamma: float, patience: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = ReduceLROnPlateau(optimizer, factor=gamma, patience=patience, eps=0.0)
    members = [
        Member(seed=0, lr=0.3, schedule=f"plateau:{gamma}:{patience}"),
        Member(seed=1, lr=0.2),
    ]
    ours = Rates(members, steps=len(losses))
    assert ours.watch
    assert ours.vary
    for step, loss in enumerate(losses):
        np.testing.assert_allclose(
            ours.at(step), [optimizer.param_groups[0]["lr"], 0.2], rtol=1e-12
        )
        theirs.step(loss)
        ours.observe(np.array([loss, loss]))


def test_constant_rates_do_not_vary() -> None:
    rates = Rates([Member(seed=0, lr=0.1), Member(seed=1, lr=0.2)], steps=5)
    assert not rates.vary
    assert not rates.watch
    np.testing.assert_array_equal(rates.at(3), [0.1, 0.2])
