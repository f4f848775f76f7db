"""Singular values of the hidden layers' Jacobian against torch's own Jacobian."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from nndiag.schema.spec import NetworkSpec
from nndiag.training.jacobian import hidden_singular_values
from nndiag.zoo import activations, initialisations, networks


def drawn(spec: NetworkSpec) -> nn.Sequential:
    model = networks.build(spec, (1, 2, 3), 4)
    initialisations.initialise(
        model,
        initialisations.parse(spec.init),
        activations.parse(spec.act),
        generator=torch.Generator().manual_seed(3),
        bias_std=0.1,
    )
    assert isinstance(model, nn.Sequential)
    return model


@pytest.mark.parametrize(
    ("act", "norm"), [("tanh", "none"), ("relu", "none"), ("selu", "layer"), ("sigmoid", "batch")]
)
def test_equals_the_jacobian_by_torch(act: str, norm: str) -> None:
    model = drawn(NetworkSpec(depth=6, width=5, act=act, init="xavier_normal", norm=norm))
    x = torch.randn(7, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    found = hidden_singular_values(model, x, [1, 4])
    assert found.shape == (2, 5)

    exact = copy.deepcopy(model).double().train()
    names = [name for name, _module in exact.named_children()]
    for last, values in (("fc2", found[0]), ("fc5", found[1])):
        first, end = names.index("fc1") + 1, names.index(last) + 1
        batch = exact[:first](x.double()).detach()
        part = copy.deepcopy(exact[first:end])
        for module in part:
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 1.0  # keeps the statistics of the batch
        part.train()(batch)
        jacobian = torch.autograd.functional.jacobian(part.eval(), batch[:1])[0, :, 0]
        np.testing.assert_allclose(
            values, np.linalg.svd(jacobian.numpy(), compute_uv=False), rtol=1e-6, atol=1e-12
        )


def test_the_model_is_left_as_it_was() -> None:
    model = drawn(NetworkSpec(depth=4, width=5, act="tanh", init="orthogonal", norm="batch"))
    before = copy.deepcopy(model.state_dict())
    hidden_singular_values(model, torch.randn(6, 1, 2, 3), [2])
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_linear_orthogonal_layers_are_an_isometry() -> None:
    model = drawn(NetworkSpec(depth=40, width=8, act="linear", init="orthogonal"))
    found = hidden_singular_values(model, torch.randn(2, 1, 2, 3), [38])
    np.testing.assert_allclose(found, 1, rtol=1e-5)  # weights are float32
