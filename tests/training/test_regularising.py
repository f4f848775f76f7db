"""Penalties, noise and early stopping of a member against loops written here from torch alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.population import train
from nndiag.training.single import train_one

STEPS, BATCH = 40, 16


@pytest.fixture(scope="module")
def data() -> TensorData:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 12, generator=generator, dtype=torch.float64)
    y = x[:, :4].argmax(1)
    return TensorData(
        train_x=x[:50], train_y=y[:50], val_x=x[50:70], val_y=y[50:70], test_x=x[70:], test_y=y[70:]
    )


def build(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Sequential(nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 4)).double()


def build_normed(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Sequential(
            nn.Linear(12, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4)
        ).double()


Penalty = Callable[[nn.Module], torch.Tensor]


def plain(
    model: nn.Module,
    data: TensorData,
    optimizer: torch.optim.Optimizer,
    seed: int,
    penalty: Penalty = lambda model: torch.zeros(()),
    noise: float = 0.0,
) -> None:
    order, drawn = (torch.Generator().manual_seed(seed) for _ in range(2))
    steps = 0
    while steps < STEPS:
        for rows in torch.randperm(50, generator=order).split(BATCH)[: STEPS - steps]:
            x = data.train_x[rows]
            if noise:
                x = x + noise * torch.randn(x.shape, generator=drawn, dtype=x.dtype)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), data.train_y[rows]) + penalty(model)
            loss.backward()
            optimizer.step()
            steps += 1


def same(record: Record, place: int, model: nn.Module) -> None:
    state = record.state_of(place)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-7, atol=1e-9)


def l1_of(strength: float) -> Penalty:
    return lambda m: strength / 50 * (m[0].weight.abs().sum() + m[2].weight.abs().sum())


def l2_of(strength: float) -> Penalty:
    return lambda m: strength / 50 * sum(torch.linalg.matrix_norm(m[k].weight) ** 2 for k in (0, 2))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_penalised_members_equal_plain_loops(name: str, data: TensorData) -> None:
    members = [
        Member(seed=0, lr=0.05, l1=0.7),
        Member(seed=1, lr=0.02, l2=1.3),
        Member(seed=2, lr=0.05),
        Member(seed=3, lr=0.03, l1=0.2, l2=0.4),
    ]
    penalties: list[Penalty] = [
        l1_of(0.7),
        l2_of(1.3),
        lambda m: torch.zeros(()),
        lambda m: l1_of(0.2)(m) + l2_of(0.4)(m),
    ]
    settings = Settings(optimizer=name, steps=STEPS, batch_size=BATCH)
    together = train(build, members, settings, data)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    for place, (member, penalty) in enumerate(zip(members, penalties, strict=True)):
        model = build(place)
        plain(model, data, kinds[name](model.parameters(), lr=member.lr), member.seed, penalty)
        same(together, place, model)
        same(train_one(build(place), member, settings, data), 0, model)


def test_with_sgd_the_penalty_is_weight_decay_of_twice_lambda_over_n(data: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=BATCH)
    record = train(build, [Member(seed=0, lr=0.05, l2=2.0)] * 2, settings, data)
    model = build(0)
    weights = [p for name, p in model.named_parameters() if "weight" in name]
    biases = [p for name, p in model.named_parameters() if "bias" in name]
    groups = [{"params": weights, "weight_decay": 2 * 2.0 / 50}, {"params": biases}]
    plain(model, data, torch.optim.SGD(groups, lr=0.05), 0)
    same(record, 0, model)


def test_with_adam_the_penalty_is_not_decoupled_decay(data: TensorData) -> None:
    model = build(0)
    settings = Settings(optimizer="adam", steps=STEPS, batch_size=BATCH)
    record = train_one(build(0), Member(seed=0, lr=0.05, l2=2.0), settings, data)
    plain(model, data, torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.08), 0)
    assert not torch.allclose(record.state_of(0)["0.weight"], model[0].weight.detach(), rtol=0.05)


def test_the_recorded_loss_has_no_penalty_in_it(data: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=1, batch_size=50)
    record = train(build, [Member(seed=0, lr=0.1, l2=9.0)] * 2, settings, data)
    loss = nn.functional.cross_entropy(build(0)(data.train_x), data.train_y)
    assert record.loss[0, 0] == pytest.approx(loss.item())


def test_noise_is_of_the_members_own(data: TensorData) -> None:
    members = [Member(seed=4, lr=0.1, noise=0.5), Member(seed=4, lr=0.1), Member(seed=5, lr=0.1)]
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=BATCH)
    record = train(build, members, settings, data)
    alone = train_one(build(0), members[0], settings, data)
    for place, noise in enumerate((0.5, 0.0, 0.0)):
        model = build(place)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        plain(model, data, optimizer, members[place].seed, noise=noise)
        same(record, place, model)
        if place == 0:
            same(alone, 0, model)


def stopped_by_hand(
    model: nn.Module, data: TensorData, seed: int, patience: int, delta: float
) -> tuple[dict[str, torch.Tensor], int]:
    """Keras' rule in a plain loop that evaluates after every second step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.9)
    order = torch.Generator().manual_seed(seed)
    best, bad, kept, steps = np.inf, 0, {}, 0
    while True:
        for rows in torch.randperm(50, generator=order).split(BATCH):
            model.train()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows]).backward()
            optimizer.step()
            steps += 1
            if steps % 2 == 0:
                model.eval()
                with torch.no_grad():
                    loss = nn.functional.cross_entropy(model(data.val_x), data.val_y).item()
                if loss < best - delta:
                    best, bad = loss, 0
                    kept = {name: v.clone() for name, v in model.state_dict().items()}
                else:
                    bad += 1
                if bad >= patience:
                    return kept, steps
            if steps == STEPS:
                return kept, -1


@pytest.mark.parametrize("make", [build, build_normed], ids=["plain", "batch norm"])
def test_early_stopping_ends_with_the_best_weights(
    make: Callable[[int], nn.Module], data: TensorData
) -> None:
    rules = [(2, 0.0), (4, 0.0), (2, 0.05), (30, 0.0)]
    members = [
        Member(seed=9, lr=0.9, patience=patience, min_delta=delta) for patience, delta in rules
    ]
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=BATCH, eval_every=2)
    record = train(lambda place: make(0), members, settings, data)
    ends = set()
    for place, (patience, delta) in enumerate(rules):
        kept, ended = stopped_by_hand(make(0), data, 9, patience, delta)
        ends.add(ended)
        assert record.stopped[place] == ended
        alone = train_one(make(0), members[place], settings, data)
        assert alone.stopped[0] == ended
        for name, value in kept.items():
            for state in (record.state_of(place), alone.state_of(0)):
                torch.testing.assert_close(state[name], value, rtol=1e-7, atol=1e-9)
        if delta == 0:
            assert record.val_loss[-1, place] == pytest.approx(record.val_loss[:, place].min())
        if ended > 0:
            assert np.isnan(record.loss[ended:, place]).all()
            assert np.isfinite(record.loss[:ended, place]).all()
    assert len(ends) > 2
    assert -1 in ends


def test_without_restoring_it_ends_where_it_stopped(data: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=BATCH, eval_every=2)
    member = Member(seed=9, lr=0.9, patience=2, restore_best=False)
    record = train(lambda place: build(0), [member] * 2, settings, data)
    ended = int(record.stopped[0])
    assert 0 < ended < STEPS
    short = Settings(optimizer="sgd", steps=ended, batch_size=BATCH, eval_every=2)
    whole = train(lambda place: build(0), [Member(seed=9, lr=0.9)] * 2, short, data)
    for name, value in whole.state_of(0).items():
        torch.testing.assert_close(record.state_of(0)[name], value, rtol=1e-9, atol=1e-12)


def test_the_training_split_is_evaluated_where_asked(data: TensorData) -> None:
    settings = Settings(optimizer="sgd", steps=STEPS, batch_size=BATCH, eval_train=True)
    members = [Member(seed=0, lr=0.1), Member(seed=1, lr=0.1)]
    record = train(build, members, settings, data)
    model = build(1)
    plain(model, data, torch.optim.SGD(model.parameters(), lr=0.1), 1)
    logits = model(data.train_x)
    right = (logits.argmax(1) == data.train_y).double().mean().item()
    assert record.train_accuracy[-1, 1] == pytest.approx(right)
    loss = nn.functional.cross_entropy(logits, data.train_y).item()
    assert record.train_loss[-1, 1] == pytest.approx(loss)
    alone = train_one(build(1), members[1], settings, data)
    np.testing.assert_allclose(alone.train_loss[:, 0], record.train_loss[:, 1])
