"""Losses against torch, closed forms and a plain training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch.nn import functional as F

from nndiag.experiments import losses
from nndiag.schema.spec_principles import LossesSpec

DELTA = 0.3
TABLE = losses.table(DELTA)
TORCH = {
    "bce": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none"),
    "mse": lambda z, y: F.mse_loss(torch.sigmoid(z), y, reduction="none"),
    "mae": lambda z, y: F.l1_loss(torch.sigmoid(z), y, reduction="none"),
    "huber": lambda z, y: F.huber_loss(torch.sigmoid(z), y, reduction="none", delta=DELTA),
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_value_and_slope_are_torchs(name: str, y: float) -> None:
    z = np.linspace(-30, 30, 121)
    scores = torch.tensor(z, requires_grad=True)
    target = torch.full_like(scores, y)
    values = TORCH[name](scores, target)
    (slopes,) = torch.autograd.grad(values.sum(), scores)
    np.testing.assert_allclose(TABLE[name].value(z, y), values.detach(), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(TABLE[name].slope(z, y), slopes, rtol=1e-6, atol=1e-13)


def test_softmax_and_residuals() -> None:
    scores = torch.tensor([losses.SOFTMAX], dtype=torch.float64, requires_grad=True)
    loss = F.cross_entropy(scores, torch.tensor([losses.LABEL]))
    loss.backward()
    found = losses._softmax()
    assert found["loss"] == pytest.approx(loss.item())
    np.testing.assert_allclose(found["slope"], scores.grad[0], rtol=1e-12)
    error = torch.tensor(losses.ERRORS, dtype=torch.float64, requires_grad=True)
    zero = torch.zeros_like(error)
    for name, loss in (
        ("mse", F.mse_loss(error, zero, reduction="sum")),
        ("mae", F.l1_loss(error, zero, reduction="sum")),
        ("huber", F.huber_loss(error, zero, reduction="sum", delta=DELTA)),
    ):
        (slope,) = torch.autograd.grad(loss, error, retain_graph=True)
        shown = [row[name] for row in losses._residuals(DELTA)]
        np.testing.assert_allclose(shown, slope, atol=1e-15)


def test_mse_never_pulls_harder_than_8_27() -> None:
    pull = np.abs(TABLE["mse"].slope(np.linspace(-9, 9, 200_001), np.array(1.0)))
    assert pull.max() == pytest.approx(8 / 27, rel=1e-8)
    at = np.linspace(-9, 9, 200_001)[pull.argmax()]
    assert 1 / (1 + math.exp(-at)) == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.parametrize("name", losses.PRIMITIVES)
@pytest.mark.parametrize("start", [-8.0, -3.0])
def test_escape_is_the_integral_of_gradient_flow(name: str, start: float) -> None:
    spec = LossesSpec(start=start, lr=0.01)
    one = np.array(1.0)
    loss = TABLE[name]
    expected, _error = integrate.quad(
        lambda z: 1 / abs(float(loss.slope(np.array(z), one))), start, 0
    )
    found = losses._escape(name, loss, spec)
    assert found["predicted"] == pytest.approx(expected / 0.01, rel=1e-7)
    if found["measured"] is not None:
        assert found["measured"] == pytest.approx(found["predicted"], rel=0.01)


def test_training_is_that_of_a_plain_loop() -> None:
    spec = LossesSpec(seeds=2, steps=30, start=-4.0, lr=0.5)
    data = losses._data(spec)
    for name, loss in TABLE.items():
        accuracy, value, norm = losses.train(loss, data, 0.5, 30)
        x, y = torch.tensor(data[0][1]), torch.tensor(data[1])
        weights = torch.tensor(data[2][1][:, 0], requires_grad=True)
        optimizer = torch.optim.SGD([weights], lr=0.5)
        for step in range(31):
            optimizer.zero_grad()
            scores = x @ weights
            mean = TORCH[name](scores, y).mean()
            mean.backward()
            assert value[step, 1] == pytest.approx(mean.item(), rel=1e-9)
            assert norm[step, 1] == pytest.approx(weights.grad.norm().item(), rel=1e-8)
            assert accuracy[step, 1] == ((scores > 0) == (y > 0.5)).double().mean().item()
            optimizer.step()


def test_what_the_defaults_teach() -> None:
    result = losses.run(LossesSpec(seeds=5)).result
    rows = {row["label"]: row for row in result["rows"]}
    assert rows["bce"]["reached"] == 5
    assert rows["mse"]["reached"] == 0
    assert rows["mse"]["steps"] is None
    assert rows["mse, best rate"]["lr"] > rows["mse"]["lr"]
    assert rows["bce"]["gradient_at_start"].mean > 50 * rows["mse"]["gradient_at_start"].mean
    assert result["deviation"] < 1e-6
    assert result["escape"]["mse"]["predicted"] == pytest.approx(math.exp(8) / 0.2, rel=0.02)


def test_the_start_is_as_wrong_as_asked() -> None:
    spec = LossesSpec(seeds=30, start=-6.0)
    x, y, weights = losses._data(spec)
    signed = (2 * y[:, None] - 1) * (x @ weights)[..., 0].T
    assert signed.mean() == pytest.approx(-6, abs=0.2)


def test_a_start_that_is_not_wrong_is_not_called_so() -> None:
    said = " ".join(losses.run(LossesSpec(seeds=3, start=0.0, steps=50)).result["reading"])
    assert "climb back" not in said
    assert "times the rate" not in said
