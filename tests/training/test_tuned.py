"""The rate chosen on the first seeds, the others trained at it."""

from __future__ import annotations

import numpy as np
import torch

from nndiag import datasets
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Settings, TensorData
from nndiag.training.tuning import Bench, Candidate, Request, trials, tuned


def test_tuned_is_a_grid_then_the_best() -> None:
    splits = datasets.load(DataSpec(), seed=0)
    taken: list[int] = []
    bench = Bench(
        splits=splits,
        data=TensorData.of(splits, torch.device("cpu")),
        settings=Settings(optimizer="adam", steps=20),
        progress=taken.append,
    )
    network = NetworkSpec(depth=2, width=8, act="tanh", init="xavier_normal")
    request = Request(candidate=Candidate(network=network), rates=[1e-4, 1e-2], seeds=range(4, 7))
    (found,) = tuned([request], bench, choosing=1)
    assert found.best_rate == 1e-2
    assert found.seeds.tolist() == [4, 4, 5, 6]
    assert sum(taken) == 20 * 4
    (alone,) = trials(
        [Request(candidate=Candidate(network=network), rates=[1e-2], seeds=range(4, 7))], bench
    )
    at_best = found.record.test_accuracy[found.at(1e-2)]
    np.testing.assert_array_equal(at_best, alone.record.test_accuracy)
    (only,) = tuned([request], bench, choosing=3)
    assert only.chosen is None
    assert len(only.rates) == 6
