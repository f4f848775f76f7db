from __future__ import annotations

import numpy as np
import pytest

from nndiag.schema.trace import LayerInfo, Trace, join_members


def trace(value: float, name: str = "fc1") -> Trace:
    return Trace(
        layers=(LayerInfo(name=name, index=1, kind="Linear"),),
        steps=np.array([0]),
        columns={"weight_grad_norm": np.full((1, 1, 1), value)},
        missing={"weight_grad_norm": np.array([False])},
        by_call={"output_grad_norm": {name: np.full((1, 1, 4), value)}},
        loss=np.full((1, 1), value),
    )


def test_members_stand_side_by_side() -> None:
    joined = join_members([trace(1.0), trace(2.0), trace(3.0)])
    assert joined.members == 3
    assert joined.at("weight_grad_norm", 0).tolist() == [1.0, 2.0, 3.0]
    assert joined.by_call["output_grad_norm"]["fc1"].shape == (1, 3, 4)
    assert joined.loss.tolist() == [[1.0, 2.0, 3.0]]


def test_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="different layers"):
        join_members([trace(1.0), trace(1.0, "fc2")])


def test_a_missing_statistic_is_not_zero() -> None:
    one = trace(0.0)
    assert one.has("weight_grad_norm", 0)
    assert not one.has("dead_fraction", 0)
