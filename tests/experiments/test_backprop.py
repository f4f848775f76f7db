"""Gradients factor by factor against autograd, differences and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nndiag.experiments import backprop
from nndiag.schema.spec_principles import BackpropSpec
from nndiag.zoo import formulas

ACTS = [*formulas.NAMES, "leaky_relu:0.3", "elu:2"]


def found(**options: object) -> dict:
    return dict(backprop.run(BackpropSpec(seeds=4, **options)).result)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hand_autograd_and_differences_agree(act: str, seed: int) -> None:
    network = found(act=act, seed=seed)["network"]
    assert network["deviation_autograd"] < 1e-14
    assert network["deviation_differences"] < 1e-8
    for one in network["gradients"]:
        assert math.prod(f["value"] for f in one["factors"]) == pytest.approx(one["product"])


def test_the_small_network_is_torchs() -> None:
    network = found()["network"]
    at = network["parameters"]
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.Sigmoid(), torch.nn.Linear(2, 1), torch.nn.Sigmoid()
    ).double()
    first, last = model[0], model[2]
    rows = [[at["w11"], at["w12"]], [at["w21"], at["w22"]]]
    first.weight.data = torch.tensor(rows, dtype=torch.float64)
    first.bias.data = torch.tensor([at["b1"], at["b2"]], dtype=torch.float64)
    last.weight.data = torch.tensor([[at["v1"], at["v2"]]], dtype=torch.float64)
    last.bias.data = torch.tensor([at["c"]], dtype=torch.float64)
    output = model(torch.tensor(network["x"], dtype=torch.float64))
    loss = (output - network["target"]).pow(2).sum() / 2
    loss.backward()
    assert network["loss"] == pytest.approx(loss.item(), rel=1e-12)
    (w11, w12), (w21, w22) = first.weight.grad.tolist()
    expected = [w11, w12, first.bias.grad[0], w21, w22, first.bias.grad[1]]
    expected += [*last.weight.grad[0], last.bias.grad[0]]
    hand = [one["product"] for one in network["gradients"]]
    np.testing.assert_allclose(hand, [float(value) for value in expected], rtol=1e-10)


weights = st.lists(st.floats(-3, 3), min_size=1, max_size=8).map(tuple)


@given(weights, st.floats(-2, 2), st.sampled_from(["sigmoid", "tanh", "gelu", "softplus"]))
def test_the_chain(w: tuple[float, ...], x: float, act: str) -> None:
    chain = backprop._chain(
        BackpropSpec(act=act, depth=len(w), weights=w, x=x), formulas.formula(act)
    )
    phi = {"gelu": torch.nn.functional.gelu, "softplus": torch.nn.functional.softplus}
    point = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    value = point
    for weight in w:
        value = phi.get(act, getattr(torch, act, None))(weight * value)
    (gradient,) = torch.autograd.grad(value, point)
    assert chain["product"] == pytest.approx(gradient.item(), rel=1e-9, abs=1e-14)
    assert chain["layers"][-1]["a"] == pytest.approx(value.item(), rel=1e-9, abs=1e-14)
    assert abs(chain["product"]) <= chain["bound"] * (1 + 1e-6) + 1e-300


@pytest.mark.parametrize("depth", [1, 10, 1000])
def test_the_sigmoids_bound_is_a_quarter_a_unit(depth: int) -> None:
    result = found(depth=depth)
    chain = result["chain"]
    assert chain["log10_bound"] == pytest.approx(depth * math.log10(0.25))
    assert chain["log10_product"] < chain["log10_bound"]
    logs = sum(math.log10(layer["factor"]) for layer in chain["layers"])
    assert chain["log10_product"] == pytest.approx(logs)
    assert all(row["within_bound"] for row in result["rows"])


def test_at_zero_the_bound_is_met() -> None:
    # tanh(0) = 0: every slope is the largest, and the product is that of the weights.
    chain = found(act="tanh", depth=3, weights=(2.0, -0.5, 3.0), x=0.0)["chain"]
    assert chain["product"] == pytest.approx(-3.0)
    assert chain["bound"] == pytest.approx(3.0)


def test_relu_passes_all_or_nothing() -> None:
    row = next(row for row in found(depth=10)["rows"] if row["label"] == "relu")
    draws = [np.random.default_rng([k, 2]).normal() for k in range(4)]
    assert row["stopped"] == sum(value <= 0 for value in draws)
    assert row["log10_gradient"].mean == 0


def test_what_stops_everything_is_said() -> None:
    result = found(weights=(0.0,), act="linear")
    assert result["chain"]["product"] == 0
    assert all(row["log10_gradient"] is None for row in result["rows"])
    assert "linear: for 4 of 4 inputs a factor is 0, and nothing passes." in result["reading"]


@pytest.mark.parametrize("act", ACTS)
def test_the_steepest_slope_is_the_tables(act: str) -> None:
    from nndiag.zoo import activations

    known = activations.parse(act).derivative_max
    assert backprop.steepest(formulas.formula(act)) == pytest.approx(known, rel=1e-4)
