"""`nndiag transfer` from the command line, alone and as several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nndiag.training.transfer_bench import TransferBench

Run = Callable[..., Any]
BRIEF = ["transfer", "--weights", "none", "--image-size", "8", "--epochs", "2", "--seeds", "2"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDIAG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_what_is_printed(run_cli: Run) -> None:
    done = run_cli(*BRIEF, "--by-layer", "--labels-per-class", "2,5")
    assert done.code == 0, done.err
    for words in (
        "backbone small_cnn, 8 pixels",
        "weights  random weights (--weights none)",
        "budget   2 epochs, batches of 10, rate 0.002, 2 seeds",
        "strategy    labels start %",
        "Against scratch, in points",
        "By layer: the first blocks frozen",
        "a frozen random backbone reaches",
        "Freeing block by block ends",
        "Validation accuracy (%), 2 labels a class",
        "Test accuracy (%)",
        "features.block3",
    ):
        assert words in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_json_rows(run_cli: Run) -> None:
    done = run_cli(*BRIEF, "--strategies", "scratch,finetune,unfreeze:2", "--json", "-")
    envelope = json.loads(done.out)
    assert (envelope["command"], envelope["environment"]["processes"]) == ("transfer", 1)
    rows = envelope["result"]["rows"]
    assert [row["strategy"] for row in rows] == ["scratch", "finetune", "unfreeze:2", "random"]
    for row in rows:
        for name in ("start", "slope", "test_accuracy"):
            assert row[name]["low"] <= row[name]["mean"] <= row[name]["high"]
        assert isinstance(row["trainable_parameters"], int)
        assert row["seconds"] > 0
    assert rows[1]["gain"].keys() == {"start", "slope", "test_accuracy"}


def test_figures(run_cli: Run, tmp_path: Path) -> None:
    for suffix in ("svg", "html"):
        path = tmp_path / f"transfer.{suffix}"
        brief = [*BRIEF, "--strategies", "finetune", "--labels-per-class", "2,4"]
        done = run_cli(*brief, "--plot", str(path))
        assert done.code == 0, done.err
        assert path.stat().st_size > 10_000


def test_ctrl_c_prints_what_is_complete(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, calls = TransferBench.train, []

    def train(self: Any, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 3:  # in the second strategy
            raise KeyboardInterrupt
        return usual(self, *arguments)

    monkeypatch.setattr(TransferBench, "train", train)
    done = run_cli(*BRIEF)
    assert done.code == 130
    assert "scratch       20" in done.out
    assert "random        20" not in done.out
    assert "Interrupted: only what was complete is shown." in done.out
    calls.extend([None] * 9)
    done = run_cli(*BRIEF)
    assert done.code == 130
    assert "Interrupted" in done.out


WRONG = {
    ("--backbone", "resnet5"): "--backbone: unknown name 'resnet5'; did you mean resnet50?",
    ("--strategies", "finetuned"): "--strategies: unknown name 'finetuned'; did you mean finetune?",
    ("--strategies", "unfreeze:x"): "accepted: unfreeze:N, N at least 1",
    ("--strategies", "frozen:2"): "--strategies: 'frozen:2' takes no number",
    ("--head", "linaer"): "--head: unknown name 'linaer'; did you mean linear?",
    ("--head", "mlp:none"): "accepted: linear, mlp:UNITS, flatten-mlp:UNITS",
    ("--labels-per-class", "ten"): "accepted: whole numbers joined by commas",
    ("--labels-per-class", "0"): "--labels-per-class",
    ("--epochs", "0"): "--epochs",
    ("--weights", "imagnet"): "'imagnet' is neither a file nor one of auto, imagenet",
    ("--weights", "imagenet"): "--weights imagenet: small_cnn has none",
    ("--save", "net.pt"): "accepted: a name that ends in .safetensors",
    ("--kind", "transducive"): "--kind: unknown name 'transducive'; did you mean transductive?",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_sentence(run_cli: Run, arguments: tuple[str, ...]) -> None:
    done = run_cli("transfer", *arguments)
    assert (done.code, done.out) == (2, "")
    assert WRONG[arguments] in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_too_many_labels(run_cli: Run) -> None:
    done = run_cli(*BRIEF, "--labels-per-class", "177")
    assert done.code == 2
    assert "--labels-per-class: class '7' has 179 images; 177 for training" in done.err


def test_help_and_errors_without_torch(python: Run) -> None:
    code = (
        "import sys; from nndiag.cli.app import main; "
        "main(['transfer', '--help']); main(['transfer', '--backbone', 'resnt50']); "
        "main(['transfer', '--backbone', 'list']); print('torch' in sys.modules)"
    )
    done = python(code)
    assert done.stdout.splitlines()[-1] == "False"
    assert "did you mean resnet50?" in done.stderr


def launched(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the same command twice, as `torchrun --nproc-per-node 2` does."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "nndiag"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_processes_are_one(run_cli: Run, tmp_path: Path) -> None:
    """BatchNorm, gradients and losses are those of the joint batch; one process speaks."""
    arguments = [*BRIEF, "--strategies", "scratch,gradual", "--device", "cpu", "--seeds", "1"]
    arguments += ["--labels-per-class", "3", "--batch-size", "5"]  # odd batches: 3 and 2 images
    alone = json.loads(run_cli(*arguments, "--json", "-").out)["result"]
    done = launched(tmp_path, *arguments, "--json", "both.json")
    assert done.returncode == 0, done.stderr
    envelope = json.loads((tmp_path / "both.json").read_text())
    assert envelope["environment"]["processes"] == 2
    both = envelope["result"]
    assert done.stdout.count("Against scratch") == 1
    for one, other in zip(alone["curves"], both["curves"], strict=True):
        losses, joint = ([point["mean"] for point in part["loss"]] for part in (one, other))
        assert joint == pytest.approx(losses, rel=2e-4)
    for one, other in zip(alone["blocks"], both["blocks"], strict=True):
        assert other["moved"]["mean"] == pytest.approx(one["moved"]["mean"], rel=2e-3)
