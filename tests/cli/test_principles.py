"""The first principles from the command line: output, JSON, figures, wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
COMMANDS = {
    "perceptron": ["0.00091", "0.95257", "no line separates it", "h1 and h2"],
    "ewma": ["noise left (%)", "Adam's bias correction", "beta 0.98"],
    "backprop": ["dL/dw11 = (a - y) * phi'(s) * v1 * phi'(z1) * x1", "0.25^10", "9.537e-07"],
    "losses": ["2 (p - y) p (1 - p)", "8/27", "mse, best rate"],
    "descent": ["epochs to 1 %", "S^2 / B (1 - B / N)", "gradient noise, minimum"],
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
    numbers = [value for row in envelope["result"]["rows"] for value in row.values()]
    spans = [value for value in numbers if isinstance(value, dict) and "low" in value]
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


ODD = [
    ["perceptron", "--weights", "1,2,3", "--at", "1,0,0"],
    ["perceptron", "--weights", "0,0"],
    ["perceptron", "--weights", "2", "--act", "step", "--learn", "0000"],
    ["perceptron", "--learn", "", "--act", "relu"],
    ["ewma", "--values", "1,1,1", "--betas", "0"],
    ["backprop", "--depth", "1", "--weights", "0"],
    ["backprop", "--depth", "300", "--act", "relu"],
    ["losses", "--start", "-30", "--steps", "1"],
    ["losses", "--start", "0", "--lr", "50"],
    ["descent", "--lr", "2"],
    ["descent", "--lr", "1000", "--batch-sizes", "3"],
    ["descent", "--data", "digits", "--model", "logistic", "--batch-sizes", "all"],
]


@pytest.mark.parametrize("arguments", ODD, ids=" ".join)
def test_odd_but_right(run_cli: Run, tmp_path: Path, arguments: list[str]) -> None:
    for suffix in ("svg", "html"):
        done = run_cli(*arguments, "--seeds", "2", "--plot", str(tmp_path / f"own.{suffix}"))
        assert done.code == 0, done.err
    done = run_cli(*arguments, "--seeds", "2", "--json", "-")
    assert json.loads(done.out)["result"]["reading"] is not None


def test_own_series(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("day,load\n1,3\n2,5\n3,4\n")
    done = run_cli("ewma", "--values", str(path), "--column", "load", "--json", "-")
    assert json.loads(done.out)["result"]["series"] == [3, 5, 4]


WRONG = [
    ("perceptron --weights 1,x", "--weights: got '1,x'; accepted: numbers joined by commas"),
    ("perceptron --at 1", "--at: got 1 numbers (1); accepted: 2, as in --weights"),
    ("perceptron --bias nan", "--bias: got nan; accepted: finite numbers"),
    (
        "perceptron --learn xr",
        "--learn: unknown name 'xr'; did you mean xor? (or four digits 0 and 1, such as 0110)",
    ),
    (
        "perceptron --learn 011",
        "--learn: got '011'; accepted: four digits 0 and 1, such as 0110",
    ),
    ("perceptron --seeds 1", "--seeds: got 1; accepted: from 2 to 1000"),
    ("ewma --betas 1", "--betas: got 1; accepted: from 0 to 0.999"),
    ("ewma --values 3", "--values: got 1 number; accepted: at least 2"),
    ("ewma --values 3,inf", "--values: got inf; accepted: finite numbers"),
    ("ewma --column a", "--column: needs --values with a CSV file"),
    ("backprop --depth 0", "--depth: got 0; accepted: from 1 to 1000"),
    ("backprop --weights 1,2", "--weights: got 2 numbers; accepted: 1, or one a unit (10)"),
    (
        "backprop --act sigmod",
        "--act: unknown name 'sigmod'; did you mean sigmoid? (or package.module:Name)",
    ),
    ("losses --start 1", "--start: got 1; accepted: from -30 to 0"),
    ("losses --lr 0", "--lr: got 0; accepted: a number above 0"),
    ("descent --model linar", "--model: unknown name 'linar'; did you mean linear?"),
    (
        "descent --batch-sizes 1,x",
        "--batch-sizes: got '1,x'; accepted: sizes from 1, or all, joined by commas",
    ),
    ("descent --batch-sizes 300", "--batch-sizes: got 300; accepted: from 1 to 256"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(run_cli: Run, line: str, message: str) -> None:
    done = run_cli(*line.split())
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")


@pytest.mark.parametrize("command", ["perceptron", "ewma", "losses", "descent"])
def test_what_needs_no_torch_does_not_load_it(python: Run, command: str) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "main(sys.argv[1:])\n"
        "sys.exit('torch' in sys.modules)",
        command,
        "--seeds",
        "2",
    )
    assert done.returncode == 0, done.stderr
