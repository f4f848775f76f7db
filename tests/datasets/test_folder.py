"""Folders of images: layouts, parts kept apart, broken files, and what each mistake says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nndiag.datasets import folder, images
from nndiag.datasets.images import TargetImages
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.spec_transfer import ImageDataSpec


def _fill(place: Path, count: int, colour: int, start: int = 0) -> None:
    """Write images: red says the class, green and blue which one it is."""
    place.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        Image.new("RGB", (10, 8), (colour, number % 256, number // 256)).save(
            place / f"{number:04}.png"
        )


def _load(root: Path, labels: int = 3, seed: int = 0, **more: object) -> TargetImages:
    return folder.load(
        root,
        labels_per_class=labels,
        image_size=8,
        resize=8,
        seed=seed,
        **more,  # type: ignore[arg-type]
    )


def _numbers(part: images.Labelled) -> list[tuple[int, int]]:
    """Return the class and the number of each image, as its colour tells."""
    pixels = (part.x[:, :, 0, 0] * 255).round().int()
    return [(int(red), int(green + 256 * blue)) for red, green, blue in pixels]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    for colour, (name, count) in enumerate({"ant": 12, "bee": 20, "cat": 9}.items()):
        _fill(tmp_path / name, count, colour)
    return tmp_path


def test_a_folder_a_class(plain: Path) -> None:
    target = _load(plain)
    assert target.classes == ("ant", "bee", "cat")
    assert target.source == f"{plain}: 3 classes, 41 images"
    assert target.problems == ()
    assert target.train.x.shape == (9, 3, 8, 8)
    assert target.train.x.dtype == torch.float32
    assert target.train.y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    parts = [_numbers(part) for part in (target.train, target.validation, target.test)]
    assert len(set().union(*parts)) == sum(map(len, parts)) == 41
    for part, found in zip((target.train, target.validation, target.test), parts, strict=True):
        assert [colour for colour, _number in found] == part.y.tolist()


@settings(max_examples=10)
@given(labels=st.integers(1, 5), seed=st.integers(0, 2**63 - 1))
def test_repeats_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, labels: int, seed: int
) -> None:
    root = tmp_path_factory.mktemp("images")
    _fill(root / "a", 9, 0)
    _fill(root / "b", 11, 1)
    one, other = (_load(root, labels, seed) for _run in range(2))
    for name in ("train", "validation", "test"):
        first, second = getattr(one, name), getattr(other, name)
        assert torch.equal(first.x, second.x)
        assert torch.equal(first.y, second.y)
    assert torch.bincount(one.train.y).tolist() == [labels, labels]


def test_fewer_labels_are_part_of_more_and_seeds_differ(plain: Path) -> None:
    few, many = (set(_numbers(_load(plain, labels).train)) for labels in (2, 5))
    assert few < many
    assert few != set(_numbers(_load(plain, 2, seed=1).train))


def test_some_classes(plain: Path) -> None:
    assert _load(plain, classes=("cat", "ant")).classes == ("ant", "cat")
    with pytest.raises(UsageError, match="--classes: unknown name 'rat'"):
        _load(plain, classes=("ant", "rat"))


def test_three_parts(tmp_path: Path) -> None:
    for colour, name in enumerate("ab"):
        _fill(tmp_path / "train" / name, 6, colour)
        _fill(tmp_path / "val" / name, 3, colour, start=100)
        _fill(tmp_path / "test" / name, 4, colour, start=200)
    target = _load(tmp_path, 6)
    assert {number // 100 for _c, number in _numbers(target.train)} == {0}
    assert {number for _c, number in _numbers(target.validation)} == {100, 101, 102}
    assert {number for _c, number in _numbers(target.test)} == {200, 201, 202, 203}
    assert len(target.test.y) == 8


@pytest.mark.parametrize("held", ["val", "test", "Valid"])
def test_two_parts(tmp_path: Path, held: str) -> None:
    """The other part is the test; validation is what training leaves, else a quarter of it."""
    for colour, name in enumerate("ab"):
        _fill(tmp_path / "train" / name, 8, colour)
        _fill(tmp_path / held / name, 8, colour, start=100)
    target = _load(tmp_path, 5)
    assert {number for _c, number in _numbers(target.test)} == set(range(100, 108))
    assert len(target.validation.y) == 6
    assert not set(_numbers(target.train)) & set(_numbers(target.validation))
    whole = _load(tmp_path, 8)
    assert len(whole.validation.y) == 4
    assert len(whole.test.y) == 12
    assert min(number for _c, number in _numbers(whole.validation)) >= 100
    assert not set(_numbers(whole.test)) & set(_numbers(whole.validation))


def test_train_alone_and_unlabelled_test(tmp_path: Path) -> None:
    for colour, name in enumerate("ab"):
        _fill(tmp_path / "train" / name, 9, colour)
    assert len(_load(tmp_path).test.y) == 8
    _fill(tmp_path / "test", 5, 0)
    target = _load(tmp_path)
    assert target.problems == ("test: not used, no class folders",)
    assert target.classes == ("a", "b")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for colour, name in enumerate(("bus", "train")):
        _fill(tmp_path / name, 9, colour)
    assert _load(tmp_path).classes == ("bus", "train")


def test_broken_files_are_replaced_and_listed(plain: Path) -> None:
    for number in (1, 5, 6):
        (plain / "bee" / f"{number:04}.png").write_bytes(b"broken")
    (plain / "bee" / "0002.png").write_bytes(b"")
    (plain / ".git").mkdir()
    (plain / "readme.txt").write_text("hello")
    target = _load(plain, 4)
    assert sorted(target.problems) == [
        "bee/0001.png: not an image that Pillow reads",
        "bee/0002.png: empty file",
        "bee/0005.png: not an image that Pillow reads",
        "bee/0006.png: not an image that Pillow reads",
    ]
    assert torch.bincount(target.train.y).tolist() == [4, 4, 4]
    whole = (target.train, target.validation, target.test)
    assert sum(int((part.y == 1).sum()) for part in whole) == 16


def test_only_what_is_used_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "most_held_out", lambda size: 20)
    for colour, name in enumerate("ab"):
        _fill(tmp_path / name, 60, colour)
    target = _load(tmp_path, 5)
    assert len(target.train.y) == 10
    assert len(target.validation.y) + len(target.test.y) == 20
    seen = {_numbers(_load(tmp_path, 5, seed).test)[0] for seed in range(5)}
    assert len(seen) > 1


def _message(root: Path, labels: int = 3) -> str:
    with pytest.raises(DataError) as raised:
        _load(root, labels)
    return str(raised.value)


def test_class_too_small(plain: Path) -> None:
    expected = (
        "--labels-per-class: class 'cat' has {have} images; 6 for training and at least 4 to "
        "measure with are needed"
    )
    assert _message(plain, 6) == expected.format(have=9)
    for number in range(3):
        (plain / "cat" / f"{number:04}.png").write_bytes(b"broken")
    assert _message(plain, 4).startswith("--labels-per-class: class 'cat' has 6 images; 4 for")


def test_part_too_small(tmp_path: Path) -> None:
    for colour, name in enumerate("ab"):
        _fill(tmp_path / "train" / name, 6, colour)
        _fill(tmp_path / "val" / name, 4, colour)
        _fill(tmp_path / "test" / name, 4, colour)
    assert _message(tmp_path, 7) == ("--data: class 'a' has 6 images for train; 7 are needed")
    for path in (tmp_path / "test" / "b").iterdir():
        path.unlink()
    assert _message(tmp_path) == "--data: class 'b' has 0 images for test; 2 are needed"
    _fill(tmp_path / "val" / "c", 4, 3)
    assert _message(tmp_path) == (
        f"--data: '{tmp_path / 'val' / 'c'}' is no class of training; known are a, b"
    )


def test_no_images(tmp_path: Path) -> None:
    nothing = f"--data: there are no images in '{tmp_path}'"
    assert _message(tmp_path) == nothing
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert _message(tmp_path) == nothing


def test_no_classes(tmp_path: Path) -> None:
    _fill(tmp_path, 5, 0)
    assert _message(tmp_path) == (
        f"--data: '{tmp_path}' holds images but no sub-folder for each class"
    )


def test_one_class(tmp_path: Path) -> None:
    _fill(tmp_path / "images" / "a", 9, 0)
    message = f"--data: '{tmp_path}' holds one class, 'images'; at least two are needed"
    assert _message(tmp_path) == message
    _fill(tmp_path / "images" / "b", 9, 0)
    assert _message(tmp_path) == f"{message}; did you mean {tmp_path / 'images'}?"


def test_through_the_table(plain: Path) -> None:
    spec = ImageDataSpec(name=f"folder:{plain}", classes=("ant", "bee"))
    target = images.load(spec, labels_per_class=3, image_size=8, seed=0)
    assert target.classes == ("ant", "bee")
    wrong = ImageDataSpec(name=f"folder:{plain.parent / (plain.name + 'x')}")
    with pytest.raises(DataError) as raised:
        images.load(wrong, labels_per_class=3, image_size=8, seed=0)
    assert str(raised.value) == (f"--data: there is no folder '{plain}x'; did you mean {plain}?")


def test_centre_of_a_photograph(tmp_path: Path) -> None:
    """The short side is resized first: with resize 16 and size 8 a quarter of the middle stays."""
    picture = np.zeros((32, 64, 3), dtype=np.uint8)
    picture[8:24, 24:40] = 255
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    target = folder.load(tmp_path, labels_per_class=1, image_size=8, resize=16, seed=0)
    assert target.train.x[:, :, 1:-1, 1:-1].min() == 1
