"""Where one optimizer is a special case of another (Choi et al. 2019, section 3)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

STEPS = 150
RATE, MOMENTUM = 0.05, 0.9


def weights(make: object, rate_at: object = None) -> torch.Tensor:
    """Train a small tanh network in float64 and return its parameters, side by side."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = torch.randn(40, 5, dtype=torch.float64)
    y = torch.randint(3, (40,))
    optimizer = make(model.parameters())  # type: ignore[operator]
    for step in range(1, STEPS + 1):
        if rate_at is not None:
            optimizer.param_groups[0]["lr"] = rate_at(step)  # type: ignore[operator]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one - two).norm() / two.norm())


def test_momentum_zero_is_sgd() -> None:
    sgd = weights(lambda p: torch.optim.SGD(p, lr=RATE))
    zero = weights(lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.0))
    assert torch.equal(sgd, zero)


@pytest.mark.parametrize(("eps", "bound"), [(1e0, 0.05), (1e2, 1e-3), (1e6, 1e-7)])
def test_adam_with_a_large_eps_is_momentum(eps: float, bound: float) -> None:
    """Adam's first moment is (1 - beta) times momentum's buffer; the rate undoes its bias."""
    momentum = weights(lambda p: torch.optim.SGD(p, lr=RATE, momentum=MOMENTUM))
    adam = weights(
        lambda p: torch.optim.Adam(p, lr=1.0, betas=(MOMENTUM, 0.999), eps=eps),
        lambda step: RATE * eps * (1 - MOMENTUM**step) / (1 - MOMENTUM),
    )
    assert distance(adam, momentum) < bound


@pytest.mark.parametrize(("eps", "bound"), [(1e0, 0.05), (1e2, 1e-3), (1e6, 1e-7)])
def test_rmsprop_with_a_large_eps_is_sgd(eps: float, bound: float) -> None:
    sgd = weights(lambda p: torch.optim.SGD(p, lr=RATE))
    rmsprop = weights(lambda p: torch.optim.RMSprop(p, lr=RATE * eps, eps=eps))
    assert distance(rmsprop, sgd) < bound


@pytest.mark.parametrize("eps", [1e-3, 1.0])
def test_rmsprop_that_never_looks_is_momentum(eps: float) -> None:
    """With alpha = 1 the mean square stays 0: the step is that of momentum over eps, exactly."""
    momentum = weights(lambda p: torch.optim.SGD(p, lr=RATE, momentum=MOMENTUM))
    rmsprop = weights(
        lambda p: torch.optim.RMSprop(p, lr=RATE * eps, alpha=1.0, momentum=MOMENTUM, eps=eps)
    )
    assert distance(rmsprop, momentum) < 1e-12
