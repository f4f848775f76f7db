"""bias-variance and split from the command line: output, JSON, figures, wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
COMMANDS = {
    "bias-variance": ["closed form", "underfits", "overfits", "the parts add up"],
    "split": ["training (1,078)", "at random", "chi-square", "No leak seen"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_printed(run_cli: Run, command: str) -> None:
    done = run_cli(command)
    assert done.code == 0, done.err
    for words in COMMANDS[command]:
        assert words in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_json_has_rows_with_intervals(run_cli: Run, command: str) -> None:
    done = run_cli(command, "--json", "-", "--seeds", "3", "--seed", "7")
    envelope = json.loads(done.out)
    assert envelope["command"] == command
    assert (envelope["spec"]["seeds"], envelope["spec"]["seed"]) == (3, 7)
    for row in envelope["result"]["rows"]:
        assert {"label", "diverged", "seconds"} <= row.keys()
        spans = [value for value in row.values() if isinstance(value, dict)]
        assert spans
        for span in spans:
            assert span["low"] <= span["mean"] <= span["high"]


@pytest.mark.parametrize("command", COMMANDS)
def test_figures_are_drawn(run_cli: Run, tmp_path: Path, command: str) -> None:
    for suffix in ("svg", "html"):
        path = tmp_path / f"own.{suffix}"
        done = run_cli(command, "--seeds", "2", "--plot", str(path))
        assert done.code == 0, done.err
        assert path.stat().st_size > 10_000


CLASSES = "bias-variance --task classification --data blobs --samples 30 --sets 2 --seeds 2"
ODD = [
    "bias-variance --values 2",
    "bias-variance --noise 0 --values 0,1",
    "bias-variance --axis width --values 1,2 --sets 2 --seeds 2 --epochs 3",
    f"{CLASSES} --values 1 --epochs 1",
    f"{CLASSES} --axis epochs --values 1,2 --noise 0.2",
    "split --data blobs --seeds 2",
    "split --fractions 0.9,0.1 --seeds 2",
]


@pytest.mark.parametrize("line", ODD)
def test_odd_but_right(run_cli: Run, tmp_path: Path, line: str) -> None:
    done = run_cli(*line.split(), "--plot", str(tmp_path / "own.svg"))
    assert done.code == 0, done.err
    assert max(len(text) for text in done.out.splitlines()) <= 80


def test_many_classes_are_folded(run_cli: Run, tmp_path: Path) -> None:
    rows = [f"{k},{k % 30}" for k in range(600)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["a,b", *rows]))
    done = run_cli("split", "--data", str(path), "--target", "b", "--seeds", "2")
    assert "30 classes" in done.out
    assert "the 12 smallest" in done.out.replace("\n", " ")


WRONG = [
    ("bias-variance --task regresion",
     "--task: unknown name 'regresion'; did you mean regression?"),
    ("bias-variance --axis layers",
     "--axis: unknown name 'layers'; accepted: degree, width, epochs"),
    ("bias-variance --values 1.5", "--values: got '1.5'; accepted: whole numbers joined by commas"),
    ("bias-variance --values 40", "--values: got 40; 30 samples determine a polynomial of at most "
     "degree 29"),
    ("bias-variance --sets 1", "--sets: got 1; accepted: from 2 to 1000"),
    ("bias-variance --data moons",
     "--data: is for --task classification; regression draws its own"),
    ("bias-variance --epochs 3", "--epochs: is for --axis width; give --values with --axis epochs"),
    ("bias-variance --task classification --axis degree",
     "--axis: degree is for --task regression; accepted: width, epochs"),
    ("bias-variance --task classification --noise 1",
     "--noise: got 1; accepted: at least 0 and less than 1"),
    ("split --fractions 0.5,0.6",
     "--fractions: got 0.5,0.6; accepted: two or three shares that add up to 1, such as "
     "0.6,0.2,0.2"),
    ("split --data digts", "--data: unknown name 'digts'; did you mean digits? (or the path of a "
     ".csv or .npz file)"),
    ("split --seeds 1", "--seeds: got 1; accepted: from 2 to 1000"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(run_cli: Run, line: str, message: str) -> None:
    done = run_cli(*line.split())
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")


@pytest.mark.parametrize("line", [line for line, _message in WRONG[:3]])
def test_wrong_input_loads_no_torch(python: Run, line: str) -> None:
    code = (
        "import sys\nfrom nndiag.cli.app import main\n"
        "main(sys.argv[1:])\nsys.exit('torch' in sys.modules)"
    )
    assert python(code, *line.split()).returncode == 0


def test_interrupted_keeps_what_is_complete(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from nndiag.training import resampled_tasks

    answers = resampled_tasks.Regression.answers

    def answer(self: Any, value: int, progress: Any) -> Any:
        if value == 2:
            raise KeyboardInterrupt
        return answers(self, value, progress)

    monkeypatch.setattr(resampled_tasks.Regression, "answers", answer)
    done = run_cli("bias-variance", "--values", "0,1,2,3", "--json", "-")
    assert done.code == 130
    rows = json.loads(done.out)["result"]["rows"]
    assert [row["degree"] for row in rows] == [0, 1]
