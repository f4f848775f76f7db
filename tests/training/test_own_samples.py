"""Members with training sets of their own, and real targets, against plain torch trainings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import train
from nndiag.training.single import train_one

STEPS, BATCH = 30, 8


def data(*, regression: bool) -> TensorData:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 3, generator=generator, dtype=torch.float64)
    y = torch.sin(x.sum(1)) if regression else (x[:, 0] > x[:, 1]).long()
    parts = {"train": slice(0, 60), "val": slice(60, 80), "test": slice(80, 100)}
    tensors = {
        f"{name}_{axis}": values[part]
        for name, part in parts.items()
        for axis, values in (("x", x), ("y", y))
    }
    return TensorData(**tensors)


def build(outputs: int, place: int) -> nn.Module:
    generator = torch.Generator().manual_seed(place)
    model = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, outputs)).double()
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    return model


def lone(model: nn.Module, member: Member, found: TensorData) -> list[float]:
    """A plain training on the member's own samples."""
    rows = torch.arange(60) if member.rows is None else torch.tensor(member.rows)
    x, y = found.train_x[rows], found.train_y[rows]
    loss = nn.CrossEntropyLoss() if y.dtype == torch.int64 else nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=member.lr)
    generator = torch.Generator().manual_seed(member.seed)
    losses: list[float] = []
    while len(losses) < STEPS:
        for part in torch.randperm(len(y), generator=generator).split(BATCH):
            if len(losses) < STEPS:
                optimizer.zero_grad()
                outputs = model(x[part])
                value = loss(outputs if y.dtype == torch.int64 else outputs[:, 0], y[part])
                value.backward()
                optimizer.step()
                losses.append(value.item())
    return losses


@pytest.mark.parametrize("regression", [True, False], ids=["regression", "classes"])
def test_each_as_alone(regression: bool) -> None:
    found, outputs = data(regression=regression), 1 if regression else 2
    members = [
        Member(seed=0, lr=0.1, rows=range(20)),
        Member(seed=1, lr=0.05, rows=[3, 3, 7, *range(30, 47)]),
        Member(seed=2, lr=0.1, rows=range(40)),  # another number: another chunk
        Member(seed=3, lr=0.1),
    ]
    settings = Settings(
        optimizer="sgd",
        steps=STEPS,
        batch_size=BATCH,
        eval_every=STEPS,
        eval_train=True,
        keep=(0, 7, STEPS),
    )
    record = train(lambda place: build(outputs, place), members, settings, found)
    for place, member in enumerate(members):
        model = build(outputs, place)
        assert record.loss[:, place] == pytest.approx(lone(model, member, found), rel=1e-9)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(record.state_of(place)[name], value)
        first = build(outputs, place).state_dict()
        for name, value in model.state_dict().items():
            torch.testing.assert_close(record.kept[0][name][place], first[name])
            torch.testing.assert_close(record.kept[STEPS][name][place], value)
        shorter = train_one(build(outputs, place), member, replace(settings, steps=7), found)
        for name, value in shorter.state_of(0).items():
            torch.testing.assert_close(record.kept[7][name][place], value)
        alone = train_one(build(outputs, place), member, settings, found)
        for name in ("test_loss", "train_loss", "train_accuracy", "val_loss"):
            together = getattr(record, name)[..., place]
            expected = getattr(alone, name)[..., 0]
            assert together == pytest.approx(expected, rel=1e-6, nan_ok=True), name
        with torch.no_grad():
            scores = model(found.test_x)
        expected_loss = (
            nn.functional.mse_loss(scores[:, 0], found.test_y)
            if regression
            else nn.functional.cross_entropy(scores, found.test_y)
        )
        assert record.test_loss[place] == pytest.approx(expected_loss.item(), rel=1e-9)
