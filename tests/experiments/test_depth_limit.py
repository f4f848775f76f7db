"""Plain networks of several depths: rows, readings, and what they rest on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nndiag import datasets
from nndiag.diagnosis.depth_reading import reading
from nndiag.experiments import depth_limit
from nndiag.schema.progress import Silent
from nndiag.schema.result import Interval
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.schema.spec_depth import DepthLimitSpec
from nndiag.training.members import Settings
from nndiag.training.tuning import Bench, Candidate, trial
from nndiag.zoo.deep_methods import DEEP_METHODS

SPEC = DepthLimitSpec(
    depths=(12, 5),
    methods=("tanh-orthogonal", "tanh-gaussian", "relu-batchnorm"),
    width=64,
    steps=30,
    seeds=2,
    lr=0.004,
    seed=3,
)


@pytest.fixture(scope="module")
def result() -> dict:
    return dict(depth_limit.run(SPEC).result)


def test_a_row_for_each_method_and_depth(result: dict) -> None:
    found = [(row["method"], row["depth"]) for row in result["rows"]]
    shallow, deep = found[:3], found[3:]
    assert shallow == [(name, 5) for name in SPEC.methods]
    assert all(depth == 12 for _name, depth in deep)
    assert {"tanh-orthogonal"} <= {name for name, _depth in deep}
    for row in result["rows"]:
        assert row["test_accuracy"].low <= row["test_accuracy"].mean <= row["test_accuracy"].high


def test_accuracy_is_that_of_the_trainings(result: dict) -> None:
    row = result["rows"][0]
    gain = 1 + 5**-0.5
    bench = Bench.of(
        datasets.load(DataSpec(), seed=3), Settings(optimizer="adam", steps=30), lambda steps: None
    )
    network = NetworkSpec(depth=5, width=64, act="tanh", init=f"orthogonal:{gain!r}")
    alone = trial(Candidate(network=network), bench, [0.004], [3, 4]).record
    assert row["test_accuracy"].mean == pytest.approx(alone.test_accuracy.mean())
    assert (row["gain"], row["lr"], row["trainings"]) == (pytest.approx(gain), 0.004, 2)


def test_the_same_mean_field_and_another_spectrum(result: dict) -> None:
    rows = {row["method"]: row for row in result["rows"] if row["depth"] == 5}
    orthogonal, gaussian = rows["tanh-orthogonal"], rows["tanh-gaussian"]
    np.testing.assert_allclose(
        orthogonal["predicted_gradient_change"], gaussian["predicted_gradient_change"], rtol=1e-6
    )
    difference = gaussian["predicted_spread"] - orthogonal["predicted_spread"]
    np.testing.assert_allclose(difference, orthogonal["layers"])
    assert orthogonal["directions"].mean > gaussian["directions"].mean


def test_gradient_change_and_directions_are_those_of_the_singular_values(result: dict) -> None:
    for row in result["rows"]:
        squares = np.asarray(row["singular_values"]) ** 2
        alone = depth_limit.run(
            DepthLimitSpec(
                depths=(row["depth"],),
                methods=(row["method"],),
                width=64,
                steps=1,
                seeds=1,
                rates=1,
                seed=3,
            )
        ).result["rows"][0]
        assert alone["gradient_change"].mean == pytest.approx(float(squares.mean()) ** 0.5)
        assert alone["directions"].mean == pytest.approx(
            float(squares.sum() ** 2 / (squares**2).sum())
        )


@pytest.mark.parametrize("depth", [4, 9, 50, 1000, 10_000])
def test_gain_and_rate_by_depth(depth: int) -> None:
    spec = DepthLimitSpec()
    assert spec.gain_at(depth) == pytest.approx(1 + depth**-0.5)
    assert spec.rate_at(depth) == pytest.approx(0.02 / depth)
    assert len(spec.seeds_at(depth)) == (3 if depth < 1000 else 1)
    own = DepthLimitSpec(gain=1.2, lr=0.5, seeds=4, seed=9)
    assert (own.gain_at(depth), own.rate_at(depth)) == (1.2, 0.5)
    assert list(own.seeds_at(depth)) == [9, 10, 11, 12]


def test_gaussian_and_orthogonal_weights_have_one_variance() -> None:
    from nndiag.zoo import activations, initialisations

    act = activations.parse("tanh")
    variances = [
        initialisations.weight_variance(
            initialisations.parse(DEEP_METHODS.get(name, "").network(9, 20, 1.3).init), act, 20, 20
        )
        for name in ("tanh-orthogonal", "tanh-gaussian")
    ]
    assert variances == pytest.approx([1.69 / 20] * 2)


def test_narrow_networks_have_two_mean_fields_and_say_nothing_of_isometry() -> None:
    spec = DepthLimitSpec(
        depths=(6,), methods=("tanh-orthogonal", "tanh-gaussian"), width=8, steps=1, seeds=1
    )
    said = " ".join(depth_limit.run(spec).result["reading"])
    assert "tanh-gaussian" in said
    assert "isometry" not in said


def row(method: str, depth: int, accuracy: float, change: float, directions: float) -> dict:
    def at(value: float) -> Interval:
        return Interval(value, value, value)

    return {
        "method": method,
        "depth": depth,
        "test_accuracy": at(accuracy),
        "trained": accuracy >= 0.9,
        "gradient_change": at(change),
        "predicted_gradient_change": 0.5,
        "directions": at(directions),
        "gain": 1.1 if method.startswith("tanh") else None,
    }


def test_reading_follows_from_the_rows() -> None:
    said = reading(
        [
            row("tanh-orthogonal", 10, 0.95, 0.9, 20),
            row("tanh-gaussian", 10, 0.92, 0.9, 5),
            row("selu", 10, 0.3, 1e3, 5),
            row("relu-he", 10, 0.2, 1e-4, 1.2),
            row("relu-batchnorm", 10, 0.6, 1e9, 1),
            row("sigmoid-batchnorm", 10, 0.2, 1, 9),
            row("tanh-orthogonal", 100, 0.94, 0.8, 9),
            row("tanh-gaussian", 100, 0.3, 0.8, 1.1),
        ],
        DepthLimitSpec(),
    )
    assert said[:6] == [
        "tanh-orthogonal: 94.0 % at 100 layers; no limit was met.",
        "tanh-gaussian: 92.0 % at 10 layers, 30.0 % at 100: 1.1 of 64 directions carry the "
        "gradient.",
        "selu: 30.0 % at 10 layers: the gradient grows 1e3 times on its way to the first layer.",
        "relu-he: 20.0 % at 10 layers: the gradient shrinks 1e4 times on its way to the first "
        "layer, 1.2 of 64 directions carry the gradient.",
        "relu-batchnorm: 60.0 % at 10 layers: slower, not there yet after 80 steps.",
        "sigmoid-batchnorm: 20.0 % at 10 layers: not after 80 steps, though its gradient is sound "
        "at first.",
    ]
    assert said[6].startswith("Dynamical isometry at 100 layers")
    assert "Gaussian weights leave 1.1, orthogonal ones 9.0" in said[6]
    assert said[7].startswith("With D layers the gain is 1 + 1 / sqrt(D)")
    assert reading([], DepthLimitSpec()) == []


def test_what_is_lost_is_not_tried_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DepthLimitSpec(depths=(8, 9), methods=("relu-batchnorm",), width=4, steps=1, seeds=1)
    assert [r["depth"] for r in depth_limit.run(spec).result["rows"]] == [8]


def test_ctrl_c_keeps_what_is_complete() -> None:
    class Impatient(Silent):
        def stage(self, text: str, total: int, **facts: object) -> None:
            if text.startswith("9"):
                raise KeyboardInterrupt

    spec = DepthLimitSpec(depths=(5, 9), methods=("selu",), width=8, steps=30, lr=0.01, seeds=1)
    found = depth_limit.run(spec, watch=Impatient()).result
    assert (found["interrupted"], [r["depth"] for r in found["rows"]]) == (True, [5])


@pytest.mark.slow
def test_a_thousand_layers_train() -> None:
    torch.set_num_threads(1)
    spec = DepthLimitSpec(depths=(1000,), methods=("tanh-orthogonal",))
    (deep,) = depth_limit.run(spec).result["rows"]
    assert deep["test_accuracy"].mean >= 0.93
