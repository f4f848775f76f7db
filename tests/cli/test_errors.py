"""Every wrong input: one sentence, the option, what is accepted, exit code 2."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunCli = Callable[..., Any]

MESSAGES = {
    "gradients --act sigmod": (
        "--act: unknown name 'sigmod'; did you mean sigmoid? (or package.module:Name)"
    ),
    "gradients --init he_norml": "--init: unknown name 'he_norml'; did you mean he_normal?",
    "gradients --net mpl": "--net: unknown name 'mpl'; did you mean mlp?",
    "gradients --norm bach": "--norm: unknown name 'bach'; did you mean batch?",
    "gradients --depth 0": "--depth: got 0; accepted: from 1 to 10000",
    "gradients --depth 10001": "--depth: got 10001; accepted: from 1 to 10000",
    "gradients --dropout 1": "--dropout: got 1; accepted: at least 0 and less than 1",
    "gradients --seeds 0": "--seeds: got 0; accepted: at least 1",
    "gradients --seeds x": "Invalid value for '--seeds': a whole number is needed",
    "gradients --seed -1": "--seed: got -1; accepted: from 0 to 9223372036854775807",
    "descent --batch-sizes 0,8": (
        "--batch-sizes: got '0,8'; accepted: sizes from 1, or all, joined by commas"
    ),
    "descent --batch-sizes 8,300": "--batch-sizes: got 300; accepted: from 1 to 256",
    "gradients --device gpu": "--device: unknown name 'gpu'; accepted: auto, cpu, cuda, mps",
    "gradients --lr 0.1": "--lr: needs --train STEPS, as nothing is trained without it",
    "gradients --train 5 --lr -1": "--lr: got -1; accepted: a number above 0",
    "gradients --train 5 --optimizer adm": (
        "--optimizer: unknown name 'adm'; did you mean adam? (or package.module:Name)"
    ),
    "gradients --net lstm --act relu": (
        "--act: got relu, but the gates of lstm are sigmoid and tanh; leave it out"
    ),
    "gradients --lang de": "--lang: unknown name 'de'; accepted: en, fr",
    "gradients --fail-on info": ("--fail-on: unknown name 'info'; accepted: warning, critical"),
    "compare-optimizers --optimizers sgd,adm": (
        "--optimizers: unknown name 'adm'; did you mean adam? (or package.module:Name)"
    ),
    "compare-optimizers --tune all": "--tune: unknown name 'all'; accepted: lr, full",
    "compare-fixes --problem vanish": ("--problem: unknown name 'vanish'; did you mean vanishing?"),
    "compare-fixes --problem vanishing --act relu": (
        "--problem: names a whole network; leave out --net, --depth, --width, --act, --init and "
        "--norm, or leave out --problem"
    ),
}


@pytest.mark.parametrize("arguments", MESSAGES)
def test_message(run_cli: RunCli, arguments: str) -> None:
    done = run_cli(*shlex.split(arguments))
    assert done.err == f"nndiag: {MESSAGES[arguments]}\n"
    assert (done.code, done.out) == (2, "")


def test_outputs_are_checked_before_the_run(run_cli: RunCli, tmp_path: Path) -> None:
    lost = tmp_path / "no" / "where.json"
    done = run_cli("gradients", "--json", str(lost))
    assert done.code == 2
    assert done.err == f"nndiag: --json: the folder {lost.parent} does not exist\n"
    done = run_cli("gradients", "--json", str(tmp_path))
    assert done.err == f"nndiag: --json: {tmp_path} is a folder\n"


def test_ctrl_c_keeps_the_training_so_far(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    from nndiag.training import short

    real, taken = short.take_step, 0

    def step(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == 8:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(short, "take_step", step)
    done = run_cli("gradients", "--depth", "3", "--act", "relu", "--train", "100", "--json", "-")
    assert done.code == 130
    assert '"interrupted": true' in done.out


def test_ctrl_c_before_anything_is_complete_is_said(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nndiag.experiments import boundary

    def interrupted(*_spec: Any, **_watch: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(boundary, "run", interrupted)
    done = run_cli("boundary")
    assert (done.code, done.out, done.err) == (130, "", "nndiag: interrupted\n")


def test_a_closed_pipe_is_no_error(python: Callable[..., Any]) -> None:
    done = python(
        "import subprocess, sys\n"
        "first = subprocess.Popen([sys.executable, '-m', 'nndiag', 'gradients', '--depth', '3',"
        " '--seeds', '1'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "first.stdout.close()\n"
        "print(first.stderr.read().decode())\n"
        "sys.exit(first.wait())"
    )
    assert "Traceback" not in done.stdout + done.stderr


def test_help_has_no_pictures() -> None:
    """Rich takes `step:100:0.5` in a help text for the code of an emoji."""
    from rich.emoji import Emoji
    from typer.core import TyperGroup

    from nndiag.cli.app import build

    for command in build().commands.values():
        assert isinstance(command, TyperGroup) or command.params, command.name
        for option in command.params:
            said = getattr(option, "help", None) or ""
            assert Emoji.replace(said) == said, (command.name, option.name)
