"""Fewer samples, wrong labels, and warped copies of a training split."""

from __future__ import annotations

import numpy as np
import pytest

from nndiag import datasets
from nndiag.datasets.embedded import read
from nndiag.datasets.scarcity import mislabelled, scarce
from nndiag.datasets.splits import Splits
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DataSpec
from nndiag.training.augmenting import augmented


@pytest.fixture(scope="module")
def digits() -> Splits:
    return datasets.load(DataSpec())


def test_fewer_samples_keep_the_classes_in_proportion(digits: Splits) -> None:
    few = scarce(digits, 200, 0.0)
    assert len(few.train.y) == 200
    share = np.bincount(digits.train.y) / len(digits.train.y)
    assert np.abs(np.bincount(few.train.y) - 200 * share).max() < 1
    rows = {row.tobytes() for row in digits.train.x}
    assert {row.tobytes() for row in few.train.x} <= rows
    assert few.validation is digits.validation
    assert few.test is digits.test


def test_exactly_a_share_of_labels_is_wrong(digits: Splits) -> None:
    y = digits.train.y
    wrong = mislabelled(y, 0.2, 10, seed=3)
    assert (wrong != y).sum() == round(0.2 * len(y))
    assert set(wrong) == set(range(10))
    counts = np.bincount((wrong - y)[wrong != y] % 10, minlength=10)[1:]
    assert counts.min() > 0.5 * counts.mean()  # every wrong class is drawn
    assert (mislabelled(y, 0.2, 10, seed=3) == wrong).all()
    assert (mislabelled(y, 0.2, 10, seed=4) != wrong).any()


def test_too_many_samples_are_refused(digits: Splits) -> None:
    message = "--train-samples: got 5000; the training split has 1078"
    with pytest.raises(UsageError) as error:
        scarce(digits, 5000, 0.0)
    assert str(error.value) == message


def test_scaling_gives_the_raw_images_back(digits: Splits) -> None:
    assert digits.scaling is not None
    raw = digits.scaling.undo(digits.train.x)
    images = {image.tobytes() for image in read()[0]}
    assert {image.tobytes() for image in np.rint(raw[:, 0]).astype(np.uint8)} <= images


def test_copies_are_warped_images_with_their_labels(digits: Splits) -> None:
    few = scarce(digits, 60, 0.0)
    more = augmented(few, 2, seed=0)
    assert more.train.x.shape == (180, 1, 8, 8)
    np.testing.assert_array_equal(more.train.x[:60], few.train.x)
    np.testing.assert_array_equal(more.train.y, np.tile(few.train.y, 3))
    assert digits.scaling is not None
    raw, warped = digits.scaling.undo(few.train.x), digits.scaling.undo(more.train.x[60:120])
    assert warped.min() >= -1e-4
    assert warped.max() <= 16 + 1e-4
    assert (np.abs(raw - warped).max(axis=(1, 2, 3)) > 0.5).mean() > 0.9
    # A copy is mostly nearest to an image of its own class (by chance one in ten is).
    distances = ((warped[:, None] - raw[None]) ** 2).sum(axis=(2, 3, 4))
    assert (few.train.y[distances.argmin(1)] == few.train.y).mean() > 0.7


def test_vectors_cannot_be_warped() -> None:
    moons = datasets.load(DataSpec(name="moons"))
    with pytest.raises(UsageError, match="--augment: needs images, and no --cv; moons has inputs"):
        augmented(moons, 1, seed=0)
