"""Images of a target task: sizes, parts kept apart, repeatable, clear errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nndiag.datasets import embedded, images
from nndiag.datasets.images import TargetImages, divided, load, most_held_out, normalised
from nndiag.datasets.splits import Split, Splits, standardise
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.spec_transfer import ImageDataSpec


def _rows(x: Tensor) -> set[bytes]:
    return {one.numpy().tobytes() for one in x}


def _parts(target: TargetImages) -> tuple[Tensor, Tensor, Tensor]:
    return target.train.x, target.validation.x, target.test.x


def test_digits() -> None:
    target = load(ImageDataSpec(), labels_per_class=20, image_size=32, seed=0)
    labels = embedded.read()[1]
    assert target.classes == ("5", "6", "7", "8", "9")
    assert target.train.x.shape == (100, 3, 32, 32)
    assert torch.bincount(target.train.y).tolist() == [20] * 5
    assert sum(map(len, _parts(target))) == int((labels >= 5).sum())
    assert target.problems == ()
    for part in _parts(target):
        assert part.dtype == torch.float32
        assert part.min() == 0
        assert part.max() <= 1


def test_digits_are_those_of_the_labels() -> None:
    """At 8 pixels nothing is enlarged: every image is found among the stored ones of its class."""
    grey, labels = embedded.read()
    target = load(ImageDataSpec(), labels_per_class=5, image_size=8, seed=4)
    for part in (target.train, target.validation, target.test):
        for label, name in enumerate(target.classes):
            stored = {one.tobytes() for one in grey[labels == int(name)]}
            ours = (part.x[part.y == label][:, 1] * 16).round().to(torch.uint8)
            assert _rows(ours) <= stored


def test_no_image_is_in_two_parts() -> None:
    grey, labels = embedded.read()
    copies = grey[labels >= 5]
    target = load(ImageDataSpec(), labels_per_class=10, image_size=8, seed=1)
    sets = [_rows(part) for part in _parts(target)]
    assert len(np.unique(copies, axis=0)) == len(copies)
    assert sum(map(len, sets)) == len(set.union(*sets)) == len(copies)


@settings(max_examples=15)
@given(
    count=st.integers(1, 100),
    seed=st.integers(0, 2**63 - 1),
    chosen=st.sets(st.sampled_from("0123456789"), min_size=2),
)
def test_digits_repeat_byte_for_byte(count: int, seed: int, chosen: set[str]) -> None:
    spec = ImageDataSpec(classes=tuple(chosen))
    first, second = (
        load(spec, labels_per_class=count, image_size=8, seed=seed) for _run in range(2)
    )
    assert first.classes == tuple(sorted(chosen))
    for one, other in zip(_parts(first), _parts(second), strict=True):
        assert torch.equal(one, other)
    assert torch.bincount(first.train.y).tolist() == [count] * len(chosen)


def test_fewer_labels_are_part_of_more() -> None:
    few, many = (
        load(ImageDataSpec(), labels_per_class=count, image_size=8, seed=2) for count in (5, 20)
    )
    assert _rows(few.train.x) < _rows(many.train.x)


def test_seeds_choose_others() -> None:
    one, other = (
        load(ImageDataSpec(), labels_per_class=5, image_size=8, seed=seed) for seed in (0, 1)
    )
    assert _rows(one.train.x) != _rows(other.train.x)


def test_class_too_small() -> None:
    with pytest.raises(DataError) as raised:
        load(ImageDataSpec(), labels_per_class=500, image_size=8, seed=0)
    assert str(raised.value) == (
        "--labels-per-class: class '5' has 182 images; 500 for training and at least 4 to measure "
        "with are needed"
    )


def test_unknown_class() -> None:
    with pytest.raises(UsageError, match="--classes: unknown name 'seven'"):
        load(ImageDataSpec(classes=("5", "seven")), labels_per_class=5, image_size=8, seed=0)
    with pytest.raises(UsageError, match="at least two classes"):
        load(ImageDataSpec(classes=("5", "5")), labels_per_class=5, image_size=8, seed=0)


def test_normalised_as_torchvision() -> None:
    from torchvision.transforms.v2 import functional as v2

    x = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    theirs = v2.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert torch.allclose(normalised(x), theirs, atol=1e-6)


@given(
    sizes=st.lists(st.integers(9, 60), min_size=2, max_size=5),
    count=st.integers(1, 5),
    most=st.none() | st.integers(20, 100),
    seed=st.integers(0, 1000),
)
def test_divided(sizes: list[int], count: int, most: int | None, seed: int) -> None:
    y = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    parts = divided(y, tuple("abcde"[: len(sizes)]), count, seed, most=most)
    rows = torch.cat(parts).tolist()
    assert len(rows) == len(set(rows))
    assert torch.bincount(y[parts[0]]).tolist() == [count] * len(sizes)
    for part in parts[1:]:
        assert torch.bincount(y[part], minlength=len(sizes)).min() >= 2
    if most is None:
        assert len(rows) == len(y)
    else:
        assert len(parts[1]) + len(parts[2]) <= max(most, 4 * len(sizes))


def test_held_out_images_fit_into_memory() -> None:
    assert most_held_out(32) == 4000
    assert 12 * 224**2 * most_held_out(224) <= 2**28


def _colours(count: int, seed: int) -> Splits:
    """Return standardised images whose first channel tells the class, as vision.load has them."""
    random = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), count)
    raw = random.integers(0, 256, (len(y), 3, 8, 8)).astype(np.uint8)
    raw[:, 0] = 60 * y[:, None, None] + random.integers(0, 60, (len(y), 8, 8))
    raw[0, :, 0, 0], raw[-1, :, 0, 0] = 0, 255
    order = random.permutation(len(y))
    cut = [order[: count * 2], order[count * 2 : count * 3], order[count * 3 :]]
    cut[0] = np.union1d(cut[0], [0, len(y) - 1])
    cut[1:] = [np.setdiff1d(part, cut[0]) for part in cut[1:]]
    x = standardise(*(raw[part] for part in cut), axes=(0, 2, 3))
    splits = [Split(x=part, y=y[rows]) for part, rows in zip(x, cut, strict=True)]
    return Splits(
        name="cifar10",
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        classes=("a", "b", "c", "d"),
        input_shape=(3, 8, 8),
        source="made up",
    )


def test_downloaded_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels come back from 0 to 1 and the official test split is the one tested on."""
    from nndiag.datasets import vision

    splits = _colours(100, 0)
    monkeypatch.setattr(vision, "load", lambda name, **_options: splits)
    spec = ImageDataSpec(name="cifar10", classes=("d", "b"))
    target = images.load(spec, labels_per_class=7, image_size=16, seed=0)
    assert target.classes == ("b", "d")
    assert target.train.x.shape == (14, 3, 16, 16)
    assert torch.bincount(target.train.y).tolist() == [7, 7]
    for part in (target.train, target.validation, target.test):
        first = part.x[:, 0].mean((1, 2)) * 255
        assert torch.equal((first > 150).long(), part.y)
        assert part.x.min() >= 0
        assert part.x.max() <= 1
    plain = images.load(spec, labels_per_class=7, image_size=8, seed=0)
    low, high = splits.train.x.min(axis=(0, 2, 3)), splits.train.x.max(axis=(0, 2, 3))
    official = (splits.test.x - low[:, None, None]) / (high - low)[:, None, None]
    known = {np.rint(one * 255).astype(np.uint8).tobytes() for one in official}
    ours = {np.rint(one.numpy() * 255).astype(np.uint8).tobytes() for one in plain.test.x}
    assert ours <= known
    assert len(ours) == int(np.isin(splits.test.y, (1, 3)).sum())
