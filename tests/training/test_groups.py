"""A member of a sweep equals a lone plain torch training, whatever shares the pass with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nndiag import datasets
from nndiag.datasets.folds import stratified_folds
from nndiag.schema.errors import RunError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import Run
from nndiag.training import configurations, groups

STEPS, WIDTH, BATCH = 40, 12, 32


def run(seed: int = 0, fold: int | None = None, **given: Any) -> Run:
    configuration = configurations.complete(
        {"depth": 2, "width": WIDTH, "steps": STEPS, "batch_size": BATCH, **given}
    )
    folds = None if fold is None else 4
    return Run(configuration=configuration, seed=seed, fold=fold, folds=folds)


def lone(one: Run, x: Tensor, y: Tensor) -> tuple[nn.Module, list[float]]:
    """Train a two-layer ReLU network (He 2015) by nothing but torch, with momentum and cosine."""
    settings = one.configuration
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
    weights = torch.Generator().manual_seed(one.seed)
    for layer in (model[1], model[3]):
        assert isinstance(layer, nn.Linear)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_features), generator=weights)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings["lr"],
        momentum=settings["momentum"] or 0.0,
        weight_decay=settings["weight_decay"] or 0.0,
    )
    losses = []
    for step, rows in enumerate(batches(len(y), one.seed)):
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * _factor(settings["schedule"], step)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"] or math.inf)
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def _factor(schedule: str, step: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / STEPS)) if schedule == "cosine" else 1.0


def batches(samples: int, seed: int) -> Iterator[Tensor]:
    generator, steps = torch.Generator().manual_seed(seed), 0
    while True:
        for rows in torch.randperm(samples, generator=generator).split(BATCH):
            if steps == STEPS:
                return
            steps += 1
            yield rows


def scores(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    with torch.no_grad():
        out = model(x)
        loss = nn.functional.cross_entropy(out, y)
    return (out.argmax(1) == y).double().mean().item(), loss.item()


CASES = [
    {"lr": 0.1},
    {"lr": 0.02, "weight_decay": 0.1},
    {"lr": 0.1, "momentum": 0.9, "schedule": "cosine"},
    {"lr": 0.5, "clip_norm": 0.1},
]


def test_members_equal_lone_trainings() -> None:
    runs = [run(seed, optimizer="sgd", **case) for case in CASES for seed in (0, 3)]
    assert len(configurations.grouped(runs)) == 1
    outcomes = groups.run_group(runs)
    splits = datasets.load(DataSpec())
    train, validation, test = (
        (torch.from_numpy(part.x), torch.from_numpy(part.y))
        for part in (splits.train, splits.validation, splits.test)
    )
    for one, outcome in zip(runs, outcomes, strict=True):
        model, losses = lone(one, *train)
        found = outcome.metrics
        assert outcome.run == one
        assert found["train_loss"] == pytest.approx(sum(losses[-2:]) / 2, rel=1e-4)
        assert (found["val_accuracy"], found["val_loss"]) == pytest.approx(
            scores(model, *validation), rel=1e-4
        )
        assert (found["test_accuracy"], found["test_loss"]) == pytest.approx(
            scores(model, *test), rel=1e-4
        )
        assert not outcome.diverged


def test_a_fold_trains_on_the_rest_and_is_tested_on_itself() -> None:
    """With the set divided and standardised here, by numpy."""
    splits = datasets.load(DataSpec())
    x = torch.cat([torch.from_numpy(p.x) for p in (splits.train, splits.validation, splits.test)])
    y = torch.cat([torch.from_numpy(p.y) for p in (splits.train, splits.validation, splits.test)])
    held = torch.from_numpy(stratified_folds(y.numpy(), 4, 0) == 2)
    mean, deviation = x[~held].double().mean(0), x[~held].double().std(0, correction=0)
    scale = torch.where(deviation > 0, 1 / deviation, 0)
    x = ((x.double() - mean) * scale).float()
    (outcome,) = groups.run_group([run(fold=2)])
    model, _losses = lone(run(fold=2), x[~held], y[~held])
    assert outcome.metrics["samples"] == int(held.sum())
    expected = scores(model, x[held], y[held])
    found = outcome.metrics
    assert (found["test_accuracy"], found["test_loss"]) == pytest.approx(expected, rel=1e-3)
    assert (found["val_accuracy"], found["val_loss"]) == pytest.approx(expected, rel=1e-3)


def test_the_number_of_cores_changes_no_bit() -> None:
    runs = [
        run(seed, lr=lr, norm="batch", dropout=dropout)
        for lr in (0.1, 0.3)
        for dropout in (0.0, 0.3)
        for seed in range(4)
    ]
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            outcomes = [
                o for group in configurations.grouped(runs) for o in groups.run_group(group)
            ]
            found.append([dict(one.metrics) for one in outcomes])
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def test_a_divergence_is_told() -> None:
    (outcome,) = groups.run_group([run(lr=1e30)])
    assert outcome.diverged
    assert outcome.score("val_accuracy") == 0.0
    assert outcome.score("val_loss") == math.inf


def test_another_version_on_a_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = groups.task([run()], DataSpec(), "cpu")
    monkeypatch.setattr(groups, "versions", lambda: {"nndiag": "0.0", "torch": "1"})
    with pytest.raises(RunError) as caught:
        groups.work(asked)
    ours = ", ".join(f"{name} {version}" for name, version in asked["versions"].items())
    assert str(caught.value) == (
        f"a worker has nndiag 0.0, torch 1, this process {ours}; install the same on both"
    )
