"""The presets from the command line: output, JSON, figures, wrong input, Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nndiag.training.comparing import Trainer

Run = Callable[..., Any]
TINY = ["--steps", "20", "--width", "8", "--rates", "2", "--seeds", "2"]
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "compare-schedules": (
        ["--schedules", "cosine,plateau", *TINY],
        ["Schedules, each at its own best rate", "First without decay", "Validation accuracy (%)"],
    ),
    "compare-batch-sizes": (
        ["--batch-sizes", "8,64,full", *TINY],
        ["Batch sizes, each at its own best rate", "iterations an epoch", "Linear scaling"],
    ),
    "compare-regularizers": (
        ["--regularizers", "l1,l2", "--train-samples", "50", *TINY],
        ["Regularisers, each at its own best strength", "Inverted dropout", "Training loss"],
    ),
    "compare-inits": (
        ["--inits", "zeros,he_normal", "--depth", "4", *TINY],
        ["Initialisations, each at its own best rate", "stay alike", "Gradient by layer"],
    ),
    "compare-activations": (
        ["--activations", "tanh,relu", *TINY],
        ["Activations, each with its own initialisation", "Saturated (slope below 5 %"],
    ),
    "compare-shapes": (
        [
            *("--shapes", "constant:2,constant:3,pyramid:3,512-256-128-64", "--parameters", "2000"),
            *("--train-samples", "50", *TINY[:2], *TINY[4:]),
        ],
        [
            "Shapes, each at its own best rate",
            "Loss of 512-256-128-64",
            "Depth against width",
            "Against constant width at the same depth: pyramid:3",
            "512-256-128-64-10",
        ],
    ),
    "lr-find": (
        ["--steps", "20", "--width", "8", "--rates", "3", "--seeds", "2", "--range-steps", "60"],
        ["Suggested:", "Too small, good, too large", "Check: of 3 fixed rates"],
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_printed(run_cli: Run, tmp_path: Path, command: str) -> None:
    arguments, words = COMMANDS[command]
    files = [tmp_path / "own.json", tmp_path / "own.svg"]
    done = run_cli(command, *arguments, "--json", str(files[0]), "--plot", str(files[1]))
    assert done.code == 0, done.err
    for text in words:
        assert text in " ".join(done.out.split()), text
    assert max(len(line) for line in done.out.splitlines()) <= 80
    assert files[1].stat().st_size > 10_000
    envelope = json.loads(files[0].read_text())
    assert envelope["command"] == command
    for row in envelope["result"]["rows"]:
        assert {"label", "diverged", "seconds"} <= row.keys()
        assert row["test_accuracy"].keys() >= {"mean", "low", "high"}


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_keeps_what_is_complete(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    real, calls = Trainer.train, 0

    def train(self: Trainer, variant: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(self, variant)

    monkeypatch.setattr(Trainer, "train", train)
    done = run_cli(command, *COMMANDS[command][0])
    assert done.code == 130
    assert "Interrupted: only what was complete is shown." in done.out


WRONG = [
    (
        "compare-schedules --schedules cosin",
        "schedule: unknown name 'cosin'; did you mean cosine?",
    ),
    (
        "compare-batch-sizes --batch-sizes 8,x",
        "--batch-sizes: got 'x'; accepted: whole numbers or full",
    ),
    (
        "compare-batch-sizes --batch-size 8",
        "No such option: --batch-size (Possible options: --batch-sizes)",
    ),
    (
        "compare-regularizers --regularizers l3",
        "--regularizers: unknown name 'l3'; accepted: l1, l2, weight_decay, dropout, batch_norm, "
        "noise, augment, smaller, early_stopping, cnn",
    ),
    ("lr-find --high 1e-5", "--high: got 1e-05; accepted: at least 10 times --low, 0.0001"),
    ("lr-find --lr 0.1", "No such option: --lr (Possible options: --l1, --l2, --low)"),
    (
        "compare-inits --inits he_norml",
        "--init: unknown name 'he_norml'; did you mean he_normal?",
    ),
    (
        "compare-activations --activations ,",
        "--activations: got nothing; accepted: names joined by commas",
    ),
    (
        "compare-shapes --shapes pyramide:5",
        "--shapes: unknown name 'pyramide'; did you mean pyramid?",
    ),
    (
        "compare-shapes --shapes pyramid:1",
        "--shapes: got 'pyramid:1'; accepted: pyramid:DEPTH with a depth from 2 to 1000, or the "
        "units of each hidden layer, such as 512-256-128-64",
    ),
    (
        "compare-shapes --shapes constant:17 --parameters 50",
        "--parameters: got 50; constant:17 has at least 115",
    ),
    (
        "compare-shapes --net rnn",
        "--net: unknown name 'rnn'; accepted: mlp, cnn",
    ),
    ("compare-schedules --seeds 1", "--seeds: got 1; accepted: from 2 to 1000"),
    (
        "compare-schedules --optimizer adm",
        "optimizer: unknown name 'adm'; did you mean adam? (or package.module:Name)",
    ),
    (
        "compare-schedules --widths 5-x",
        "widths: got '5-x'; accepted: the units of each hidden layer, such as 512-256-128-64",
    ),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(run_cli: Run, line: str, message: str) -> None:
    done = run_cli(*line.split())
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")


@pytest.mark.parametrize("line", [line for line, _message in WRONG[:2]])
def test_wrong_input_is_answered_without_torch(python: Run, line: str) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "sys.exit(99 if 'torch' in sys.modules else code)",
        *line.split(),
    )
    assert done.returncode == 2, done.stderr


ODD = [
    "compare-inits --net lstm --depth 2 --inits torch,orthogonal",
    "compare-regularizers --data moons --regularizers l1",
    "compare-batch-sizes --batch-sizes 9,full --norm layer --optimizer gd",
    "compare-schedules --optimizer rprop --schedules plateau",
    "compare-activations --activations torch.nn:Hardswish --lr 0.01",
]


@pytest.mark.slow
@pytest.mark.parametrize("line", ODD)
def test_odd_but_right(run_cli: Run, tmp_path: Path, line: str) -> None:
    for suffix in ("svg", "html"):
        done = run_cli(*line.split(), *TINY, "--plot", str(tmp_path / f"own.{suffix}"))
        assert done.code == 0, done.err


def test_batch_norm_needs_more_than_one_sample(run_cli: Run) -> None:
    done = run_cli("compare-batch-sizes", "--batch-sizes", "3", "--norm", "batch", *TINY)
    assert done.code == 2
    assert done.err == (
        "nndiag: batch_size: got 3, which leaves a batch of 1 of 1078 samples; BatchNorm needs 2 "
        "at least\n"
    )
