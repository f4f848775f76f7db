"""Cross-validation: every sample held out once, in proportion, and unseen by what trains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag import datasets
from nndiag.datasets.folds import hold_out, stratified_folds
from nndiag.datasets.splits import Splits, divide
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DataSpec


@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.integers(2, 7), st.integers(0, 99))
def test_folds_differ_by_at_most_one_in_size_and_in_each_class(
    labels: list[int], folds: int, seed: int
) -> None:
    if folds > len(labels):
        return
    y = np.array(labels)
    found = stratified_folds(y, folds, seed)
    assert set(found) == set(range(folds))
    for chosen in (np.ones(len(y), dtype=bool), *(y == name for name in np.unique(y))):
        counts = np.bincount(found[chosen], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_another_seed_another_division() -> None:
    y = np.repeat([0, 1], 50)
    assert (stratified_folds(y, 5, 0) != stratified_folds(y, 5, 1)).any()
    assert (stratified_folds(y, 5, 0) == stratified_folds(y, 5, 0)).all()


def test_more_folds_than_samples() -> None:
    with pytest.raises(UsageError) as caught:
        stratified_folds(np.array([0, 1, 1]), 4)
    assert str(caught.value) == "--cv: got 4; accepted: 2 to 3, the number of samples"


def numbered(samples: int = 60) -> Splits:
    """A set whose first feature numbers the samples."""
    x = np.random.default_rng(0).normal(size=(samples, 3))
    x[:, 0] = np.arange(samples)
    return divide(x, np.arange(samples) % 3, name="own", classes="abc", source="", seed=0)


def test_every_sample_is_held_out_exactly_once() -> None:
    splits = numbered()
    everything = np.concatenate([splits.train.x, splits.validation.x, splits.test.x])
    held = []
    for fold in range(5):
        one = hold_out(splits, fold, 5)
        assert len(one.train.y) + len(one.test.y) == 60
        # Undo the fold's scale: a line through the training samples' numbers.
        inside = np.polyfit(np.sort(one.train.x[:, 0]), _numbers(splits, fold), 1)
        held += np.polyval(inside, one.test.x[:, 0]).round(3).tolist()
    assert np.sort(held) == pytest.approx(np.sort(everything[:, 0]), abs=2e-3)


def _numbers(splits: Splits, fold: int) -> np.ndarray:
    x = np.concatenate([splits.train.x, splits.validation.x, splits.test.x])[:, 0]
    y = np.concatenate([splits.train.y, splits.validation.y, splits.test.y])
    return np.sort(x[stratified_folds(y, 5) != fold])


def test_the_scale_comes_from_what_trains_alone() -> None:
    digits = datasets.load(DataSpec())
    for splits in (numbered(), digits):
        one = hold_out(splits, 1, 4)
        deviation = one.train.x.std(axis=0, dtype=float)
        assert one.train.x.mean(axis=0, dtype=float) == pytest.approx(0, abs=1e-4)
        assert deviation[deviation > 0] == pytest.approx(1, abs=1e-4)
        assert np.abs(one.test.x.mean(axis=0)).max() > 1e-3


def test_what_is_held_out_has_no_say_in_the_training_inputs() -> None:
    """Whatever stands in the fold held out, the samples that train are the same numbers."""
    splits = numbered()
    before = hold_out(splits, 2, 5)
    y = np.concatenate([splits.train.y, splits.validation.y, splits.test.y])
    out = stratified_folds(y, 5) == 2
    sizes = np.cumsum([len(splits.train.y), len(splits.validation.y)])
    for part, gone in zip(
        (splits.train, splits.validation, splits.test), np.split(out, sizes), strict=True
    ):
        part.x[gone] = 1e3
    after = hold_out(splits, 2, 5)
    assert (after.train.x == before.train.x).all()
    assert (after.test.x != before.test.x).all()
