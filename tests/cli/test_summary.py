"""`nndiag summary` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_vgg16(run_cli: Run) -> None:
    done = run_cli("summary", "vgg16")
    assert done.code == 0, done.err
    assert "138,357,544" in done.out
    assert "30.9 GFLOPs per" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_json(run_cli: Run) -> None:
    done = run_cli("summary", "VGG-16", "--json", "-")
    envelope = json.loads(done.out)
    assert (envelope["command"], envelope["result"]["model"]) == ("summary", "vgg16")
    assert envelope["result"]["totals"]["parameters"] == 138_357_544
    row = next(row for row in envelope["result"]["rows"] if row["label"] == "classifier.6")
    assert row["output_shape"] == [1, 1000]
    assert row["parameters"] == row["trainable_parameters"] == 4_097_000
    assert row["flops"] == 2 * 4_096_000


def test_options(run_cli: Run) -> None:
    done = run_cli(
        "summary", "resnet18", "--input-size", "64", "--classes", "5", "--batch-size", "4",
        "--depth-limit", "1",
    )  # fmt: skip
    assert "4×3×64×64 → 4×5" in done.out
    assert "layer1.0" not in done.out
    done = run_cli("summary", "mlp", "--depth", "4", "--width", "7", "--norm", "batch")
    assert "fc4" in done.out
    assert "BatchNorm1d" in done.out


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_figure(run_cli: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    assert run_cli("summary", "small_cnn", "--plot", str(path)).code == 0
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg61"], "MODEL: unknown name 'vgg61'; did you mean vgg19?"),
        (["no_module:Net"], "MODEL: no module named 'no_module'"),
        (["vgg16", "--input-size", "big"], "--input-size: got 'big'; accepted: the sizes of one"),
        (["vgg16", "--input-size", "8"], "--input-size: vgg16 does not take inputs of 3×8×8: "),
        (["inception_v3", "--input-size", "0"], "--input-size: got 0; accepted: from 1 to 65536"),
        (["vgg16", "--batch-size", "0"], "--batch-size: got 0"),
        (["vgg16", "--depth", "3"], "--depth: vgg16 has its own; accepted with mlp, cnn, rnn,"),
        (["torch.nn:ReLU", "--classes", "3"], "--classes: got 3, but torch.nn:ReLU is called"),
        (["torch.nn:Linear"], "MODEL: calling 'torch.nn:Linear' without arguments failed with"),
        (["mlp", "--act", "rellu"], "--act: unknown name 'rellu'; did you mean relu"),
    ],
)
def test_wrong_input(run_cli: Run, arguments: list[str], message: str) -> None:
    done = run_cli("summary", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"nndiag: {message}")
    assert done.err.count("\n") == 1


def test_a_usage_error_loads_no_torch(python: Run) -> None:
    code = (
        "import sys; from nndiag.cli.app import main; main(['summary', 'vgg61']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert python(code).returncode == 0
