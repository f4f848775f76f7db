"""Populations of what users bring: their modules, their optimizers, their accidents."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nndiag.schema.errors import UsageError
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.population import train

STEPS = 50
Build = Callable[[int], nn.Module]


@pytest.fixture(params=[torch.float64, torch.float32], ids=["f64", "f32"])
def data(request: pytest.FixtureRequest) -> TensorData:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 6, generator=generator, dtype=torch.float64).to(request.param)
    y = x.argmax(1)
    return TensorData(
        train_x=x[:50], train_y=y[:50], val_x=x[50:65], val_y=y[50:65], test_x=x[65:], test_y=y[65:]
    )


@pytest.fixture
def two_lanes() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def mlp(place: int, act: nn.Module | None = None) -> nn.Module:
    generator = torch.Generator().manual_seed(place)
    model = nn.Sequential(nn.Linear(6, 16), act or nn.Tanh(), nn.Linear(16, 6))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4, generator=generator)
    return model


def like(data: TensorData, make: Build) -> Build:
    return lambda place: make(place).to(data.train_x.dtype)


def lone(
    model: nn.Module, member: Member, data: TensorData, kind: type[torch.optim.Optimizer]
) -> nn.Module:
    """Train plainly, in nothing but torch."""
    optimizer = kind(model.parameters(), lr=member.lr, **member.options)  # type: ignore[call-arg]
    generator = torch.Generator().manual_seed(member.seed)
    done = 0
    while done < STEPS:
        for rows in torch.randperm(50, generator=generator).split(16)[: STEPS - done]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows]).backward()
            optimizer.step()
            done += 1
    return model


def agree(record: Record, member: int, model: nn.Module, data: TensorData) -> None:
    single = data.train_x.dtype == torch.float32
    assert list(record.states) == list(model.state_dict())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(
            record.state_of(member)[name],
            value,
            rtol=1e-4 if single else 1e-8,
            atol=2e-5 if single else 1e-10,
        )


class Lion(torch.optim.Optimizer):
    """A third-party optimizer: the sign of a momentum (Chen et al. 2023), one at a time."""

    def __init__(self, params: object, lr: float, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})  # type: ignore[arg-type]

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                old = state.setdefault("average", torch.zeros_like(parameter))
                old.lerp_(parameter.grad, 1 - group["beta"])
                parameter.sub_(torch.tanh(1e3 * old), alpha=group["lr"])


class TrustRatio(Lion):
    """Looks at the norm of a whole tensor, which mixes members of a stack (You et al. 2017)."""

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    ratio = parameter.norm() / (parameter.grad.norm() + 1e-9)
                    parameter.sub_(ratio * parameter.grad, alpha=group["lr"])


@pytest.mark.parametrize(
    ("kind", "together"), [(Lion, True), (TrustRatio, False), (torch.optim.AdamW, True)]
)
def test_optimizers_given_by_import(
    kind: type[torch.optim.Optimizer],
    together: bool,
    data: TensorData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys
    from types import ModuleType

    guest = ModuleType("guest_optimizers")
    setattr(guest, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "guest_optimizers", guest)
    name = f"guest_optimizers:{kind.__name__}"
    members = [Member(seed=k, lr=0.01 / 3**k) for k in range(4)]
    build = like(data, mlp)
    record = train(build, members, Settings(optimizer=name, steps=STEPS, batch_size=16), data)
    note = f"{name} is not linear in its rate: its members trained one by one"
    assert record.notes == (() if together else (note,))
    for place, member in enumerate(members):
        agree(record, place, lone(build(place), member, data, kind), data)


def test_members_of_different_structure_train_in_populations_of_their_own(data: TensorData) -> None:
    slopes = [0.01, 0.9, 0.01, 0.9, 0.5]
    build = like(data, lambda place: mlp(place, nn.LeakyReLU(slopes[place])))
    members = [Member(seed=k, lr=0.1) for k in range(5)]
    record = train(build, members, Settings(optimizer="sgd", steps=STEPS, batch_size=16), data)
    for place, member in enumerate(members):
        agree(record, place, lone(build(place), member, data, torch.optim.SGD), data)


def test_frozen_weights_do_not_move(data: TensorData) -> None:
    def frozen(place: int) -> nn.Module:
        model = mlp(place)
        model[0].requires_grad_(False)  # type: ignore[index]
        return model

    build = like(data, frozen)
    members = [Member(seed=k, lr=0.05) for k in range(3)]
    record = train(build, members, Settings(optimizer="adam", steps=STEPS, batch_size=16), data)
    for place, member in enumerate(members):
        agree(record, place, lone(build(place), member, data, torch.optim.Adam), data)
        assert torch.equal(record.state_of(place)["0.weight"], build(place)[0].weight)  # type: ignore[index]


class Replacing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return self.layer(x - self.mean)


class Recurrent(nn.Module):
    """nn.LSTM has no rule under vmap."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 4, batch_first=True)
        self.head = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[:, :, None])[0][:, -1])


@pytest.mark.parametrize("kind", [Replacing, Recurrent])
def test_what_cannot_be_vectorised_trains_alone(kind: type[nn.Module], data: TensorData) -> None:
    def seeded(place: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(place)
            return kind()

    build = like(data, seeded)
    members = [Member(seed=k, lr=0.05) for k in range(2)]
    record = train(build, members, Settings(optimizer="sgd", steps=STEPS, batch_size=16), data)
    assert record.notes == (
        f"{kind.__name__} cannot be vectorised: its members trained one by one",
    )
    for place, member in enumerate(members):
        agree(record, place, lone(build(place), member, data, torch.optim.SGD), data)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_others_are_bit_equal_beside_a_diverging_member(
    optimizer: str, clip: float | None, data: TensorData
) -> None:
    def wild(place: int) -> nn.Module:
        model = mlp(place)
        if place == 1:
            nn.init.constant_(model[2].weight, float("inf"))  # type: ignore[index]
        return model

    members = [Member(seed=k, lr=0.01, clip_norm=clip) for k in range(3)]
    settings = Settings(optimizer=optimizer, steps=STEPS, batch_size=16)
    calm = train(like(data, mlp), members, settings, data)
    record = train(like(data, wild), members, settings, data)
    assert record.diverged.tolist() == [False, True, False]
    others = [0, 2]
    for name in ("loss", "gradient_norm", "val_loss", "test_loss", "test_accuracy"):
        np.testing.assert_array_equal(
            getattr(record, name)[..., others], getattr(calm, name)[..., others]
        )
    for name, value in record.states.items():
        assert torch.equal(value[others], calm.states[name][others])
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": False}, {"amsgrad": True}])
def test_an_implementation_of_the_optimizer_may_be_chosen(
    options: dict[str, object], data: TensorData
) -> None:
    build = like(data, mlp)
    members = [Member(seed=k, lr=0.01, options=options) for k in range(2)]
    record = train(build, members, Settings(optimizer="adam", steps=STEPS, batch_size=16), data)
    for place, member in enumerate(members):
        agree(record, place, lone(build(place), member, data, torch.optim.Adam), data)


def test_an_unknown_option_is_the_users_error(data: TensorData) -> None:
    members = [Member(seed=k, lr=0.01, options={"momentun": 0.9}) for k in range(2)]
    with pytest.raises(UsageError, match=r"momentun.*momentum"):
        train(like(data, mlp), members, Settings(optimizer="sgd", steps=2), data)


class Functional(nn.Module):
    """Drops out by a function, which no list of layers shows."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.net = mlp(place)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(nn.functional.dropout(x, 0.3, self.training))


@pytest.mark.parametrize("kind", ["plain", "functional dropout"])
@pytest.mark.usefixtures("two_lanes")
def test_two_lanes_repeat_themselves_and_leave_the_random_state(
    kind: str, data: TensorData
) -> None:
    build = like(data, mlp if kind == "plain" else Functional)
    members = [Member(seed=k, lr=0.01) for k in range(12)]
    settings = Settings(optimizer="adam", steps=8, batch_size=16)
    before = torch.get_rng_state()
    records = [train(build, members, settings, data) for _ in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == 2
    for record in records[1:]:
        np.testing.assert_array_equal(record.loss, records[0].loss)


@pytest.mark.usefixtures("two_lanes")
def test_ctrl_c_reaches_the_caller_and_ends_the_lanes(data: TensorData) -> None:
    import threading

    def interrupt(steps: int) -> None:
        raise KeyboardInterrupt

    threads = threading.active_count()
    members = [Member(seed=k, lr=0.01) for k in range(12)]
    settings = Settings(optimizer="adam", steps=10_000, batch_size=16)
    with pytest.raises(KeyboardInterrupt):
        train(like(data, mlp), members, settings, data, interrupt)
    assert threading.active_count() == threads
    assert torch.get_num_threads() == 2


def test_the_networks_given_are_not_touched(data: TensorData) -> None:
    models = [like(data, mlp)(place) for place in range(2)]
    kept = copy.deepcopy(models)
    members = [Member(seed=k, lr=0.1) for k in range(2)]
    settings = Settings(optimizer="sgd", steps=5, batch_size=16)
    train(lambda place: models[place], members, settings, data)
    for model, before in zip(models, kept, strict=True):
        for name, value in before.state_dict().items():
            assert torch.equal(model.state_dict()[name], value)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_divergence_reads_the_same_alone_and_together(optimizer: str, data: TensorData) -> None:
    def wild(place: int) -> nn.Module:
        model = mlp(place, nn.Identity())
        if place != 1:
            return model
        with torch.no_grad():
            model[0].weight.mul_(1e200 if data.train_x.dtype == torch.float64 else 1e25)  # type: ignore[index]
            model[2].weight.mul_(1e200 if data.train_x.dtype == torch.float64 else 1e25)  # type: ignore[index]
        return model

    members = [Member(seed=k, lr=0.01) for k in range(3)]
    settings = Settings(optimizer=optimizer, steps=STEPS, batch_size=16)
    together = train(like(data, wild), members, settings, data)
    assert together.diverged.tolist() == [False, True, False]
    for place, member in enumerate(members):
        alone = train(lambda _place, place=place: like(data, wild)(place), [member], settings, data)
        tolerance = 1e-4 if data.train_x.dtype == torch.float32 else 1e-8
        np.testing.assert_allclose(together.loss[:, [place]], alone.loss, rtol=tolerance)
        np.testing.assert_allclose(
            together.gradient_norm[:, [place]], alone.gradient_norm, rtol=10 * tolerance
        )
        assert together.diverged[place] == alone.diverged[0]
        assert all(torch.isfinite(value).all() for value in alone.states.values())
