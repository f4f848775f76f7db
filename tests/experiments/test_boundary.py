"""How a network bends the plane: numbers, pictures and films."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nndiag.experiments import boundary
from nndiag.report import animation
from nndiag.schema.result import Result
from nndiag.schema.spec_boundary import BoundarySpec

Run = Callable[..., Any]


#: Circles of radius 1/2 and 1: a line that touches the inner one cuts a third off the outer.
_BEST_LINE = 2 / 3


@pytest.fixture(scope="module")
def circles() -> Result:
    spec = BoundarySpec(data="circles", depth=3, width=6, steps=300, seeds=2, frames=4)
    return boundary.run(spec)


def test_depth_without_activations_is_one_layer(circles: Result) -> None:
    activated, linear, alone = circles.result["rows"]
    assert activated["test_accuracy"].low > 0.9
    for row in (linear, alone):
        assert row["test_accuracy"].mean < _BEST_LINE + 0.05, "no line separates circles"
        assert row["not_affine"].high < 1e-6
    assert activated["not_affine"].mean > 0.5
    affine = circles.result["affine"]
    assert affine["deviation"] < 1e-5
    # The regions drawn are those of that one map.
    drawn = circles.result["drawn"]
    grid = np.stack(np.meshgrid(drawn["x"], drawn["y"]), axis=-1)
    scores = grid @ np.array(affine["weight"]).T + np.array(affine["bias"])
    expected = 1 / (1 + np.exp(scores[..., 0] - scores[..., 1]))
    plane = np.array(drawn["kinds"]["linear"]["planes"][-1])
    np.testing.assert_allclose(plane, expected, atol=2e-3)


def test_straight_cuts_get_better_only_with_activations(circles: Result) -> None:
    layers = circles.result["layers"]
    assert [layer["name"] for layer in layers] == ["input", "fc1", "fc2", "fc3"]
    assert layers[0]["activated_straight"] == layers[0]["linear_straight"]
    assert layers[-2]["activated_straight"].mean > 0.9
    assert max(layer["linear_straight"].mean for layer in layers) < _BEST_LINE + 0.05


def test_stages_end_with_the_row(circles: Result) -> None:
    stages = circles.result["stages"]
    assert [stage["step"] for stage in stages] == [0, 15, 300]
    row = circles.result["rows"][0]
    assert stages[0]["activated_accuracy"] == row["accuracy_before"]
    last = stages[-1]["activated_accuracy"]
    assert last.mean == pytest.approx(row["test_accuracy"].mean, abs=1e-6)


def test_films(circles: Result, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    assert [frame["step"] for frame in circles.result["frames"]] == [0, 33, 133, 300]
    with image.open(animation.write(circles, tmp_path / "own.gif")) as film:
        assert film.n_frames >= 4
        first = np.asarray(film.convert("RGB")).copy()
        film.seek(film.n_frames - 1)
        assert (np.asarray(film.convert("RGB")) != first).any()
    page = animation.write(circles, tmp_path / "own.html").read_text()
    for words in ('"name":"133"', "sliders", "the last hidden layer"):
        assert words in page
    assert "https://cdn" not in page.split("<script", 1)[0]


def test_four_classes_and_width_two(run_cli: Run, tmp_path: Path) -> None:
    line = "boundary --data blobs --depth 2 --width 2 --act relu --steps 20 --seeds 2"
    path = tmp_path / "own.svg"
    done = run_cli(*line.split(), "--plot", str(path))
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    assert "+ north-east" in done.out
    envelope = json.loads(run_cli(*line.split(), "--json", "-").out)
    assert envelope["result"]["frames"] is None
    for row in envelope["result"]["rows"]:
        number = row["test_accuracy"]
        assert number["low"] <= number["mean"] <= number["high"]


WRONG = [
    ("--data moon", "--data: unknown name 'moon'; did you mean moons?"),
    ("--depth 1", "--depth: got 1; accepted: from 2 to 100"),
    ("--width 1", "--width: got 1; accepted: from 2 to 1000"),
    ("--act tnh", "--act: unknown name 'tnh'; did you mean tanh? (or package.module:Name)"),
    ("--animate a.gif --frames 0", "--frames: got 0; accepted: from 2 to 500"),
    ("--animate a.png", "--animate: got 'a.png'; accepted: a file name that ends in .gif, .html"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(run_cli: Run, line: str, message: str) -> None:
    done = run_cli("boundary", *line.split())
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")
