"""Member k of a population equals a lone, plain torch training with the same seed and order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nndiag.schema.spec import NetworkSpec
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.population import train
from nndiag.zoo import activations, initialisations, networks

STEPS = 50
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, object]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (torch.optim.Adagrad, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adam": (torch.optim.Adam, {}),
    "nadam": (torch.optim.NAdam, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.01}),
    "radam": (torch.optim.RAdam, {}),
    "adamax": (torch.optim.Adamax, {}),
}


@pytest.fixture
def data() -> TensorData:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 1, 8, 8, generator=generator, dtype=torch.float64)
    y = (x.flatten(1)[:, :10]).argmax(1)
    return TensorData(
        train_x=x[:50], train_y=y[:50], val_x=x[50:70], val_y=y[50:70], test_x=x[70:], test_y=y[70:]
    )


def builder(**fields: object) -> Callable[[int], nn.Module]:
    spec = NetworkSpec(**fields)  # type: ignore[arg-type]

    def build(place: int) -> nn.Module:
        model = networks.build(spec, (1, 8, 8), 10)
        initialisations.initialise(
            model,
            initialisations.parse(spec.init),
            activations.parse(spec.act),
            generator=torch.Generator().manual_seed(100 + place),
        )
        return model.double()

    return build


MLP = {"depth": 3, "width": 12, "act": "tanh", "init": "xavier_uniform"}


def lone(
    model: nn.Module,
    member: Member,
    data: TensorData,
    kind: type[torch.optim.Optimizer],
    options: dict[str, object],
    batch_size: int = 16,
) -> tuple[nn.Module, list[float]]:
    """A plain training, written here from nothing but torch."""
    optimizer = kind(model.parameters(), lr=member.lr, **options)
    generator = torch.Generator().manual_seed(member.seed)
    losses: list[float] = []
    while len(losses) < STEPS:
        order = torch.randperm(len(data.train_y), generator=generator)
        for rows in order.split(batch_size)[: STEPS - len(losses)]:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows])
            loss.backward()
            if member.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), member.clip_norm)
            if member.clip_value is not None:
                nn.utils.clip_grad_value_(model.parameters(), member.clip_value)
            optimizer.step()
            losses.append(loss.item())
    return model, losses


def same(record: Record, member: int, model: nn.Module, losses: list[float]) -> None:
    assert record.loss[:, member] == pytest.approx(losses, rel=1e-8)
    state = record.state_of(member)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name: str, data: TensorData) -> None:
    build = builder(**MLP)
    kind, options = OPTIMIZERS[name]
    rate = {"adadelta": 1.0, "sgd": 0.3, "adagrad": 0.05}.get(name, 0.01)
    members = [Member(seed=k, lr=rate * 3.0**-k) for k in range(4)]
    record = train(build, members, Settings(optimizer=name, steps=STEPS, batch_size=16), data)
    assert record.notes == ()
    for place, member in enumerate(members):
        same(record, place, *lone(build(place), member, data, kind, options))


@pytest.mark.parametrize(
    "fields",
    [
        MLP | {"norm": "batch", "act": "relu"},
        MLP | {"norm": "layer", "act": "elu"},
        MLP | {"act": "prelu"},
        MLP | {"residual": True, "depth": 4},
        {"net": "cnn", "depth": 3, "width": 4, "act": "relu", "norm": "batch"},
        {"net": "rnn", "depth": 1, "width": 5, "act": "tanh", "init": "orthogonal"},
        {"net": "lstm", "depth": 1, "width": 4, "act": "tanh"},
    ],
    ids=lambda fields: "-".join(str(value) for value in fields.values()),
)
def test_every_kind_of_network(fields: dict[str, object], data: TensorData) -> None:
    build = builder(**fields)
    members = [Member(seed=k, lr=0.01 / (k + 1)) for k in range(3)]
    settings = Settings(optimizer="momentum", steps=STEPS, batch_size=16)
    record = train(build, members, settings, data)
    assert record.notes == ()
    for place, member in enumerate(members):
        model, losses = lone(build(place), member, data, torch.optim.SGD, {"momentum": 0.9})
        same(record, place, model, losses)
        model.eval()
        with torch.no_grad():
            right = (model(data.test_x).argmax(1) == data.test_y).double().mean().item()
        assert record.test_accuracy[place] == pytest.approx(right)


def test_each_member_clips_by_its_own_limits(data: TensorData) -> None:
    build = builder(**MLP)
    members = [
        Member(seed=0, lr=0.5, clip_norm=0.1),
        Member(seed=1, lr=0.5, clip_value=0.01),
        Member(seed=2, lr=0.5),
    ]
    record = train(build, members, Settings(optimizer="sgd", steps=STEPS, batch_size=16), data)
    for place, member in enumerate(members):
        same(record, place, *lone(build(place), member, data, torch.optim.SGD, {}))


def test_a_diverging_member_disturbs_nobody(data: TensorData) -> None:
    build = builder(**(MLP | {"act": "linear"}))
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=16)
    members = [Member(seed=k, lr=0.05) for k in range(3)]
    wild = [members[0], Member(seed=1, lr=1e6), members[2]]
    calm_record, record = (train(build, group, settings, data) for group in (members, wild))
    assert record.diverged.tolist() == [False, True, False]
    assert np.isnan(record.loss[-1, 1])
    assert np.isnan(record.test_loss[1])
    for place in (0, 2):
        np.testing.assert_allclose(record.loss[:, place], calm_record.loss[:, place], rtol=1e-9)
    assert all(torch.isfinite(value).all() for value in record.states.values())


def test_options_per_member(data: TensorData) -> None:
    build = builder(**MLP)
    members = [
        Member(seed=0, lr=0.1, options={"momentum": 0.5}),
        Member(seed=1, lr=0.1, options={"momentum": 0.9}),
        Member(seed=2, lr=0.1, options={"momentum": 0.5}),
    ]
    record = train(build, members, Settings(optimizer="sgd", steps=STEPS, batch_size=16), data)
    for place, member in enumerate(members):
        same(
            record, place, *lone(build(place), member, data, torch.optim.SGD, dict(member.options))
        )


def test_full_batch(data: TensorData) -> None:
    build = builder(**MLP)
    members = [Member(seed=k, lr=0.3) for k in range(2)]
    record = train(build, members, Settings(optimizer="gd", steps=STEPS), data)
    for place, member in enumerate(members):
        model, losses = lone(build(place), member, data, torch.optim.SGD, {}, batch_size=50)
        same(record, place, model, losses)


@pytest.mark.parametrize("name", ["rprop", "lbfgs"])
def test_what_is_not_linear_in_the_rate_runs_alone(name: str, data: TensorData) -> None:
    members = [Member(seed=k, lr=0.01) for k in range(2)]
    record = train(builder(**MLP), members, Settings(optimizer=name, steps=5), data)
    assert record.notes == (f"{name} is not linear in its rate: its members trained one by one",)
    assert record.loss[-1].max() < record.loss[0].min()


class Moody(nn.Module):
    """Its control flow depends on the data, which vmap refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.fc(x.flatten(1))
        return out if out.sum() > 0 else 2 * out


def test_what_vmap_cannot_run_trains_alone(data: TensorData) -> None:
    def build(place: int) -> nn.Module:
        torch.manual_seed(place)
        return Moody().double()

    members = [Member(seed=k, lr=0.1) for k in range(2)]
    record = train(build, members, Settings(optimizer="sgd", steps=STEPS, batch_size=16), data)
    assert record.notes == ("Moody cannot be vectorised: its members trained one by one",)
    same(record, 1, *lone(build(1), members[1], data, torch.optim.SGD, {}))


def test_dropout_differs_between_members_and_keeps_the_mean() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.3))
    from nndiag.training.stacked import Stacked

    stacked = Stacked([nn.Sequential(nn.Linear(64, 4), *model) for _ in range(8)])
    for parameter in stacked.parameters.values():
        torch.nn.init.ones_(parameter.data)
    out = stacked.forward(torch.ones(8, 4000, 64), training=True)
    kept = (out != 0).double()
    assert kept.mean().item() == pytest.approx(0.7, abs=0.01)
    assert out.mean().item() == pytest.approx(65.0, rel=0.02)
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(
        stacked.forward(torch.ones(8, 5, 64), training=False), torch.full((8, 5, 4), 65.0)
    )


def test_same_seed_same_record(data: TensorData) -> None:
    build = builder(**(MLP | {"dropout": 0.2}))
    members = [Member(seed=k, lr=0.1) for k in range(3)]
    settings = Settings(optimizer="adam", steps=20, batch_size=16)
    one, two = (train(build, members, settings, data) for _ in range(2))
    np.testing.assert_array_equal(one.loss, two.loss)
    np.testing.assert_array_equal(one.test_accuracy, two.test_accuracy)


def test_progress_counts_every_member_step(data: TensorData) -> None:
    told: list[int] = []
    members = [Member(seed=k, lr=0.1) for k in range(5)]
    train(builder(**MLP), members, Settings(optimizer="sgd", steps=37), data, told.append)
    assert sum(told) == 5 * 37
