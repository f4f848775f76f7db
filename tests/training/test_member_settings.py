"""Schedules, dropout and the probe, a member each."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from nndiag import datasets
from nndiag.schema.spec import DataSpec
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import train
from nndiag.training.single import train_one

STEPS = 50


@pytest.fixture(scope="module")
def data() -> TensorData:
    whole = TensorData.of(datasets.load(DataSpec()), torch.device("cpu"))
    few = {"train_x": whole.train_x[:90], "train_y": whole.train_y[:90]}
    parts = {name: getattr(whole, name) for name in ("val_x", "val_y", "test_x", "test_y")}
    return TensorData(**few, **parts)


def build(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10))


def build_deep(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(16, 10),
        )


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]] = {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS),
    "step:10:0.5": lambda o: torch.optim.lr_scheduler.StepLR(o, 10, 0.5),
    "exponential:0.05": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, math.exp(-0.05)),
}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_each_member_follows_its_own_schedule(optimizer: str, data: TensorData) -> None:
    members = [
        Member(seed=place, lr=0.02 * (place + 1), schedule=schedule)
        for place, schedule in enumerate([*SCHEDULES, "constant"])
    ]
    record = train(build, members, Settings(optimizer=optimizer, steps=STEPS, batch_size=30), data)
    for place, member in enumerate(members):
        losses = plain(build(place), member, optimizer, data)
        np.testing.assert_allclose(record.loss[:, place], losses, rtol=2e-4, atol=1e-6)


def plain(model: nn.Module, member: Member, name: str, data: TensorData) -> list[float]:
    """The same training with torch's own scheduler."""
    kinds = {"sgd": torch.optim.SGD, "momentum": torch.optim.SGD, "adamw": torch.optim.AdamW}
    more = {"momentum": 0.9} if name == "momentum" else {}
    optimizer = kinds[name](model.parameters(), lr=member.lr, **more)
    make = SCHEDULES.get(member.schedule)
    scheduler = make(optimizer) if make else None
    generator = torch.Generator().manual_seed(member.seed)
    losses: list[float] = []
    while len(losses) < STEPS:
        order = torch.randperm(len(data.train_y), generator=generator)
        for rows in order.split(30)[: STEPS - len(losses)]:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows])
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            losses.append(float(loss.detach()))
    return losses


def test_a_plateau_in_a_population_is_that_of_a_lone_training(data: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=30, eval_every=5)
    members = [Member(seed=k, lr=0.8, schedule="plateau:0.1:0") for k in range(3)]
    together = train(build, members, settings, data)
    for place, member in enumerate(members):
        alone = train_one(build(place), member, settings, data)
        np.testing.assert_allclose(together.loss[:, [place]], alone.loss, rtol=1e-3, atol=1e-5)


def test_a_class_that_keeps_its_rate_trains_alone_under_a_schedule(data: TensorData) -> None:
    settings = Settings(optimizer="torch.optim:SGD", steps=4, batch_size=30)
    members = [Member(seed=0, lr=0.1, schedule="cosine"), Member(seed=1, lr=0.2)]
    assert train(build, members, settings, data).notes == ()
    settings = Settings(optimizer=f"{__name__}:OldMomentum", steps=4, batch_size=30)
    assert train(build, members[1:] * 2, settings, data).notes == ()
    (note,) = train(build, members, settings, data).notes
    assert "one by one" in note


class OldMomentum(torch.optim.Optimizer):
    """Heavy ball with the rate inside the velocity (Polyak 1964)."""

    def __init__(self, params: object, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})  # type: ignore[arg-type]

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                velocity = state.get("velocity", torch.zeros_like(parameter))
                state["velocity"] = 0.9 * velocity - group["lr"] * parameter.grad
                parameter.add_(state["velocity"])


def test_dropout_probability_of_each_member(data: TensorData) -> None:
    """The sharper the dropout, the higher the training loss; p = 0 is a network without it."""
    rates = (0.0, 0.3, 0.8)
    members = [Member(seed=7, lr=0.01, dropout=rate) for rate in rates]
    settings = Settings(optimizer="adam", steps=120, batch_size=45)
    record = train(lambda place: build_deep(0), members, settings, data)
    assert record.notes == ()
    late = record.loss[-20:].mean(0)
    assert late[0] < late[1] < late[2]
    without = build_deep(0)
    without[4] = nn.Identity()
    alone = train_one(without, Member(seed=7, lr=0.01), settings, data)
    np.testing.assert_allclose(record.loss[:, 0], alone.loss[:, 0], rtol=1e-2, atol=1e-4)


def test_dropout_keeps_the_mean_of_each_member() -> None:
    from nndiag.training.stacked import Stacked

    rates = (0.0, 0.25, 0.9, 1.0)
    models = [nn.Sequential(nn.Linear(4, 4), nn.Dropout(rate)) for rate in rates]
    for model in models:
        nn.init.eye_(model[0].weight)
        nn.init.zeros_(model[0].bias)
    stacked = Stacked(models)
    out = stacked.forward(torch.ones(4, 50_000, 4), training=True).detach()
    for member, rate in enumerate(rates):
        kept = (out[member] != 0).double().mean()
        assert kept == pytest.approx(1 - rate, abs=0.005)
        if rate < 1:
            assert out[member].double().mean() == pytest.approx(1, abs=0.03)
    assert torch.equal(
        stacked.forward(torch.ones(4, 3, 4), training=False).detach(), torch.ones(4, 3, 4)
    )


def test_dropout_without_a_layer_is_an_error(data: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=2)
    with pytest.raises(ValueError, match="without a dropout layer"):
        train(build, [Member(seed=0, lr=0.1, dropout=0.5)], settings, data)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_statistics_of_each_member(optimizer: str, data: TensorData) -> None:
    """A member's trace equals that of a probe in a lone training."""
    settings = Settings(optimizer=optimizer, steps=21, batch_size=30, probe_every=10)
    members = [Member(seed=k, lr=0.05 * (k + 1)) for k in range(3)]
    together = train(build, members, settings, data).trace
    assert together is not None
    assert together.steps.tolist() == [0, 10, 20]
    assert together.members == 3
    for place, member in enumerate(members):
        alone = train_one(build(place), member, settings, data).trace
        assert alone is not None
        assert alone.steps.tolist() == [0, 10, 20]
        assert set(alone.columns) == set(together.columns)
        for name, table in alone.columns.items():
            np.testing.assert_allclose(
                together.columns[name][:, :, place], table[:, :, 0], rtol=5e-3, atol=1e-6
            )
        np.testing.assert_allclose(together.loss[:, place], alone.loss[:, 0], rtol=1e-4)


def test_watching_changes_nothing(data: TensorData) -> None:
    members = [Member(seed=k, lr=0.05) for k in range(4)]
    plain_run = train(build_deep, members, Settings(optimizer="adam", steps=12), data)
    watched = train(build_deep, members, Settings(optimizer="adam", steps=12, probe_every=3), data)
    np.testing.assert_array_equal(plain_run.loss, watched.loss)
    np.testing.assert_array_equal(plain_run.test_accuracy, watched.test_accuracy)
