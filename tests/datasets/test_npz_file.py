from __future__ import annotations

import zipfile

import numpy as np
import pytest

from nndiag import datasets
from nndiag.datasets import npz_file
from nndiag.schema.errors import DataError
from nndiag.schema.spec import DataSpec

Y = np.arange(20) % 2


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return save


def vectors(features: int = 3) -> np.ndarray:
    return np.arange(20.0 * features).reshape(20, features)


def with_nan() -> np.ndarray:
    x = np.zeros((20, 2, 3), dtype=np.float32)
    x[7, 1, 2] = np.nan
    return x


def refusal(path, target=None) -> str:
    with pytest.raises(DataError) as caught:
        npz_file.read(path, target)
    return str(caught.value).replace(str(path), "mine.npz")


@pytest.mark.parametrize(
    ("names", "target"),
    [(("x", "y"), None), (("X", "Y"), None), (("images", "label"), "label"), (("data", "y"), None)],
)
def test_arrays_are_found_by_name(save, names, target):
    x, y, where = npz_file.read(save(**dict(zip(names, (vectors(), Y), strict=True))), target)
    np.testing.assert_array_equal(x, vectors())
    np.testing.assert_array_equal(y, Y)
    assert where.endswith(f"mine.npz, array '{names[1]}'")


@pytest.mark.parametrize(
    ("given", "became"),
    [
        ((20, 5), (20, 5)),
        ((20, 8, 9), (20, 1, 8, 9)),
        ((20, 3, 8, 9), (20, 3, 8, 9)),
        ((20, 8, 9, 3), (20, 3, 8, 9)),
        ((20, 8, 9, 1), (20, 1, 8, 9)),
        ((20, 3, 9, 3), (20, 3, 9, 3)),
        ((20, 4, 8, 9), (20, 4, 8, 9)),
        ((20, 2, 3, 4, 5), (20, 2, 3, 4, 5)),
    ],
)
def test_images_end_up_channels_first(save, given, became):
    images = np.random.default_rng(0).integers(0, 256, given).astype(np.uint8)
    x = npz_file.read(save(x=images, y=Y), None)[0]
    assert x.shape == became
    if given == (20, 8, 9, 3):
        np.testing.assert_array_equal(x[4, 2], images[4, :, :, 2])


@pytest.mark.parametrize(
    "labels", [Y[:, None], Y.astype(bool), Y.astype(float), Y.astype(str), Y.astype("S1")]
)
def test_labels_may_be_whole_numbers_or_text(save, labels):
    splits = datasets.load(DataSpec(name=str(save(x=vectors(), y=labels))))
    assert splits.classes in (("0", "1"), ("False", "True"))
    assert np.bincount(splits.train.y).tolist() == [6, 6]
    assert splits.name == "mine.npz"
    assert splits.source == "the file mine.npz"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": vectors()}, "--target: mine.npz has no array 'y'; it has: x"),
        ({}, "--target: mine.npz has no array 'y'; it has: nothing"),
        ({"y": Y}, "mine.npz: no array is called x; it has: y"),
        (
            {"a": vectors(), "b": vectors(), "y": Y},
            "mine.npz: no array is called x; it has: a, b, y",
        ),
        (
            {"x": vectors()[:19], "y": Y},
            "mine.npz: array 'x' has 19 samples and array 'y' has 20",
        ),
        ({"x": vectors()[:0], "y": Y[:0]}, "mine.npz, array 'x': empty"),
        ({"x": vectors(0), "y": Y}, "mine.npz, array 'x': empty"),
        (
            {"x": np.arange(20.0), "y": Y},
            "mine.npz, array 'x': shape (20,); accepted: (samples, features) or (samples, ...)",
        ),
        (
            {"x": vectors(), "y": np.eye(20)},
            "mine.npz, array 'y': shape (20, 20); accepted: (samples,)",
        ),
        (
            {"x": vectors().astype(str), "y": Y},
            "mine.npz, array 'x': type <U32; accepted: numbers",
        ),
        (
            {"x": vectors(), "y": Y.astype(complex)},
            "mine.npz, array 'y': type complex128; accepted: numbers or text",
        ),
        (
            {"x": vectors(), "y": np.array([None, "a"] * 10)},
            "mine.npz, array 'y': Python objects; accepted: numbers or text",
        ),
        (
            {"x": with_nan(), "y": Y},
            "mine.npz, array 'x': nan at index (7, 1, 2) is not a finite number",
        ),
        (
            {"x": vectors(), "y": np.where(np.arange(20) == 3, np.inf, Y)},
            "mine.npz, array 'y': inf at index (3) is not a finite number",
        ),
    ],
)
def test_what_is_wrong_is_named_with_array_and_index(save, arrays, message):
    assert refusal(save(**arrays)) == message


def test_a_misspelled_target_names_the_nearest_array(save):
    path = save(x=vectors(), label=Y)
    assert refusal(path, "lable") == (
        "--target: mine.npz has no array 'lable'; did you mean label?"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "mine.npz: the file is empty"), (b"\x93NUMPY...", "mine.npz: not an NPZ file")],
)
def test_another_kind_of_file_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    assert refusal(path) == message


def test_a_member_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"text")
        archive.writestr("y.npy", b"text")
    assert refusal(path) == "mine.npz, array 'x': not an array"


def test_a_damaged_array_is_refused(save):
    path = save(x=vectors(), y=Y)
    content = bytearray(path.read_bytes())
    content[content.find(b"x.npy") + 200] ^= 255
    path.write_bytes(bytes(content))
    assert refusal(path) == "mine.npz, array 'x': cannot be read (Bad CRC-32 for file 'x.npy')"
