"""Trainings that no torch optimizer makes, and weights that belong to no module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nndiag.attach.interventions import parse
from nndiag.attach.session import Session
from nndiag.diagnosis.run import diagnose_run
from nndiag.schema.finding import Severity, Symptom
from nndiag.schema.observation import BY_HAND, Observation

RATE = 0.3


def data() -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    x = torch.randn(64, 4)
    return x, (x[:, 0] * x[:, 1] > 0).long()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))


def in_place(model: nn.Module) -> None:
    with torch.no_grad():
        for p in model.parameters():
            assert p.grad is not None
            p -= RATE * p.grad
            p.grad.zero_()


def through_data(model: nn.Module) -> None:
    for p in model.parameters():
        assert p.grad is not None
        p.data.add_(p.grad.data, alpha=-RATE)
        p.grad = None


def late_clearing(model: nn.Module) -> None:
    for p in model.parameters():
        assert p.grad is not None
        p.data.sub_(RATE * p.grad)
    model.zero_grad()


def loop(model: nn.Module, update: Callable[[nn.Module], None], steps: int = 30) -> list[float]:
    x, y = data()
    losses = []
    for _step in range(steps):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
        update(model)
    return losses


def by_optimizer(model: nn.Module) -> Callable[[nn.Module], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

    def update(_model: nn.Module) -> None:
        optimizer.step()
        optimizer.zero_grad()

    return update


def asked_for(model: nn.Module, steps: int = 30) -> list[float]:
    """The same training with gradients that are returned."""
    x, y = data()
    losses = []
    for _step in range(steps):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, model.parameters())  # a generator
        with torch.no_grad():
            for weight, gradient in zip(model.parameters(), gradients, strict=True):
                weight -= RATE * gradient
    return losses


def test_gradients_that_are_asked_for_are_seen_too() -> None:
    model, plain = net(), net()
    expected = asked_for(plain)
    with Session() as session:
        assert asked_for(model) == expected
    twin = net()
    with Session() as other:
        loop(twin, by_optimizer(twin))
    seen, known = session.observation(), other.observation()
    assert (seen.steps, seen.backwards) == (30, 30)
    np.testing.assert_allclose(
        seen.optimizers[0].gradient_norm.values, known.optimizers[0].gradient_norm.values, rtol=1e-5
    )
    np.testing.assert_allclose(seen.optimizers[0].lr.values, RATE, rtol=1e-5)
    for name, column in known.models[0].trace.columns.items():
        if name != "symmetric_fraction":  # needs the gradient itself
            mine = seen.models[0].trace.columns[name]
            np.testing.assert_allclose(mine, column, rtol=1e-4, err_msg=name)
    assert diagnose_run(seen) == []


@pytest.mark.parametrize("update", [in_place, through_data, late_clearing])
def test_updates_by_hand_are_seen_as_an_optimizers_are(update: Any) -> None:
    model, twin, plain = net(), net(), net()
    expected = loop(plain, update)
    with Session() as session:
        assert loop(model, update) == expected  # bit for bit
    with Session() as other:
        loop(twin, by_optimizer(twin))
    seen, known = session.observation(), other.observation()
    assert seen.steps == known.steps == 30
    (hand,), (sgd,) = seen.optimizers, known.optimizers
    assert hand.kind == BY_HAND
    assert hand.models == sgd.models
    np.testing.assert_array_equal(hand.loss.steps, sgd.loss.steps)
    np.testing.assert_allclose(hand.loss.values, expected, rtol=1e-6)
    np.testing.assert_allclose(hand.update_ratio.values, sgd.update_ratio.values, rtol=1e-5)
    np.testing.assert_allclose(hand.gradient_norm.values, sgd.gradient_norm.values, rtol=1e-5)
    np.testing.assert_allclose(hand.lr.values, RATE, rtol=1e-5)
    assert hand.leftover == sgd.leftover == 0
    for name, column in known.models[0].trace.columns.items():
        mine = seen.models[0].trace.columns[name]
        np.testing.assert_allclose(mine, column, rtol=1e-4, err_msg=name)
    assert diagnose_run(seen) == diagnose_run(known)


def test_gradients_that_are_never_cleared_by_hand() -> None:
    def forgetful(model: nn.Module) -> None:
        for p in model.parameters():
            assert p.grad is not None
            p.data.sub_(0.01 * p.grad)

    model = net()
    with Session() as session:
        loop(model, forgetful)
    symptoms = {finding.symptom for finding in diagnose_run(session.observation())}
    assert Symptom.MISSING_ZERO_GRAD in symptoms
    assert Symptom.UNTRAINED_PARAMETERS not in symptoms


def test_passes_that_add_up_before_an_update_are_one_step() -> None:
    model = net()
    x, y = data()
    with Session() as session:
        for _step in range(10):
            for part in range(4):
                F.cross_entropy(model(x[part::4]), y[part::4]).backward()
            in_place(model)
    seen = session.observation()
    assert (seen.steps, seen.backwards) == (10, 40)
    assert seen.optimizers[0].leftover == 0


def test_a_training_that_has_converged_goes_on_taking_steps() -> None:
    w = torch.ones(1, 1, requires_grad=True)
    with Session() as session:
        for _step in range(50):
            (w - 3).square().sum().backward()
            with torch.no_grad():
                assert w.grad is not None
                w -= 0.5 * w.grad  # exact at once: the gradient is 0 from then on
                w.grad.zero_()
    assert session.observation().steps == 50


def test_no_step_where_nothing_moves() -> None:
    model = net()
    with Session() as session:
        loop(model, lambda model: model.zero_grad())
    seen = session.observation()
    assert (seen.steps, seen.backwards) == (0, 30)
    (finding,) = diagnose_run(seen)
    assert finding.symptom is Symptom.UNTRAINED_PARAMETERS


def test_an_optimizer_is_all_there_is_where_there_is_one() -> None:
    model = net()
    x, y = data()
    with Session() as session:
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for _step in range(5):
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                model[0].weight.clamp_(-0.5, 0.5)  # type: ignore[index, union-attr, operator]
    seen = session.observation()
    assert seen.steps == 5
    assert [one.kind for one in seen.optimizers] == ["SGD"]


def two_layers(start: float | None) -> list[Tensor]:
    torch.manual_seed(1)
    shapes = [(4, 12), (12,), (12, 2)]
    if start is None:
        return [(0.5 * torch.randn(shape)).requires_grad_() for shape in shapes]
    return [torch.full(shape, start, requires_grad=True) for shape in shapes]


def scores(x: Tensor, weights: list[Tensor]) -> Tensor:
    first, shift, second = weights
    return torch.tanh(x @ first + shift) @ second


def test_bare_tensors_are_watched_under_their_names() -> None:
    x, y = data()
    weights = two_layers(None)
    inner, shift, _outer = weights
    norms, ratios = [], []
    with Session() as session:
        optimizer = torch.optim.SGD(weights, lr=RATE)
        for _step in range(6):
            optimizer.zero_grad()
            F.cross_entropy(scores(x, weights), y).backward()
            assert inner.grad is not None
            norms.append(float(inner.grad.norm()))
            before = inner.detach().clone()
            optimizer.step()
            ratios.append(float((inner.detach() - before).norm() / before.norm()))
    seen = session.observation()
    (model,) = seen.models
    assert [layer.name for layer in model.trace.layers] == ["inner", "outer"]
    assert [(layer.fan_in, layer.fan_out) for layer in model.trace.layers] == [(4, 12), (12, 2)]
    assert {p.name for p in model.parameters} == {"inner.weight", "shift", "outer.weight"}
    columns = model.trace.columns
    # known from the second step on: which tensors are weights shows then
    np.testing.assert_allclose(columns["weight_grad_norm"][1:, 0, 0], norms[2:], rtol=1e-6)
    np.testing.assert_allclose(columns["update_ratio"][1:, 0, 0], ratios[2:], rtol=1e-5)
    assert seen.optimizers[0].foreign == 0
    assert diagnose_run(seen) == []
    assert shift.grad is not None


@pytest.mark.parametrize("hand", [False, True])
def test_equal_units_of_bare_tensors(hand: bool) -> None:
    x, y = data()
    weights = two_layers(0.2)
    with Session() as session:
        optimizer = None if hand else torch.optim.SGD(weights, lr=0.5)
        for _step in range(60):
            F.cross_entropy(scores(x, weights), y).backward()
            if optimizer is not None:
                optimizer.step()
                optimizer.zero_grad()
                continue
            for weight in weights:
                assert weight.grad is not None
                weight.data -= 0.5 * weight.grad
                weight.grad = None
    seen = session.observation()
    assert seen.steps == 60
    worst = diagnose_run(seen)[0]
    assert worst.symptom is Symptom.SYMMETRIC_UNITS
    assert worst.severity is Severity.CRITICAL


def test_weights_that_are_new_tensors_at_each_step() -> None:
    x, _y = data()
    target = x @ torch.tensor([[1.0], [2.0], [-1.0], [0.5]])
    w = torch.zeros(4, 1, requires_grad=True)
    with Session() as session:
        for _step in range(40):
            loss = (x @ w - target).square().mean()
            loss.backward()
            assert w.grad is not None
            w = (w - 0.1 * w.grad).detach().requires_grad_()
    seen = session.observation()
    assert seen.steps == 39  # nothing follows the last one to tell of it
    assert diagnose_run(seen) == []


def test_an_input_that_asks_for_its_gradient_is_no_weight() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Session() as session:
        for _step in range(5):
            x, y = data()
            x.requires_grad_()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
            (loss + 0.1 * slope.square().sum()).backward()
            optimizer.step()
    assert [model.kind for model in session.observation().models] == ["Sequential"]


def test_weights_that_the_optimizer_was_not_given() -> None:
    x, y = data()
    weights = two_layers(None)
    with Session() as session:
        optimizer = torch.optim.SGD(weights[1:2], lr=RATE)  # the shift alone
        for _step in range(10):
            optimizer.zero_grad()
            F.cross_entropy(scores(x, weights), y).backward()
            optimizer.step()
    (finding,) = diagnose_run(session.observation())
    assert finding.symptom is Symptom.UNTRAINED_PARAMETERS
    assert finding.evidence["tensors"] == 2


def test_an_input_whose_derivative_is_in_the_loss_is_no_forgotten_weight() -> None:
    x, _y = data()
    x.requires_grad_()
    weights = two_layers(None)
    with Session() as session:
        optimizer = torch.optim.Adam(weights, lr=0.01)
        for _step in range(10):
            optimizer.zero_grad()
            out = scores(x, weights).sum(1)
            (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
            (out.square().mean() + (slope - 1).square().mean()).backward()
            optimizer.step()
    (model,) = session.observation().models
    assert {p.size for p in model.parameters} == {48, 12, 24}


def run_with(change: str, update: Callable[[nn.Module], None]) -> tuple[nn.Module, Observation]:
    model = net()
    interventions = parse(change)
    for one in interventions:
        one.by_hand = True
    with Session(interventions=interventions) as session:
        loop(model, update, steps=8)
    assert interventions[0].changes
    return model, session.observation()


def test_a_rate_is_scaled_through_the_gradient() -> None:
    changed, _seen = run_with("lr*0.1", in_place)
    plain = net()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1 * RATE)

    def update(_model: nn.Module) -> None:
        optimizer.step()
        optimizer.zero_grad()

    loop(plain, update, steps=8)
    for one, other in zip(changed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_gradients_are_cleared_for_updates_by_hand() -> None:
    def forgetful(model: nn.Module) -> None:
        for p in model.parameters():
            assert p.grad is not None
            p.data.sub_(RATE * p.grad)

    changed, _seen = run_with("zero_grad", forgetful)
    plain = net()
    loop(plain, in_place, steps=8)
    for one, other in zip(changed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_bare_tensors_are_drawn_anew_by_glorots_rule() -> None:
    x, y = data()
    torch.manual_seed(0)
    big = torch.zeros(300, 200, requires_grad=True)
    end = torch.zeros(200, 2, requires_grad=True)
    kept = copy.deepcopy(end)
    with Session(interventions=parse("reinit")):
        optimizer = torch.optim.SGD([big, end], lr=0.0)
        for _step in range(2):
            F.cross_entropy(torch.tanh(x.repeat(1, 75) @ big) @ end, y).backward()
            optimizer.step()
    assert float(big.detach().std()) == pytest.approx((2 / 500) ** 0.5, rel=0.02)
    assert not torch.equal(end, kept)
