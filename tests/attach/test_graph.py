"""What the autograd graph tells of a loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nndiag.attach import graph

torch.manual_seed(0)
X, Y = torch.randn(8, 4), torch.randint(3, (8,))
NET, ONE = nn.Linear(4, 3), nn.Linear(4, 1)


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        (lambda: NET(X), "linear"),
        (lambda: NET(X.view(2, 4, 4)).transpose(1, 2), "linear"),
        (lambda: nn.Conv2d(1, 2, 2)(X.view(2, 1, 4, 4)), "linear"),
        (lambda: F.softmax(NET(X), 1), "softmax"),
        (lambda: nn.LogSoftmax(-1)(NET(X)), "log_softmax"),
        (lambda: torch.sigmoid(ONE(X)).squeeze(1), "sigmoid"),
        (lambda: F.relu(ONE(X)).view(-1), "relu"),
        (lambda: NET(X).clamp(0, 1), "clamp"),
        (lambda: NET(X) * 2, "other"),
        (lambda: X, "other"),
    ],
)
def test_producer(scores: Callable[[], Tensor], name: str) -> None:
    assert graph.producer(scores()) == name


def log_likelihood() -> Tensor:
    return F.log_softmax(NET(X), 1).gather(1, Y[:, None])


@pytest.mark.parametrize(
    ("loss", "negated"),
    [
        (lambda: F.cross_entropy(NET(X), Y), False),
        (lambda: -F.cross_entropy(NET(X), Y), True),
        (lambda: -1.0 * F.mse_loss(NET(X), X[:, :3]), True),
        (lambda: 0 - F.mse_loss(NET(X), X[:, :3]) / 2, True),
        (lambda: -1.0 * (-F.mse_loss(NET(X), X[:, :3])), False),
        (lambda: -log_likelihood().mean(), False),
        (lambda: log_likelihood().mean(), True),
        (lambda: (log_likelihood() * torch.randn(8, 1)).mean(), False),  # a policy gradient
        (lambda: (log_likelihood() * torch.rand(8, 1)).mean(), True),  # weighted
        (lambda: -(Y * F.logsigmoid(ONE(X)[:, 0]) + F.logsigmoid(-ONE(X)[:, 0])).mean(), False),
        (lambda: (Y * F.logsigmoid(ONE(X)[:, 0]) + F.logsigmoid(-ONE(X)[:, 0])).mean(), True),
        (lambda: -NET(X).mean(), False),  # a critic
        (lambda: F.cross_entropy(NET(X), Y) - F.mse_loss(NET(X), X[:, :3]), False),
    ],
)
def test_negated(loss: Callable[[], Tensor], negated: bool) -> None:
    assert graph.negated(loss()) == negated


def test_a_difference_that_was_broadcast() -> None:
    target = X[:, 0]
    assert graph.broadcast_difference(((ONE(X) - target) ** 2).mean()) == ((8, 8), (8, 1))
    assert graph.broadcast_difference((target - ONE(X)).abs().mean()) == ((8, 8), (8, 1))
    assert graph.broadcast_difference(((ONE(X).squeeze(1) - target) ** 2).mean()) is None
    assert graph.broadcast_difference(((NET(X) - X[:, :3]) ** 2).mean()) is None


ONEHOT = F.one_hot(Y, 3).float()


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (lambda: -(ONEHOT * F.log_softmax(NET(X), 0)).sum(1).mean(), (8, 3)),
        (lambda: F.nll_loss(F.log_softmax(NET(X), dim=-2), Y), (8, 3)),
        (lambda: -torch.log(F.softmax(NET(X), 0) + 1e-8)[torch.arange(8), Y].mean(), (8, 3)),
        (lambda: ((F.softmax(NET(X), 0) - ONEHOT) ** 2).mean(), (8, 3)),
        (lambda: -(ONEHOT * F.log_softmax(NET(X), 1)).sum(1).mean(), None),
        (lambda: F.cross_entropy(NET(X), Y), None),
        (lambda: F.cross_entropy(NET(X) @ NET(X).T, torch.arange(8)), None),
        (lambda: -F.log_softmax(NET(X) @ NET(X).T, 0).diagonal().mean(), None),  # similarities
        (lambda: -F.log_softmax(ONE(X), 0)[2].mean(), None),  # one place of eight
        (lambda: -F.log_softmax(NET(X[:1])[0], 0)[1], None),  # one sample
        (lambda: (F.softmax(NET(X), 0).T @ NET(X)).square().mean(), None),  # attention
    ],
)
def test_softmax_over_the_samples(
    loss: Callable[[], Tensor], shape: tuple[int, int] | None
) -> None:
    assert graph.across_samples(loss()) == shape
