"""`--report` on every command, and `nndiag report` on what was stored."""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nndiag.cli import app
from nndiag.store import database

Run = Callable[..., Any]
#: They show nothing that was computed, or are the page themselves.
WITHOUT = {"play", "export"}


def commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        if hasattr(command, "commands"):
            yield from commands(command)
        else:
            yield command


def test_every_command_has_it() -> None:
    without = {
        command.name
        for command in commands(app.build())
        if not any("--report" in option.opts for option in command.params)
    }
    assert without <= WITHOUT


def test_the_page_holds_the_command_and_the_result(run_cli: Run, tmp_path: Path) -> None:
    page, saved = tmp_path / "a page.html", tmp_path / "saved.json"
    arguments = ["ewma", "--seeds", "2", "--json", str(saved), "--report", str(page)]
    done = run_cli(*arguments)
    assert (done.code, done.err) == (0, f"report: {page}\n")
    command = shlex.join(["nndiag", *arguments])
    assert json.loads(saved.read_text())["environment"]["command"] == command
    text = page.read_text(encoding="utf-8")
    assert command.replace("'", "&#39;") in text
    assert "Adam&#39;s bias correction" in text
    assert text.count('class="chart"') == 4


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("out.png", "--report: got 'out.png'; accepted: a file name that ends in .html"),
        ("none/out.html", "--report: the folder none does not exist"),
        ("-", "--report: got '-'; accepted: a file name that ends in .html"),
    ],
)
def test_a_wrong_path_is_said_before_anything_is_computed(
    python: Run, path: str, said: str
) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "code = main(['gradients', '--report', sys.argv[1]])\n"
        "sys.exit(99 if 'torch' in sys.modules else code)",
        path,
    )
    assert (done.returncode, done.stderr) == (2, f"nndiag: {said}\n")


def test_without_plotly_one_line_says_what_to_install(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "plotly" else found(name, *rest),
    )
    done = run_cli("ewma", "--report", str(tmp_path / "out.html"))
    assert (done.code, done.out) == (2, "")
    assert done.err == "nndiag: --report: .html files need plotly; pip install 'nndiag[report]'\n"


@pytest.fixture
def stored(run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two saved results, in which the test stands."""
    monkeypatch.chdir(tmp_path)
    for name, beta in (("short", "0.5"), ("long", "0.98")):
        run_cli("ewma", "--betas", beta, "--seeds", "2", "--json", f"{name}.json")
    return tmp_path


def test_saved_runs_come_to_one_page_without_torch(stored: Path, python: Run) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "sys.exit(99 if {'torch', 'matplotlib'} & set(sys.modules) else code)",
        *("report", "short.json", "long.json", "-o", "both.html"),
    )
    assert (done.returncode, done.stderr) == (0, "report: both.html\n")
    text = (stored / "both.html").read_text(encoding="utf-8")
    assert "Runs compared" in text
    assert "short: beta 0.5" in text
    assert "long: beta 0.98" in text


def test_the_page_goes_to_standard_output(stored: Path, run_cli: Run) -> None:
    done = run_cli("report", "short.json", "-o", "-")
    assert done.out.lstrip().startswith("<!DOCTYPE html>")
    assert done.err == ""
    assert not (stored / "report.html").exists()


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("none.json", "RUN: 'none.json' is no file, nor the name of a sweep in the store .nndiag"),
        ("page.html", "RUN: page.html is no result that a command saved with --json"),
        ("list.json", "RUN: list.json is no result that a command saved with --json"),
        ("newer.json", "RUN: newer.json was written by a newer nndiag; update to read it"),
    ],
)
def test_what_is_no_result_is_said(stored: Path, run_cli: Run, run: str, said: str) -> None:
    (stored / "page.html").write_text("<p>no</p>")
    (stored / "list.json").write_text("[1, 2]")
    (stored / "newer.json").write_text('{"schema": 2}')
    done = run_cli("report", "short.json", run)
    assert (done.code, done.err) == (2, f"nndiag: {said}\n")


def test_a_sweep_of_the_store_by_name(
    run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNDIAG_HOME", str(tmp_path / "home"))
    tiny = ["--depth", "2", "--width", "4", "--steps", "3", "--seeds", "2", "--name", "tiny"]
    assert run_cli("sweep", "act=relu,tanh", *tiny).code == 0
    assert database.exists(database.home())
    done = run_cli("report", "tiny")
    assert (done.code, done.err) == (0, "report: report.html\n")
    assert "act=relu" in (tmp_path / "report.html").read_text(encoding="utf-8")
    done = run_cli("report", "tinny")
    assert done.code == 2
    assert "did you mean tiny?" in done.err
