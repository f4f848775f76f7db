"""The house rules that a program can check."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "nndiag").rglob("*.py"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node


def test_imports_point_one_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_stay_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert max(lengths.values()) <= 600, max(lengths, key=lengths.__getitem__)
    assert statistics.median(lengths.values()) <= 150


def test_functions_stay_small() -> None:
    lengths = {}
    for path in SOURCES:
        for node in functions(ast.parse(path.read_text())):
            lengths[f"{path.name}:{node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    too_long = {name for name, length in lengths.items() if length > 80}
    # A command's signature is its list of options with their help.
    assert too_long <= {"gradients.py:gradients", "app.py:build"}
    assert statistics.median(lengths.values()) <= 14


def test_no_drawers() -> None:
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    assert not names & {"utils", "helpers", "common", "misc"}


def test_public_functions_are_typed() -> None:
    untyped = [
        f"{path.name}:{node.name}"
        for path in SOURCES
        for node in functions(ast.parse(path.read_text()))
        if not node.name.startswith("_")
        and (
            node.returns is None
            or any(
                argument.annotation is None
                for argument in [*node.args.args, *node.args.kwonlyargs]
                if argument.arg not in ("self", "cls")
            )
        )
    ]
    assert untyped == []


COMMANDS_WITHOUT_TORCH = [
    ["--help"],
    ["--version"],
    ["gradients", "--help"],
    ["gradients", "--act", "sigmod"],
    ["gradients", "--init", "he_norml"],
    ["gradients", "--depth", "0"],
    ["gradients", "--depth", "many"],
    ["gradients", "--data", "mnits"],
    ["gradients", "--optimizer", "adm", "--train", "3"],
    ["gradients", "--lr", "0.1"],
    ["gradients", "--plot", "out.gif"],
    ["gradiens"],
]


@pytest.mark.parametrize("arguments", COMMANDS_WITHOUT_TORCH, ids=" ".join)
def test_answers_without_torch(
    python: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str]
) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'plotly'} & set(sys.modules)\n"
        "sys.exit(99 if heavy else code)",
        *arguments,
    )
    asks = {"--help", "--version"} & set(arguments)
    assert done.returncode == (0 if asks else 2), done.stderr
    if not asks:
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nndiag", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("nndiag ")
