"""`nndiag sweep` and `nndiag runs` from the command line: output, JSON, files, wrong input."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SMALL = ["--depth", "2", "--width", "8", "--steps", "20", "--seeds", "2"]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDIAG_HOME", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


def test_what_is_printed(run_cli: Run) -> None:
    done = run_cli("sweep", "act=relu,tanh", "lr=0.03,0.3", *SMALL)
    assert done.code == 0, done.err
    for words in ("4 configurations, 2 seeds", "8 of 8 trainings", "val % by act", "Best"):
        assert words in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_json_has_rows_with_intervals(run_cli: Run) -> None:
    done = run_cli("sweep", "act=relu,tanh", "lr=0.03,0.3", *SMALL, "--seed=3", "--json=-")
    envelope = json.loads(done.out)
    assert envelope["command"] == "sweep"
    assert envelope["spec"]["seed"] == 3
    assert envelope["environment"]["executor"] == "local"
    for row in envelope["result"]["rows"]:
        assert {"label", "act", "lr", "diverged", "seconds"} <= row.keys()
        for metric in ("val_accuracy", "test_loss"):
            span = row[metric]
            assert span["low"] <= span["mean"] <= span["high"]


def test_settings_are_options_or_axes_alike(run_cli: Run) -> None:
    as_option = run_cli("sweep", "lr=0.03,0.3", *SMALL, "--act=tanh", "--name=a", "--json=-")
    as_axis = run_cli("sweep", "lr=0.03,0.3", *SMALL, "act=tanh", "--name=b", "--json=-")
    rows = [json.loads(done.out)["result"]["rows"] for done in (as_option, as_axis)]
    for first, second in zip(*rows, strict=True):
        assert first["configuration"] == second["configuration"]
        assert first["val_loss"] == second["val_loss"]


def test_the_store_is_listed_shown_compared_and_exported(run_cli: Run, tmp_path: Path) -> None:
    assert "No sweep is stored" in run_cli("runs", "list").out
    run_cli("sweep", "lr=0.03,0.3", *SMALL, "--name=first")
    run_cli("sweep", "lr=0.3,1", *SMALL, "--name=second")
    rows = json.loads(run_cli("runs", "list", "--json=-").out)["result"]["rows"]
    assert [(row["label"], row["done"], row["complete"]) for row in rows] == [
        ("second", 4, True),
        ("first", 4, True),
    ]
    assert "4 of 4 trainings" in run_cli("runs", "show", "first").out
    found = json.loads(run_cli("runs", "compare", "first", "second", "--json=-").out)["result"]
    assert [row["label"] for row in found["rows"]] == ["first", "second"]
    (pair,) = found["pairs"]
    assert (pair["shared"], pair["difference"]["mean"], pair["p_value"]) == (2, 0, 1)
    for suffix in ("csv", "json"):
        path = tmp_path / f"runs.{suffix}"
        done = run_cli("runs", "export", "first", str(path))
        assert (done.code, done.err.strip()) == (0, f"4 runs: {path}")
    with (tmp_path / "runs.csv").open(newline="") as file:
        as_csv = list(csv.DictReader(file))
    as_json = json.loads((tmp_path / "runs.json").read_text())
    for text, value in zip(as_csv, as_json, strict=True):
        assert (text["lr"], text["seed"]) == (str(value["lr"]), str(value["seed"]))
        assert float(text["val_loss"]) == value["val_loss"]
        assert (text["clip_norm"], value["clip_norm"]) == ("", None)


def test_a_sweep_is_resumed_by_its_name(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from nndiag.experiments import sweep

    def interrupted(groups: Any, *args: Any, **facts: Any) -> Iterator[Any]:
        yield from stream(groups[:1], *args, **facts)
        raise KeyboardInterrupt

    stream = sweep.stream
    with monkeypatch.context() as patched:
        patched.setattr(sweep, "stream", interrupted)
        done = run_cli("sweep", "depth=2,3", *SMALL[2:], "--name=my own")
    assert done.code == 130
    assert "2 of 4 trainings" in done.out
    assert "Interrupted: only what was complete is shown." in done.out
    assert done.err == "to go on: nndiag sweep --resume 'my own'\n"
    done = run_cli("sweep", "--resume", "my own")
    assert done.code == 0
    assert "4 of 4 trainings, 2 of them from the store" in done.out


WRONG = {
    "sweep": "sweep: got no axis; accepted: AXIS=VALUES, such as lr=log:1e-4:1:9",
    "sweep lr": "'lr': got no values; accepted: AXIS=VALUES, such as lr=0.01,0.1",
    "sweep lrr=1,2": "axis: unknown name 'lrr'; did you mean lr?",
    "sweep lr=1,2 --lr 1": "lr: given as an axis and as an option; leave one out",
    "sweep lr=1,2 --depth 0": "--depth: got '0'; accepted: a whole number from 1 to 10000",
    "sweep act=relu,tahn": "act: unknown name 'tahn'; did you mean tanh? (or package.module:Name)",
    "sweep lr=1,2 --metric accuracy": "--metric: unknown name 'accuracy'; did you mean "
    "val_accuracy?",
    "sweep lr=1,2 --cv 1": "--cv: got 1; accepted: from 2 to 1000",
    "sweep lr=1,2 --executor procesess": "--executor: unknown name 'procesess'; did you mean "
    "processes?",
    "sweep lr=1,2 --data digit": "--data: unknown name 'digit'; did you mean digits? (or the "
    "path of a .csv or .npz file)",
    "sweep --resume first --seeds 2": "--seeds: has no meaning with --resume, which knows the "
    "whole sweep",
    "runs compare first": "runs compare: got one sweep; accepted: two or more names",
    "runs export first runs.txt": "PATH: got 'runs.txt'; accepted: a file name that ends in "
    ".csv, .json",
    "runs lst": "No such command 'lst'. Did you mean 'list'?",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_input_is_one_sentence(run_cli: Run, command: str) -> None:
    done = run_cli(*shlex.split(command))
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {WRONG[command]}\n")


def test_unknown_sweeps(run_cli: Run, tmp_path: Path) -> None:
    empty = (
        f"nndiag: no sweep is stored in {tmp_path / 'store'}; NNDIAG_HOME names another folder\n"
    )
    for command in ("sweep --resume first", "runs show first", "runs export first a.csv"):
        done = run_cli(*command.split())
        assert (done.code, done.err) == (2, empty)
    run_cli("sweep", "lr=0.03,0.3", *SMALL, "--name=first")
    assert run_cli("runs", "show", "frst").err == (
        "nndiag: sweep: unknown name 'frst'; did you mean first?\n"
    )


def test_reading_the_store_needs_no_torch(python: Callable[..., Any], run_cli: Run) -> None:
    run_cli("sweep", "lr=0.03,0.3", *SMALL, "--name=first")
    code = """
import sys
from nndiag.cli.app import main
for command in (["runs", "list"], ["runs", "show", "first"], ["sweep", "--help"],
                ["runs", "export", "first", "out.csv"], ["sweep", "act=rleu"]):
    main(command)
print({"torch", "matplotlib", "scipy", "distributed"} & set(sys.modules))
"""
    done = python(code)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


@pytest.mark.parametrize("language", ["en", "fr"])
def test_help_names_every_setting(run_cli: Run, language: str) -> None:
    from nndiag.schema.axes import KINDS

    shown = run_cli("sweep", "--help", "--lang", language).out
    for name in KINDS:
        assert f"--{name.replace('_', '-')} " in shown
