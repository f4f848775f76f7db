from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.datasets.labels import encode
from nndiag.schema.errors import DataError

HERE = "mine.csv, column 'label'"


def repeated(*names) -> np.ndarray:
    return np.array(list(names) * 5)


def refusal(values) -> str:
    with pytest.raises(DataError) as caught:
        encode(np.asarray(values), HERE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given_labels", "classes"),
    [
        (repeated("10", "9", "-1"), ("-1", "9", "10")),
        (repeated(10, 9, -1), ("-1", "9", "10")),
        (repeated("item 10", "item 9", "Item 1"), ("Item 1", "item 9", "item 10")),
        (repeated("no", "yes"), ("no", "yes")),
        (repeated("1.0", "2", "1"), ("1", "2")),
        (repeated(2.0, 1.0), ("1", "2")),
        (repeated(True, False), ("False", "True")),
        (repeated("0.5", "1.5"), ("0.5", "1.5")),
        (repeated("7", "inf", "x"), ("7", "inf", "x")),
        (repeated("9a", "10a", "b"), ("9a", "10a", "b")),
    ],
)
def test_classes_are_in_natural_order(given_labels, classes):
    y, names = encode(given_labels, HERE)
    assert names == classes
    assert y.dtype == np.int64
    for value, index in zip(given_labels.tolist(), y.tolist(), strict=True):
        try:
            assert float(names[index]) == float(value)
        except ValueError:
            assert names[index] == str(value)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30))
def test_labels_survive_the_numbering(letters):
    labels = np.array(letters * 5)
    if len(set(letters)) == 1:
        assert "one class only" in refusal(labels)
        return
    y, names = encode(labels, HERE)
    assert [names[index] for index in y] == labels.tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat"] * 9, f"{HERE}: one class only ('cat'); accepted: two or more"),
        ([3] * 9, f"{HERE}: one class only ('3'); accepted: two or more"),
        (
            ["a"] * 9 + ["b"] * 4,
            f"{HERE}: class 'b' has 4 of the 5 samples needed to be in the training, validation "
            "and test splits",
        ),
        (
            np.linspace(0, 1, 50),
            f"{HERE}: 50 different numbers in 50 samples look like a quantity; accepted: classes",
        ),
        (
            [str(price) for price in np.linspace(0, 1, 30).repeat(10)],
            f"{HERE}: 30 different numbers in 300 samples look like a quantity; accepted: classes",
        ),
        (
            [0.1, 0.2, 0.7],
            f"{HERE}: 3 different numbers in 3 samples look like a quantity; accepted: classes",
        ),
        (
            range(1000, 1200),
            f"{HERE}: 200 different numbers in 200 samples look like a quantity; accepted: classes",
        ),
    ],
)
def test_a_column_that_holds_no_classes_is_refused(labels, message):
    assert refusal(labels) == message


def test_a_hundred_whole_numbers_are_classes():
    assert len(encode(np.arange(500) % 100, HERE)[1]) == 100
