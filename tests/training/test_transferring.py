"""Training a head on a backbone, against plain loops of torch."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from nndiag.schema.spec_transfer import HEAD_RATE
from nndiag.training import transferring
from nndiag.training.transferring import Images, Learner, Stage, Strategy, Tuning

EPOCHS, BATCH, LR, SHARE = 4, 5, 3e-3, 0.25


def images(count: int, seed: int) -> Images:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    x = torch.randn(count, 3, 8, 8, generator=generator, dtype=torch.float64)
    return x + y.view(-1, 1, 1, 1), y


TRAIN, VALIDATION = images(13, 0), images(9, 1)
TUNING = Tuning(epochs=EPOCHS, batch_size=BATCH, lr=LR, backbone_rate=SHARE, seed=3)


def learner(seed: int = 0, dropout: float = 0.0) -> Learner:
    torch.manual_seed(seed)
    parts = OrderedDict(
        one=nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        two=nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        three=nn.Sequential(nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
    )
    body = nn.Sequential(*parts.values(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(8, 3)) if dropout else nn.Linear(8, 3)
    return Learner(body.double(), list(parts.items()), head.double())


def how(name: str) -> Strategy:
    return transferring.strategy(name, 3)


def batches(epochs: int = EPOCHS) -> list[list[Tensor]]:
    """Return the documented order: one generator for all epochs, batches equal to within one."""
    order = torch.Generator().manual_seed(TUNING.seed)
    count = math.ceil(13 / BATCH)
    return [list(torch.randperm(13, generator=order).tensor_split(count)) for _ in range(epochs)]


def plain(model: nn.Module, groups: list[dict[str, object]], mode: list[nn.Module]) -> list[float]:
    """Train as a student would; return the mean loss of each epoch."""
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    tops = [group["lr"] for group in optimizer.param_groups]
    means = []
    for epoch, rows_of_epoch in enumerate(batches()):
        for group, top in zip(optimizer.param_groups, tops, strict=True):
            group["lr"] = top * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
        model.eval()
        for part in mode:
            part.train()
        losses = []
        for rows in rows_of_epoch:
            loss = nn.functional.cross_entropy(model(TRAIN[0][rows]), TRAIN[1][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def test_finetuning_is_a_plain_loop_with_two_rates() -> None:
    one, other = learner(), learner()
    run = one.fit(how("finetune"), TUNING, TRAIN, VALIDATION)
    model = nn.Sequential(other.body, other.head)
    groups = [
        {"params": list(other.head.parameters()), "lr": HEAD_RATE * LR},
        {"params": list(other.body.parameters()), "lr": SHARE * LR},
    ]
    assert run.loss == pytest.approx(plain(model, groups, [other.body, other.head]), rel=1e-6)
    expected = nn.Sequential(other.body, other.head).eval()(VALIDATION[0])
    found = nn.Sequential(one.body, one.head).eval()(VALIDATION[0])
    torch.testing.assert_close(found, expected)
    right = (expected.argmax(1) == VALIDATION[1]).double().mean().item()
    assert run.accuracy[-1] == pytest.approx(right)
    assert len(run.accuracy) == EPOCHS + 1


def test_cached_features_are_training_through_the_frozen_body() -> None:
    one, other = learner(), learner()
    run = one.fit(how("frozen"), TUNING, TRAIN, VALIDATION)
    groups = [{"params": list(other.head.parameters()), "lr": HEAD_RATE * LR}]
    model = nn.Sequential(other.body, other.head)
    assert run.loss == pytest.approx(plain(model, groups, [other.head]), rel=1e-6)
    torch.testing.assert_close(one.head.weight, other.head.weight)


def test_a_frozen_body_sees_each_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, seen = learner(), []
    one.body.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    one.fit(how("frozen"), TUNING, TRAIN, VALIDATION)
    before_training = 9
    assert sum(seen) == before_training + 13 + 9


FROZEN = {"frozen": 3, "random": 3, "unfreeze:1": 2, "unfreeze:2": 1, "first 2": 2, "finetune": 0}


@pytest.mark.parametrize("name", FROZEN)
def test_what_is_frozen_stays_bit_for_bit(name: str) -> None:
    one = learner()
    start = copy.deepcopy(one.body.state_dict())
    chosen = transferring.first_frozen(2, 3) if name == "first 2" else how(name)
    run = one.fit(chosen, TUNING, TRAIN, VALIDATION)
    for place in range(3):
        keys = [key for key in start if key.startswith(f"{place}.")]
        assert any("running_var" in key for key in keys)
        same = [torch.equal(start[key], one.body.state_dict()[key]) for key in keys]
        assert all(same) if place < FROZEN[name] else not any(same)
    free = [one.blocks[place][1] for place in range(FROZEN[name], 3)]
    assert run.trainable == sum(
        p.numel() for module in (*free, one.head) for p in module.parameters()
    )
    assert list(run.moved) == [("one", "two", "three")[k] for k in range(FROZEN[name], 3)]


def test_gradual_frees_block_after_block_from_the_last() -> None:
    stages = how("gradual").stages
    assert [stage.blocks for stage in stages] == [0, 1, 2, None]
    assert [stage.share for stage in stages] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    one = learner()
    free: list[list[bool]] = []

    def note() -> None:
        free.append([block.weight.requires_grad for block in (m[0] for _n, m in one.blocks)])

    tuning = Tuning(epochs=6, batch_size=BATCH, lr=LR, backbone_rate=SHARE, seed=3)
    one.fit(how("gradual"), tuning, TRAIN, VALIDATION, told=note)
    F, T = False, True  # noqa: N806
    assert free == [[F, F, F], [F, F, T], [F, T, T], [T, T, T], [T, T, T], [T, T, T]]


def test_movement_and_gradients_of_blocks() -> None:
    one, other = learner(), learner()
    tuning = Tuning(epochs=1, batch_size=20, lr=LR, backbone_rate=SHARE, seed=3)
    run = one.fit(how("scratch"), tuning, TRAIN, VALIDATION)
    model = nn.Sequential(other.body, other.head).train()
    nn.functional.cross_entropy(model(TRAIN[0]), TRAIN[1]).backward()
    for (name, before), (_same, after) in zip(other.blocks, one.blocks, strict=True):
        grad = torch.cat([p.grad.flatten() for p in before.parameters()])
        assert run.gradient[name] == pytest.approx(grad.norm().item(), rel=1e-6)
        old = nn.utils.parameters_to_vector(before.parameters())
        new = nn.utils.parameters_to_vector(after.parameters())
        assert run.moved[name] == pytest.approx(((new - old).norm() / old.norm()).item(), rel=1e-6)


def test_a_random_backbone_learns_at_the_full_rate() -> None:
    moved = []
    for name in ("scratch", "finetune"):
        one = learner()
        tuning = Tuning(epochs=1, batch_size=20, lr=LR, backbone_rate=SHARE, seed=3)
        moved.append(one.fit(how(name), tuning, TRAIN, VALIDATION).moved["one"])
    assert moved[1] / moved[0] == pytest.approx(SHARE, rel=0.02)  # Adam's first step is the rate


def test_same_seed_same_run_also_with_dropout_and_augmentation() -> None:
    tuning = Tuning(
        epochs=2,
        batch_size=BATCH,
        lr=LR,
        backbone_rate=SHARE,
        seed=3,
        augment=lambda x: x + 0.1 * torch.randn_like(x),
    )
    state = torch.get_rng_state()
    runs = [learner(dropout=0.5).fit(how("frozen"), tuning, TRAIN, VALIDATION) for _ in range(2)]
    assert runs[0].loss == runs[1].loss
    learner()  # seeds the global generator as `learner` did before
    torch.set_rng_state(state)
    assert runs[0].loss != learner(dropout=0.5).fit(how("frozen"), TUNING, TRAIN, VALIDATION).loss


@pytest.mark.parametrize(("samples", "size"), [(100, 10), (13, 5), (3, 2), (7, 6), (2, 50), (1, 4)])
def test_no_batch_has_one_image(samples: int, size: int) -> None:
    parts = transferring._batches(samples, size, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(samples))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 1 or samples == 1
    assert max(sizes) <= max(size, 3)


def test_unfreeze_counts_from_the_end_and_stops_at_all() -> None:
    assert how("unfreeze:2").stages == (Stage(0.5, 0), Stage(0.5, 2))
    assert how("unfreeze:9").stages[-1] == Stage(0.5, 3)
    assert how("unfreeze").stages[-1] == Stage(0.5, 1)
