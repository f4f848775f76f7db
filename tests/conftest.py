"""What every test may ask for: a fixed terminal, one torch thread, the command line in-process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import settings

# Two test processes share two cores, and the order of sums must not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("nndiag", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("nndiag")


@pytest.fixture(autouse=True)
def fixed_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make output independent of the terminal and of the reader's language."""
    for name in ("COLUMNS", "FORCE_COLOR", "NNDIAG_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `nndiag ARGS...` in this process."""

    def run(*arguments: str) -> Outcome:
        from nndiag.cli.app import main

        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a snippet in a fresh interpreter, where nothing is imported yet."""

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )

    return run
