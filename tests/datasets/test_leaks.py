"""Duplicates and features that are the answer."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nndiag.datasets import leaks


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20))
def test_duplicates_are_those_of_a_dictionary(rows: list[tuple[int, int]]) -> None:
    x = np.array([[value, -value] for value, _y in rows], dtype=np.float32)
    y = np.array([label for _value, label in rows])
    found = leaks.duplicates(leaks.identities(x), y)
    groups: dict[int, list[int]] = {}
    for value, label in rows:
        groups.setdefault(value, []).append(label)
    repeated = [labels for labels in groups.values() if len(labels) > 1]
    assert found.groups == len(repeated)
    assert found.samples == sum(map(len, repeated))
    assert found.contradicting == sum(len(set(labels)) > 1 for labels in groups.values())


def test_shared_between_parts() -> None:
    identity = leaks.identities(np.array([[1.0], [2.0], [1.0], [3.0], [0.0], [-0.0]]))
    parts = [np.array([0, 1]), np.array([4]), np.array([2, 3, 5])]
    assert leaks.shared(identity, parts) == 2, "the sample 1, and 0 which equals -0"


def test_telling_features() -> None:
    y = np.array([0, 0, 1, 1, 2, 2] * 10)
    code = np.array([5, 7, 9, 9, 1, 1] * 10)  # two values of class 0
    half = np.array([0, 1, 1, 1, 2, 2] * 10)  # the value 1 has two classes
    number = np.arange(60)  # an identifier, no code
    x = np.stack([half, code, number, np.zeros(60)], axis=1)
    assert list(leaks.telling(x, y)) == [1]
    assert list(leaks.telling(x, np.zeros(60, dtype=int))) == []
