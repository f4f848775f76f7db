"""Schedules, dropout and the probe, a member each."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from nndiag import datasets
from nndiag.probe.probe import Probe
from nndiag.schema.spec import DataSpec
from nndiag.schema.trace import Trace
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import train

STEPS = 50


@pytest.fixture(scope="module")
def data() -> TensorData:
    whole = TensorData.of(datasets.load(DataSpec()), torch.device("cpu"))
    few = {"train_x": whole.train_x[:90], "train_y": whole.train_y[:90]}
    parts = {name: getattr(whole, name) for name in ("val_x", "val_y", "test_x", "test_y")}
    return TensorData(**few, **parts)


@pytest.fixture(scope="module")
def double(data: TensorData) -> TensorData:
    tensors = vars(data).items()
    return TensorData(**{k: v.double() if v.is_floating_point() else v for k, v in tensors})


def build(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10))


def build_deep(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.RReLU(), nn.Dropout(0.5)),
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


def test_a_plateau_in_a_population_is_that_of_a_lone_training(double: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=30, eval_every=5)
    members = [
        *(Member(seed=k, lr=0.8, schedule="plateau:0.1:0") for k in range(2)),
        Member(seed=2, lr=1.5, schedule="plateau:0.5:1"),
        Member(seed=3, lr=0.8),
    ]
    together = train(lambda place: build(place).double(), members, settings, double)
    fell = []
    for place, member in enumerate(members):
        model = build(place).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=member.lr)
        gamma, patience = {"0": (0.1, 0), "1": (0.5, 1), "t": (1 - 1e-12, 99)}[member.schedule[-1]]
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", gamma, patience)
        order = torch.Generator().manual_seed(member.seed)
        rows = [
            batch for _epoch in range(17) for batch in torch.randperm(90, generator=order).split(30)
        ]
        losses = []
        for step, batch in enumerate(rows[:STEPS], start=1):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(double.train_x[batch]), double.train_y[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if step % settings.eval_every == 0:
                with torch.no_grad():
                    scheduler.step(nn.functional.cross_entropy(model(double.val_x), double.val_y))
        np.testing.assert_allclose(together.loss[:, place], losses, rtol=1e-8)
        fell.append(optimizer.param_groups[0]["lr"] < 0.9 * member.lr)
    assert any(fell), "a plateau was met"
    assert not fell[3]


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


@pytest.mark.parametrize("count", [1, 2, 12])
def test_dropout_of_each_member_is_that_of_a_lone_training(count: int, double: TensorData) -> None:
    """The masks are those that torch draws alone after `manual_seed`; so are those of rrelu."""
    rates = [0.0, 0.3, 0.8, None]
    members = [Member(seed=k, lr=0.01 * (k + 1), dropout=rates[k % 4]) for k in range(count)]
    settings = Settings(optimizer="adam", steps=STEPS, batch_size=30)
    record = train(lambda place: build_deep(place).double(), members, settings, double)
    assert record.notes == ()
    for place, member in enumerate(members):
        model = build_deep(place).double()
        if member.dropout is not None:
            model[4].p = member.dropout  # type: ignore[index]
        losses = lone(model, member, double, torch.optim.Adam)
        np.testing.assert_allclose(record.loss[:, place], losses, rtol=1e-6)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(record.state_of(place)[name], value, rtol=1e-5, atol=1e-7)


def lone(
    model: nn.Module, member: Member, data: TensorData, kind: type[torch.optim.Optimizer]
) -> list[float]:
    """A plain training with everything that a member may have of its own."""
    torch.manual_seed(member.seed)
    optimizer = kind(model.parameters(), lr=member.lr, **member.options)  # type: ignore[call-arg]
    order = torch.Generator().manual_seed(member.seed)
    losses: list[float] = []
    while len(losses) < STEPS:
        epoch = torch.randperm(len(data.train_y), generator=order).split(30)
        for rows in epoch[: STEPS - len(losses)]:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows])
            loss.backward()
            if member.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), member.clip_norm)
            if member.clip_value is not None:
                nn.utils.clip_grad_value_(model.parameters(), member.clip_value)
            optimizer.step()
            losses.append(float(loss.detach()))
    return losses


def test_momentum_decay_clipping_and_optimizer_of_each_member(double: TensorData) -> None:
    """What differs in the optimizer still shares one forward and backward pass."""
    members = [
        Member(seed=0, lr=0.1, options={"momentum": 0.9}),
        Member(seed=1, lr=0.2, options={"momentum": 0.5, "weight_decay": 0.05}),
        Member(seed=2, lr=0.3, clip_norm=0.2, options={"momentum": 0.9}),
        Member(seed=3, lr=0.01, optimizer="adam", clip_value=0.02),
        Member(seed=4, lr=0.02, optimizer="adam", options={"weight_decay": 0.1}),
        Member(seed=5, lr=0.005, optimizer="rmsprop"),
        Member(seed=6, lr=0.003, optimizer="adam"),
        Member(seed=7, lr=0.2),
    ]
    kinds = {None: torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=30)
    record = train(lambda place: build(place).double(), members, settings, double)
    assert record.notes == ()
    for place, member in enumerate(members):
        model = build(place).double()
        losses = lone(model, member, double, kinds[member.optimizer])
        np.testing.assert_allclose(record.loss[:, place], losses, rtol=1e-8)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(record.state_of(place)[name], value, rtol=1e-7, atol=1e-9)


def test_an_optimizer_that_is_not_linear_does_not_slow_the_others(data: TensorData) -> None:
    members = [
        Member(seed=0, lr=0.1),
        Member(seed=1, lr=0.01, optimizer="rprop"),
        Member(seed=2, lr=0.1, optimizer="gd"),
        Member(seed=3, lr=0.2),
    ]
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=30)
    record = train(build, members, settings, data)
    assert record.notes == ("rprop is not linear in its rate: its members trained one by one",)
    for place in (0, 3):
        losses = lone(build(place), members[place], data, torch.optim.SGD)
        np.testing.assert_allclose(record.loss[:, place], losses, rtol=2e-4, atol=1e-6)
    whole = nn.functional.cross_entropy(build(2)(data.train_x), data.train_y)
    assert record.loss[0, 2] == pytest.approx(float(whole.detach()), rel=1e-5)


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
@pytest.mark.parametrize("make", [build, build_deep], ids=["tanh", "batch norm, rrelu, dropout"])
def test_statistics_of_each_member(
    optimizer: str, make: Callable[[int], nn.Module], double: TensorData
) -> None:
    """A member's trace equals that of a probe in a lone, plain training."""
    settings = Settings(optimizer=optimizer, steps=21, batch_size=30, probe_every=10)
    members = [Member(seed=k, lr=0.02 * (k + 1)) for k in range(3)]
    together = train(lambda place: make(place).double(), members, settings, double).trace
    assert together is not None
    assert together.steps.tolist() == [0, 10, 20]
    assert together.members == 3
    for place, member in enumerate(members):
        alone = watched(make(place).double(), member, optimizer, double)
        assert alone.steps.tolist() == [0, 10, 20]
        assert set(alone.columns) == set(together.columns)
        for name, table in alone.columns.items():
            np.testing.assert_allclose(
                together.columns[name][:, :, place], table[:, :, 0], rtol=1e-5, atol=1e-9
            )
        np.testing.assert_allclose(together.loss[:, place], alone.loss[:, 0], rtol=1e-5)


def watched(model: nn.Module, member: Member, name: str, data: TensorData) -> Trace:
    """Train plainly under a probe."""
    torch.manual_seed(member.seed)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    optimizer = kind(model.parameters(), lr=member.lr)
    order = torch.Generator().manual_seed(member.seed)
    rows = [
        batch
        for _epoch in range(7)
        for batch in torch.randperm(len(data.train_y), generator=order).split(30)
    ]
    with Probe(model, optimizer, every=10, exact=True) as probe:
        for batch in rows:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.train_x[batch]), data.train_y[batch])
            loss.backward()
            probe.note_loss(loss)
            optimizer.step()
    return probe.trace


def test_watching_changes_nothing(data: TensorData) -> None:
    members = [Member(seed=k, lr=0.05) for k in range(4)]
    plain_run = train(build_deep, members, Settings(optimizer="adam", steps=12), data)
    watched = train(build_deep, members, Settings(optimizer="adam", steps=12, probe_every=3), data)
    np.testing.assert_array_equal(plain_run.loss, watched.loss)
    np.testing.assert_array_equal(plain_run.test_accuracy, watched.test_accuracy)
