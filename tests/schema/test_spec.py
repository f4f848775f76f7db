from __future__ import annotations

import math
import shlex

import pytest

from nndiag.schema.errors import UsageError
from nndiag.schema.spec import (
    DataSpec,
    GradientsSpec,
    NetworkSpec,
    OptimizerSpec,
    command_line,
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "--depth: got 0; accepted: from 1 to 10000"),
        ({"depth": 20_000}, "--depth: got 20000; accepted: from 1 to 10000"),
        ({"width": 0}, "--width: got 0; accepted: at least 1"),
        ({"dropout": 1.0}, "--dropout: got 1; accepted: at least 0 and less than 1"),
        ({"dropout": math.nan}, "--dropout: got nan; accepted: at least 0 and less than 1"),
        ({"bias_std": -1.0}, "--bias-std: got -1; accepted: at least 0"),
        ({"norm": "bach"}, "--norm: unknown name 'bach'; did you mean batch?"),
        ({"net": "mpl"}, "--net: unknown name 'mpl'; did you mean mlp?"),
    ],
)
def test_network_says_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        NetworkSpec(**change)  # type: ignore[arg-type]
    assert str(raised.value) == message


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_learning_rate_is_positive(value: float) -> None:
    with pytest.raises(UsageError, match=r"--lr: got .*; accepted: a number above 0"):
        OptimizerSpec(lr=value)


def test_command_line_reproduces_the_spec() -> None:
    spec = GradientsSpec(
        network=NetworkSpec(act="relu", init="he_normal", width=64, norm="batch", dropout=0.1),
        data=DataSpec(name="my data.csv", target="label"),
        train=50,
        optimizer=OptimizerSpec(name="adam", lr=0.01, clip_norm=1.0),
    )
    assert shlex.split(command_line(spec)) == [
        *("nndiag", "gradients", "--depth", "20", "--width", "64", "--act", "relu"),
        *("--init", "he_normal", "--norm", "batch", "--dropout", "0.1"),
        *("--data", "my data.csv", "--target", "label", "--train", "50"),
        *("--optimizer", "adam", "--lr", "0.01", "--clip-norm", "1"),
    ]
