"""Groups and their scores, against formulas written out and a search of every naming."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.training import clustering

LABELS = st.lists(st.integers(0, 2), min_size=6, max_size=40).filter(lambda y: len(set(y)) == 3)


def _nmi(y: np.ndarray, groups: np.ndarray) -> float:
    """Mutual information over the mean of the entropies."""
    joint = clustering.contingency(y, groups) / len(y)
    rows, columns = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    inside = joint > 0
    mutual = (joint[inside] * np.log((joint / (rows @ columns + 1e-300))[inside])).sum()

    def entropy(p: np.ndarray) -> float:
        return float(-(p[p > 0] * np.log(p[p > 0])).sum())

    whole = (entropy(rows) + entropy(columns)) / 2
    return float(mutual / whole) if whole else 1.0


def _ari(y: np.ndarray, groups: np.ndarray) -> float:
    """Pairs that agree, less those that would by chance (Hubert & Arabie 1985)."""
    table = clustering.contingency(y, groups)

    def pairs(n: np.ndarray) -> float:
        return float((n * (n - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    chance = rows * columns / (len(y) * (len(y) - 1) / 2)
    top = (rows + columns) / 2
    return (both - chance) / (top - chance) if top != chance else 1.0


@given(y=LABELS, seed=st.integers(0, 99))
def test_scores(y: list[int], seed: int) -> None:
    classes = np.array(y)
    groups = np.random.default_rng(seed).integers(0, 3, len(y))
    scores = clustering.agreement(classes, groups)
    best = max(
        float((np.array(naming)[groups] == classes).mean())
        for naming in itertools.permutations(range(3))
    )
    assert scores["accuracy"] == pytest.approx(best)
    assert scores["nmi"] == pytest.approx(_nmi(classes, groups), abs=1e-9)
    assert scores["ari"] == pytest.approx(_ari(classes, groups), abs=1e-9)


@given(y=LABELS)
def test_the_same_groups_under_other_names_are_perfect(y: list[int]) -> None:
    classes = np.array(y)
    scores = clustering.agreement(classes, (classes + 1) % 3)
    assert list(scores.values()) == pytest.approx([1, 1, 1])


def test_contingency() -> None:
    table = clustering.contingency(np.array([0, 0, 1, 2]), np.array([1, 1, 1, 0]))
    assert table.tolist() == [[0, 0, 1], [2, 1, 0], [0, 0, 0]]


def test_far_apart_groups_are_found() -> None:
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = 20 * np.eye(3)[y] + random.standard_normal((60, 3))
    groups = clustering.clustered(x, 3, seed=1)
    assert clustering.agreement(y, groups)["ari"] == 1
    assert np.array_equal(groups, clustering.clustered(x, 3, seed=1))


def test_plane_as_by_singular_values() -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal((40, 6)) @ random.standard_normal((6, 6))
    plane, share = clustering.plane(x)
    left, values, _right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    theirs = left[:, :2] * values[:2]
    assert np.allclose(np.abs(plane), np.abs(theirs))
    assert share == pytest.approx((values[:2] ** 2).sum() / (values**2).sum())
