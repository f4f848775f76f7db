"""Axes of a sweep: every way to write them, every wrong way, and the configurations they span."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.schema import axes
from nndiag.schema.errors import UsageError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("act=relu,tanh", ("relu", "tanh")),
        ("act=leaky_relu:0.2", ("leaky_relu:0.2",)),
        ("depth=5,20,50", (5, 20, 50)),
        ("depth=5,5, 20", (5, 20)),
        ("--batch-size=32,128", (32, 128)),
        ("lr=0.1", (0.1,)),
        ("residual=true,off", (True, False)),
        ("clip_norm=none,1", (None, 1.0)),
        ("momentum=none", (None,)),
        ("depth=int:1:4", (1, 2, 3, 4)),
        ("depth=int:2:9:3", (2, 5, 8)),
        ("width=log:8:128:5", (8, 16, 32, 64, 128)),
        ("dropout=lin:0:0.5:3", (0.0, 0.25, 0.5)),
        ("lr=log:1e-4:1", ()),
    ],
)
def test_values(text: str, values: tuple[object, ...]) -> None:
    assert axes.parse(text).values == values


def test_the_log_range_of_the_issue() -> None:
    found = axes.parse("lr=log:1e-4:1:9").values
    assert found == pytest.approx(tuple(10 ** (-4 + k / 2) for k in range(9)), rel=1e-9)
    assert (found[0], found[-1]) == (1e-4, 1.0)


_RANGES = (
    "accepted: log:LOW:HIGH:COUNT, lin:LOW:HIGH:COUNT, int:LOW:HIGH or int:LOW:HIGH:STEP, "
    "on its own"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "'lr': got no values; accepted: AXIS=VALUES, such as lr=0.01,0.1"),
        ("lr=", "lr: got no values; accepted: values joined by commas"),
        ("dpeth=3", "axis: unknown name 'dpeth'; did you mean depth?"),
        ("lr=0", "lr: got '0'; accepted: a number above 0"),
        ("lr=fast", "lr: got 'fast'; accepted: a number above 0"),
        ("lr=nan", "lr: got 'nan'; accepted: a number above 0"),
        ("depth=2.5", "depth: got '2.5'; accepted: a whole number from 1 to 10000"),
        ("steps=0", "steps: got '0'; accepted: a whole number of at least 1"),
        ("dropout=1", "dropout: got '1'; accepted: at least 0 and less than 1"),
        ("beta1=-1", "beta1: got '-1'; accepted: at least 0 and less than 1, or none"),
        ("bias_std=-1", "bias_std: got '-1'; accepted: a number of at least 0"),
        ("residual=2", "residual: got '2'; accepted: true or false"),
        ("norm=batc", "norm: unknown name 'batc'; did you mean batch?"),
        ("lr=log:1:0.1:3", "lr: got 'log:1:0.1:3'; accepted: a first number below the second"),
        ("dropout=log:0:0.5:3", "dropout: got 'log:0:0.5:3'; a log range begins above 0"),
        ("lr=log:0.1:1:1", f"lr: got 'log:0.1:1:1'; {_RANGES}"),
        ("lr=log:0.1:1:3,2", f"lr: got 'log:0.1:1:3,2'; {_RANGES}"),
        ("lr=log:0.1", f"lr: got 'log:0.1'; {_RANGES}"),
        ("depth=int:1:9:0", f"depth: got 'int:1:9:0'; {_RANGES}"),
        ("width=int:1:900000", f"width: got 'int:1:900000'; {_RANGES}"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        axes.parse(text)
    assert str(caught.value) == message


def test_an_axis_stands_once() -> None:
    with pytest.raises(UsageError, match=r"^lr: given twice; join its values by commas$"):
        axes.parse_all(["lr=1", "depth=2", "lr=2"])


def test_the_option_of_a_setting_is_named_with_its_dashes() -> None:
    assert axes.setting("batch_size", "16") == 16
    with pytest.raises(UsageError, match=r"^--batch-size: got '0'; accepted: a whole number"):
        axes.setting("batch_size", "0")


def test_the_grid_has_every_combination_once() -> None:
    chosen = axes.parse_all(["act=relu,tanh", "depth=2,3,4", "lr=0.1"])
    found = axes.grid(chosen)
    assert len(found) == axes.size(chosen) == 6
    assert found[:2] == [
        {"act": "relu", "depth": 2, "lr": 0.1},
        {"act": "relu", "depth": 3, "lr": 0.1},
    ]
    assert len({tuple(one.items()) for one in found}) == 6


def test_a_range_without_a_count_needs_random_search() -> None:
    open_range = axes.parse_all(["lr=log:0.01:1"])
    with pytest.raises(UsageError) as caught:
        axes.grid(open_range)
    assert str(caught.value) == (
        "lr: got 'log:0.01:1', a range without a number of points; accepted: log:0.01:1:COUNT, "
        "or --samples"
    )
    assert len(axes.sample(open_range, 7, seed=0)) == 7


@given(st.integers(1, 30), st.integers(0, 2**32))
def test_samples_differ_lie_in_range_and_go_on(count: int, seed: int) -> None:
    chosen = axes.parse_all(["lr=log:1e-4:1", "act=relu,tanh", "depth=int:2:20"])
    found = axes.sample(chosen, count, seed)
    assert len({tuple(one.items()) for one in found}) == len(found) == count
    assert all(1e-4 <= float(str(one["lr"])) <= 1 for one in found)
    assert found == axes.sample(chosen, 40, seed)[:count]


def test_a_log_range_is_drawn_evenly_in_the_logarithm() -> None:
    """The share in each decade is a quarter, by a binomial bound of five deviations."""
    chosen = axes.parse_all(["lr=log:1e-4:1"])
    logs = [math.log10(float(str(one["lr"]))) for one in axes.sample(chosen, 2000, seed=1)]
    counts, _edges = np.histogram(logs, bins=[-4, -3, -2, -1, 0])
    assert np.abs(counts - 500).max() < 5 * math.sqrt(2000 * 0.25 * 0.75)


def test_a_small_space_is_searched_whole() -> None:
    chosen = axes.parse_all(["act=relu,tanh", "depth=2,3"])
    found = axes.sample(chosen, 100, seed=0)
    assert sorted(map(repr, found)) == sorted(map(repr, axes.grid(chosen)))
