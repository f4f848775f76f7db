"""Names to closed forms: those of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nndiag.schema.errors import UsageError
from nndiag.zoo import activations, formulas


@pytest.mark.parametrize("name", [*formulas.NAMES, "leaky_relu:0.3", "celu:2"])
def test_function_and_derivative_are_torchs(name: str) -> None:
    z = np.array([-3.0, -0.7, -0.1, 0.2, 0.9, 4.0])
    point = torch.tensor(z, requires_grad=True)
    value = activations.parse(name).build().double()(point)
    (slope,) = torch.autograd.grad(value.sum(), point)
    found = formulas.formula(name)
    np.testing.assert_allclose(found.phi(z), value.detach(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.derivative(z), slope, rtol=1e-6, atol=1e-9)


def test_the_step() -> None:
    unit = formulas.step()
    assert unit.phi(np.array([-1.0, 0.0, 2.0])).tolist() == [0, 0, 1]
    assert unit.derivative(np.array([-1.0, 0.0, 2.0])).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rrelu", "--act: rrelu has no closed form here; accepted: sigmoid, tanh, "),
        ("sigmod", "--act: unknown name 'sigmod'; did you mean sigmoid?"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        formulas.formula(name)
    assert str(caught.value).startswith(message)
