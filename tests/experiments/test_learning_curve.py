"""Learning curves: equal to the sweep of the same axes, read by what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nndiag.diagnosis.growth_reading import power_law, reading
from nndiag.experiments import learning_curve, sweep
from nndiag.schema.result import Interval
from nndiag.schema.spec_generalisation import LearningCurveSpec
from nndiag.training import growing

Run = Callable[..., Any]
SPEC = LearningCurveSpec(
    base={"data": "blobs", "width": 4, "steps": 20, "lr": 0.01}, sizes=(20, 0.1, 1), seeds=3
)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return dict(learning_curve.run(SPEC).result)


def test_sizes_are_samples_or_shares() -> None:
    assert growing.sizes(SPEC) == [20, 90, 900]


def test_equals_the_sweep(found: dict[str, Any], tmp_path: Path) -> None:
    variant = growing.variants(SPEC)[1]
    (row,) = sweep.run(variant.sweep, folder=tmp_path).result["rows"]
    own = found["rows"][1]
    assert own["train_samples"] == 90
    for name in ("val_accuracy", "test_accuracy"):
        assert own[name].mean == pytest.approx(row[name].mean, abs=1e-12)


def test_gap_is_training_minus_validation(found: dict[str, Any]) -> None:
    for row in found["rows"]:
        expected = row["train_accuracy"].mean - row["val_accuracy"].mean
        assert row["gap"].mean == pytest.approx(expected)
    before, last = found["rows"][-2:]
    gained = last["val_accuracy"].mean - before["val_accuracy"].mean
    assert found["data_gain"].mean == pytest.approx(gained)
    (wide,) = found["wider"]
    gained = wide["val_accuracy"].mean - last["val_accuracy"].mean
    assert found["width_gain"].mean == pytest.approx(gained)
    assert found["trainings"] == 12


def test_power_law_is_found() -> None:
    rows = [
        {"train_samples": n, "val_accuracy": Interval(*[1 - 2 * n**-0.5] * 3)}
        for n in (16, 64, 256)
    ]
    law = power_law(rows)
    assert law is not None
    assert (law["a"], law["b"], law["r_squared"]) == pytest.approx((2, 0.5, 1))
    assert law["error_at_double"] == pytest.approx(2 * 512**-0.5)
    assert power_law(rows[:2]) is None


def case(train: float, data: tuple[float, float], width: tuple[float, float]) -> str:
    def gain(mean: float, half: float) -> Interval:
        return Interval(mean, mean - half, mean + half)

    row = {
        "label": "100",
        "runs": 5,
        "train_samples": 100,
        **{name: gain(0.9, 0.01) for name in ("val_accuracy", "gap")},
        "train_accuracy": gain(train, 0.01),
    }
    found = {
        "rows": [row, row],
        "data_gain": gain(*data),
        "width_gain": gain(*width),
        "wider_factor": 4,
        "power_law": None,
    }
    said = reading(found)
    assert np.size(said["reading"]) == 4
    return str(said["advice"])


def test_advice_follows_the_gains() -> None:
    assert case(1.0, (0.03, 0.01), (0.01, 0.02)) == "data"
    assert case(0.5, (0.01, 0.005), (0.2, 0.05)) == "capacity"
    assert case(0.5, (0.01, 0.02), (0.2, 0.05)) == "capacity"
    assert case(0.5, (0.01, 0.02), (0.01, 0.02)) == "neither"


def test_command(run_cli: Run, tmp_path: Path) -> None:
    line = "learning-curve --data blobs --steps 10 --seeds 2 --rates 1 --sizes 30,0.5"
    done = run_cli(*line.split(), "--plot", str(tmp_path / "own.svg"))
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    for words in ("450, width 128", "a gap of", "validation gained"):
        assert words in done.out
    rows = json.loads(run_cli(*line.split(), "--json", "-").out)["result"]["rows"]
    assert [row["label"] for row in rows] == ["30", "450"]
    for row in rows:
        assert row["train_accuracy"]["low"] <= row["train_accuracy"]["mean"]


WRONG = [
    ("--sizes 5000,30", "--sizes: got 5000; the training split has 1078"),
    ("--sizes 30", "--sizes: got one; accepted: two or more, joined by commas"),
    ("--sizes 2.5,30", "--sizes: got 2.5; accepted: whole numbers, or shares up to 1"),
    ("--sizes 0,30", "--sizes: got 0; accepted: a number above 0"),
    ("--wider 1", "--wider: got 1; accepted: from 2 to 1000"),
    ("--widths 8-4", "--widths: learning-curve also trains a wider network; give --width"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(run_cli: Run, line: str, message: str) -> None:
    done = run_cli("learning-curve", *line.split())
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")
