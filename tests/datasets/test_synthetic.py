from __future__ import annotations

import numpy as np
import pytest

from nndiag.datasets import synthetic
from nndiag.datasets.catalogue import SYNTHETIC


def nearest_neighbour_accuracy(splits) -> float:
    """Accuracy on the test split of the label of the nearest training point."""
    distance = ((splits.test.x[:, None] - splits.train.x[None]) ** 2).sum(axis=2)
    return float((splits.train.y[distance.argmin(axis=1)] == splits.test.y).mean())


def linear_accuracy(splits) -> float:
    """Accuracy on the test split of least squares on the coordinates."""
    onehot = np.eye(len(splits.classes))[splits.train.y]
    train, test = (np.c_[part.x, np.ones(len(part.x))] for part in (splits.train, splits.test))
    weights = np.linalg.lstsq(train, onehot, rcond=None)[0]
    return float(((test @ weights).argmax(axis=1) == splits.test.y).mean())


def test_every_name_of_the_catalogue_can_be_drawn():
    assert tuple(synthetic._SETS) == SYNTHETIC


@pytest.mark.parametrize("name", SYNTHETIC)
def test_a_set_is_balanced_standardised_and_of_the_promised_size(name):
    splits = synthetic.load(name, seed=2)
    assert splits.input_shape == (2,)
    assert len(splits.train.y) == 900
    assert len(splits.validation.y) == len(splits.test.y) == 300
    assert np.ptp(np.bincount(splits.train.y)) == 0
    assert len(np.bincount(splits.train.y)) == len(splits.classes) == len(set(splits.classes))
    np.testing.assert_allclose(splits.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(splits.train.x.std(axis=0), 1, atol=1e-5)
    assert splits.source == "drawn by nndiag with seed 2"


@pytest.mark.parametrize("name", SYNTHETIC)
def test_classes_can_be_told_apart(name):
    assert nearest_neighbour_accuracy(synthetic.load(name)) > 0.97


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("circles", 0.3, 0.65), ("xor", 0.3, 0.65), ("spirals", 0.4, 0.75), ("moons", 0.8, 0.95)],
)
def test_a_line_does_not_separate_them(name, low, high):
    assert low < linear_accuracy(synthetic.load(name)) < high


def test_a_line_separates_the_blobs():
    assert linear_accuracy(synthetic.load("blobs")) > 0.97


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_seed_decides_the_points(name):
    first, again, other = (synthetic.load(name, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    np.testing.assert_array_equal(first.train.y, again.train.y)
    assert not np.array_equal(first.train.x, other.train.x)
