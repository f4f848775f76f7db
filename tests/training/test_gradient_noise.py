"""Noise of the gradient against numpy, memory of a step against a count by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nndiag.training.gradient_noise import kept_bytes, noise_at


def softmax(z: np.ndarray) -> np.ndarray:
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_the_noise_is_that_of_numpy() -> None:
    """Softmax regression: the gradient of sample i is (p_i - e_y) x_i^T, and p_i - e_y."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 5)), draw.integers(0, 3, 60)
    model = nn.Linear(5, 3).double()
    weight, bias = (p.detach().numpy() for p in (model.weight, model.bias))
    error = softmax(x @ weight.T + bias) - np.eye(3)[y]
    each = np.concatenate([(error[:, :, None] * x[:, None]).reshape(60, 15), error], axis=1)
    noise = noise_at(model, torch.from_numpy(x), torch.from_numpy(y), [1, 4, 20, 60, 99], seed=0)
    assert noise.gradient == pytest.approx(np.linalg.norm(each.mean(axis=0)))
    assert noise.spread == pytest.approx(each.var(axis=0, ddof=1).sum())
    assert noise.simple_scale == pytest.approx(noise.spread / noise.gradient**2)
    assert list(noise.measured) == [1, 4, 20, 60]
    assert noise.measured[60] == noise.predicted(60) == 0.0
    for size in (1, 4, 20):
        drawn = [
            each[draw.permutation(60)[:size]].mean(axis=0) - each.mean(axis=0) for _k in range(1000)
        ]
        expected = float((np.array(drawn) ** 2).sum(axis=1).mean())
        assert noise.predicted(size) == pytest.approx(expected, rel=0.12)
        assert noise.measured[size] == pytest.approx(expected, rel=0.35)


def test_noise_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    noise_at(model, torch.randn(30, 4), torch.randint(0, 2, (30,)), [5], seed=0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("size", [1, 7])
def test_a_step_keeps_what_backward_needs(size: int) -> None:
    model = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3))
    x, y = torch.randn(size, 10), torch.zeros(size, dtype=torch.int64)
    # Inputs, the relu's output (also the input of the second layer), log-softmax, labels, and the
    # total weight of the loss.
    expected = 4 * size * (10 + 8 + 3) + 8 * size + 4
    assert kept_bytes(model, x, y) == expected
