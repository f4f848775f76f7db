"""What `nndiag transfer` finds, checked against itself and against plain numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nndiag.experiments import transfer
from nndiag.schema.progress import Silent
from nndiag.schema.spec_transfer import ImageDataSpec, TransferSpec
from nndiag.training import pretraining, saving, transferring
from nndiag.training.pretraining import Recipe
from nndiag.training.transfer_bench import TransferBench

CPU = torch.device("cpu")
SEEDS = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small network that has seen a few letters, as a file."""
    recipe = Recipe(backbone="small_cnn", image_size=8, batches=300, batch_size=32)
    done = pretraining.pretrain(recipe, CPU, measured=False)
    path = tmp_path_factory.mktemp("weights") / "letters.safetensors"
    save_file(done.state, path)
    return str(path)


def spec(weights: str, **more: Any) -> TransferSpec:
    usual: dict[str, Any] = {
        "weights": weights,
        "data": ImageDataSpec(image_size=8),
        "epochs": 5,
        "seeds": SEEDS,
        "strategies": ("scratch", "frozen", "finetune"),
        "labels_per_class": (10,),
    }
    return TransferSpec(**usual | more)


@pytest.fixture(scope="module")
def found(weights: str) -> dict[str, Any]:
    return dict(transfer.run(spec(weights, by_layer=True)).result)


def rows(found: dict[str, Any]) -> dict[str, Any]:
    return {row["strategy"]: row for row in found["rows"]}


def test_the_control_always_runs(found: dict[str, Any]) -> None:
    assert list(rows(found))[:4] == ["scratch", "frozen", "finetune", "random"]


def test_pretraining_starts_above_scratch_and_ends_above_the_control(found: dict[str, Any]) -> None:
    table = rows(found)
    assert table["finetune"]["start"].mean > table["scratch"]["start"].mean + 0.08
    assert table["frozen"]["test_accuracy"].low > table["random"]["test_accuracy"].high


def test_start_and_slope_are_read_off_the_curves(found: dict[str, Any]) -> None:
    for curve in found["curves"]:
        row = rows(found)[curve["strategy"]]
        means = [point.mean for point in curve["accuracy"]]
        assert len(means) == 6
        assert row["start"].mean == pytest.approx(means[1])
        assert row["slope"].mean == pytest.approx((means[3] - means[0]) / 3)
        assert row["validation_accuracy"].mean == pytest.approx(means[5])


def test_gains_are_paired_by_seed(found: dict[str, Any]) -> None:
    table = rows(found)
    assert table["scratch"]["gain"] is None
    for name in ("frozen", "finetune", "random", "first 1 frozen"):
        for what, gain in table[name]["gain"].items():
            runs = zip(table[name]["runs"], table["scratch"]["runs"], strict=True)
            pairs = np.array([one[what] - other[what] for one, other in runs])
            half = 4.303 * pairs.std(ddof=1) / math.sqrt(SEEDS)  # Student, 2 degrees of freedom
            assert gain.mean == pytest.approx(pairs.mean())
            assert gain.high - gain.mean == pytest.approx(half)


def test_by_layer_ends_where_the_strategies_are(found: dict[str, Any]) -> None:
    table = rows(found)
    layers = [row for row in found["rows"] if row["first_frozen"] is not None]
    assert [row["first_frozen"] for row in layers] == [0, 1, 2, 3]
    assert layers[0]["runs"] == table["finetune"]["runs"]
    assert layers[3]["runs"] == table["frozen"]["runs"]
    trained = [row["trainable_parameters"] for row in layers]
    convolutions = [9 * 3 * 32 + 2 * 32, 9 * 32 * 64 + 2 * 64, 9 * 64 * 128 + 2 * 128]
    head = 128 * 5 + 5
    assert trained == [sum(convolutions[n:]) + head for n in range(4)]


def test_blocks_tell_gradients_and_movement(found: dict[str, Any]) -> None:
    moved = {(one["strategy"], one["block"]): one["moved"] for one in found["blocks"]}
    assert ("frozen", "features.block1") not in moved
    assert ("first 1 frozen", "features.block1") not in moved
    assert ("first 1 frozen", "features.block2") in moved
    for name in ("block1", "block2", "block3"):
        small, large = moved["finetune", f"features.{name}"], moved["scratch", f"features.{name}"]
        assert 0 < small.mean < large.mean  # half the rate, and nearer to where it ends


def test_parts_are_apart_and_the_test_part_is_looked_at_once(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = TransferBench.of(spec(weights), Silent())
    target = bench.target(10, 0)
    seen: list[int] = []
    usual = transferring.Learner._accuracy

    def noted(self: Any, network: Any, x: torch.Tensor, y: torch.Tensor) -> float:
        seen.append(len(y))
        return usual(self, network, x, y)

    monkeypatch.setattr(transferring.Learner, "_accuracy", noted)
    bench.train(transferring.strategy("finetune", 3), 10, 0)
    assert len(target.train.y) == 50
    assert seen == [len(target.validation.y)] * 6 + [len(target.test.y)]


def test_a_budget_of_labels(weights: str) -> None:
    several = spec(weights, labels_per_class=(2, 6), strategies=("frozen",), seeds=2, epochs=2)
    result = transfer.run(several).result
    assert [(row["strategy"], row["labels_per_class"]) for row in result["rows"]] == [
        ("frozen", 2),
        ("random", 2),
        ("frozen", 6),
        ("random", 6),
    ]
    assert all(row["gain"] is None for row in result["rows"])


def test_interrupted_keeps_complete_strategies(weights: str) -> None:
    class Impatient(Silent):
        def update(self, done: int, **more: Any) -> None:
            if done > 2 * SEEDS * 5 + 3:  # in the third strategy
                raise KeyboardInterrupt

    result = transfer.run(spec(weights), watch=Impatient()).result
    assert result["interrupted"]
    assert list(rows(dict(result))) == ["scratch", "frozen"]
    assert any("frozen, 10 labels a class" in text for text in result["reading"])

    class AtOnce(Silent):
        def update(self, done: int, **more: Any) -> None:
            raise KeyboardInterrupt

    result = transfer.run(spec(weights), watch=AtOnce()).result
    assert (result["interrupted"], result["rows"]) == (True, [])


def test_what_is_saved_is_the_first_finetuned_network(weights: str, tmp_path: Path) -> None:
    path = str(tmp_path / "net.safetensors")
    short = spec(weights, seeds=2, epochs=2)
    result = transfer.run(short, save=path).result
    bench = TransferBench.of(short, Silent())
    test = bench.target(10, 0).test
    model = saving.load(path).model
    with torch.no_grad():
        right = (model(test.x).argmax(1) == test.y).double().mean().item()
    assert rows(dict(result))["finetune"]["runs"][0]["test_accuracy"] == pytest.approx(right)


HEADS = {"linear": 128 * 5 + 5, "mlp:16": 128 * 16 + 16 + 16 * 5 + 5, "flatten-mlp:8": 4141}


@pytest.mark.parametrize("head", HEADS)
def test_heads(weights: str, head: str) -> None:
    chosen = spec(weights, head=head, dropout=0.3, strategies=("frozen",), seeds=1, epochs=1)
    chosen = TransferSpec(**{**vars(chosen), "data": ImageDataSpec(image_size=16)})
    found = transfer.run(chosen).result["rows"][0]["trainable_parameters"]
    flat = 128 * 2 * 2 * 8 + 8 + 8 * 5 + 5  # three halvings leave 2 x 2 positions
    assert found == (HEADS[head] if head != "flatten-mlp:8" else flat)


def test_the_estimate_follows_the_work(weights: str) -> None:
    bench = TransferBench.of(spec(weights), Silent())
    one = [(transferring.strategy("finetune", 3), 10)]
    bench.seconds(one)
    several = bench.seconds(one * 8)
    assert several > bench.seconds([(transferring.strategy("frozen", 3), 10)])
    assert 0.01 < several < 600


FAST = ("resnet18", "googlenet", "inception_v3", "mobilenet_v3", "efficientnet_b0", "vgg16")
LARGE = ("vgg19", "resnet34", "resnet50", "resnet101", "resnet152", "convnext_tiny", "vit_b_16")
WITHOUT_NORM = ("vgg16", "vgg19", "convnext_tiny", "vit_b_16")
ALL = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


@pytest.mark.parametrize("name", ALL)
def test_every_backbone_learns_and_freezes(name: str) -> None:
    tiny = TransferSpec(
        backbone=name,
        weights="none",
        data=ImageDataSpec(classes=("0", "1"), image_size=32),
        labels_per_class=(2,),
        epochs=1,
        batch_size=4,
        seeds=1,
    )
    bench = TransferBench.of(tiny, Silent())
    assert bench.image_size == (75 if name == "inception_v3" else 32)
    target = bench.target(2, 0)
    few = (target.train.x, target.train.y)
    assert 2 <= bench.block_count <= 8
    assert bench.lr == (3e-4 if name in WITHOUT_NORM else 2e-3)
    for strategy in ("finetune", "unfreeze:1"):
        learner = bench._learner(target, 0, pretrained=True)
        frozen = bench.block_count - 1 if strategy == "unfreeze:1" else 0
        how = transferring.Strategy(
            name=strategy,
            pretrained=True,
            stages=transferring.strategy(strategy, bench.block_count).stages[-1:],
        )
        start = [
            {name: value.clone() for name, value in block.state_dict().items()}
            for _name, block in learner.blocks
        ]
        run = learner.fit(how, bench._tuning(0), few, few)
        assert np.isfinite(run.loss).all()
        assert list(run.moved) == [name for name, _block in learner.blocks[frozen:]]
        for (_name, block), before in zip(learner.blocks[:frozen], start, strict=False):
            after = block.state_dict()
            assert all(torch.equal(after[key], value) for key, value in before.items())
        owned = [p for _name, block in learner.blocks for p in block.parameters()]
        assert len({id(p) for p in owned}) == len(owned) == len(list(learner.body.parameters()))
