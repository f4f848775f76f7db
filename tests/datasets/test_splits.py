from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nndiag.datasets.splits import divide, standardise, stratified

FRACTIONS = st.sampled_from(
    [(0.6, 0.2, 0.2), (0.75, 0.25), (0.5, 0.3, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.9, 0.05, 0.05)]
)


@settings(max_examples=300, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    fractions=FRACTIONS,
    seed=st.integers(0, 2**32),
)
@example(sizes=[22, 22, 15], fractions=(0.5, 0.3, 0.2), seed=0)  # totals need two moves at once
@example(sizes=[2, 35, 12], fractions=(0.5, 0.3, 0.2), seed=0)
def test_every_class_and_every_split_has_its_exact_share(sizes, fractions, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))

    parts = stratified(y, fractions, seed)

    together = np.concatenate(parts)
    assert sorted(together.tolist()) == list(range(len(y)))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * len(y)) < 1
        counts = np.bincount(y[part], minlength=len(sizes))
        assert (np.abs(counts - fraction * np.array(sizes)) < 1).all()


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), fractions=FRACTIONS)
@example(sizes=[22, 22, 15], fractions=(0.5, 0.3, 0.2))
def test_split_sizes_are_the_largest_remainder_rounding(sizes, fractions):
    y = np.repeat(np.arange(len(sizes)), sizes)
    exact = [round(len(y) * fraction, 9) for fraction in fractions]
    expected = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: expected[k] - exact[k])
    for k in by_remainder[: len(y) - sum(expected)]:
        expected[k] += 1

    assert [len(part) for part in stratified(y, fractions)] == expected


def test_a_divisible_set_is_divided_exactly():
    y = np.repeat([0, 1, 2], [10, 50, 100])
    train, validation, test = stratified(y, seed=3)
    assert np.bincount(y[train]).tolist() == [6, 30, 60]
    assert np.bincount(y[validation]).tolist() == [2, 10, 20]
    assert np.bincount(y[test]).tolist() == [2, 10, 20]


def test_same_seed_same_splits_and_another_seed_others():
    y = np.arange(200) % 4
    first, again, other = (stratified(y, seed=seed) for seed in (7, 7, 8))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).all()


def test_classes_are_mixed_within_a_split():
    y = np.repeat([0, 1], 500)
    train = stratified(y)[0]
    assert 0.3 < y[train][:100].mean() < 0.7


@pytest.mark.parametrize("fractions", [(0.5, 0.4), (1.2, -0.2), (1.0,), (0.25,) * 4])
def test_shares_that_are_none_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions must be two or three shares with sum 1"):
        stratified(np.arange(10) % 2, fractions)


@pytest.mark.parametrize("axes", [(0,), (0, 2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_standardising_equals_the_textbook_formula_with_train_statistics(axes, dtype):
    generator = np.random.default_rng(0)
    train, other = (generator.integers(0, 200, (n, 3, 4, 5)).astype(dtype) for n in (50, 20))
    mean = train.mean(axis=axes, dtype=np.float64, keepdims=True)
    deviation = train.std(axis=axes, dtype=np.float64, keepdims=True)

    train_z, other_z = standardise(train, other, axes=axes)

    assert train_z.dtype == other_z.dtype == np.float32
    np.testing.assert_allclose(train_z, (train - mean) / deviation, atol=1e-6)
    np.testing.assert_allclose(other_z, (other - mean) / deviation, atol=1e-6)


def test_other_splits_do_not_move_the_statistics():
    train = np.random.default_rng(1).normal(5, 3, (100, 4))
    alone = standardise(train)[0]
    beside = standardise(train, np.full((50, 4), 1e6))[0]
    np.testing.assert_array_equal(alone, beside)


def test_many_chunks_give_what_one_chunk_gives(monkeypatch):
    train = np.random.default_rng(2).normal(100, 0.1, (500, 7))
    whole = standardise(train)[0]
    monkeypatch.setattr("nndiag.datasets.splits._CHUNK_BYTES", 8 * 7 * 13)
    np.testing.assert_allclose(standardise(train)[0], whole, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.3e300])
def test_a_feature_constant_in_train_is_zero_everywhere(value):
    train = np.stack([np.full(30, value), np.arange(30.0)], axis=1)
    other = np.array([[value + 5, 1.0]])
    train_z, other_z = standardise(train, other)
    assert (train_z[:, 0] == 0).all()
    assert other_z[0, 0] == 0
    assert abs(train_z[:, 1].std() - 1) < 1e-6


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e307])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    train = np.random.default_rng(3).uniform(-1, 1, (1000, 1)) * scale
    z = standardise(train)[0]
    assert abs(float(z.std()) - 1) < 1e-3


def test_a_vector_set_is_standardised_per_feature_and_an_image_set_per_channel():
    y = np.arange(100) % 2
    vectors = np.random.default_rng(4).normal(3, [1.0, 10.0], (100, 2))
    images = np.random.default_rng(5).integers(0, 256, (100, 3, 4, 4)).astype(np.uint8)
    common = {"name": "mine", "classes": ["a", "b"], "source": "here", "seed": 0}

    flat = divide(vectors, y, **common)
    deep = divide(images, y, **common)

    np.testing.assert_allclose(flat.train.x.std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(deep.train.x.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(deep.train.x.std(axis=(0, 2, 3)), 1, atol=1e-5)
    assert np.ptp(deep.train.x.std(axis=0)) > 0.01
    assert (flat.input_shape, deep.input_shape) == ((2,), (3, 4, 4))
    assert flat.train.y.dtype == np.int64
    assert [len(part.y) for part in (flat.train, flat.validation, flat.test)] == [60, 20, 20]
