"""Pre-training on letters: what it learns, its recipe, its work."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nndiag.datasets.images import normalised
from nndiag.datasets.letters import Letters
from nndiag.training import pretraining
from nndiag.training.pretraining import Recipe
from nndiag.zoo import backbones

CPU = torch.device("cpu")
SMALL = Recipe(backbone="small_cnn", image_size=16, batches=60, batch_size=32)


def test_letters_are_learnt_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "_HELD_OUT", 400)
    state = torch.get_rng_state()
    done = pretraining.pretrain(SMALL, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert done.accuracy > 0.3  # chance: 1 in 44
    brief = replace(SMALL, batches=3)
    one, again = (pretraining.pretrain(brief, CPU).state for _try in range(2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    # The body reads letters that it never saw: their classes cluster in its features.
    body = backbones.body(backbones.build("small_cnn"))
    body.load_state_dict(done.state)
    x, y = Letters(image_size=16, seed=99).batch(600)
    with torch.no_grad():
        features = body.eval()(normalised(x))
    means = torch.stack([features[:300][y[:300] == k].mean(0) for k in range(44)])
    nearest = torch.cdist(features[300:], means.nan_to_num(1e9)).argmin(1)
    assert (nearest == y[300:]).double().mean() > 0.3


def test_residual_branches_start_at_zero() -> None:
    how = Recipe(backbone="resnet18", image_size=32, batches=1)
    body, _model = pretraining._network(how, CPU)
    last = [m.weight for name, m in body.named_modules() if name.endswith("bn2")]
    assert len(last) == 8
    assert not any(weight.any() for weight in last)


def test_operations_are_those_of_the_layers() -> None:
    side, total = 32, 0
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        total += 2 * 9 * inputs * outputs * side**2
        side //= 2
    assert pretraining.flops("small_cnn", 32) == total


def test_the_work_of_a_recipe_is_bounded() -> None:
    for name, size in (("small_cnn", 32), ("resnet50", 32), ("vgg16", 32)):
        how = pretraining.recipe(name, size)
        images = how.batches * how.batch_size
        work = 3 * pretraining.flops(name, size) * images
        assert work <= 1.7e13 or images <= 9_600
        assert 9_000 <= images <= 64_000


def test_optimizers_by_kind_of_network() -> None:
    convolutional = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    sgd, _rate = pretraining._optimizer(convolutional, True)
    assert isinstance(sgd, torch.optim.SGD)
    adam, rate = pretraining._optimizer(nn.Linear(3, 3), True)
    assert isinstance(adam, torch.optim.AdamW)
    assert rate == 5e-4
