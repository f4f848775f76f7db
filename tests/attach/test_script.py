"""A script runs as Python itself would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nndiag.attach.script import observe

FAULTS = Path(__file__).parent.parent / "faults"
TRAINING = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
    x = torch.randn(8, 4)
    loss = nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(TRAINING)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "healthy/cnn_stripes.py",
        "healthy/gan_ring.py",
        "healthy/mlp_lbfgs.py",
        "healthy/transformer_majority.py",
        "healthy/vae_bumps.py",
        "healthy/mlp_small_data_early_stop.py",
    ],
)
def test_output_is_that_of_the_plain_run(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    threads = "import torch, runpy, sys; torch.set_num_threads({n}); runpy.run_path({p!r}, {r})"
    code = threads.format(n=torch.get_num_threads(), p=str(FAULTS / name), r="run_name='__main__'")
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    capfd.readouterr()
    outcome = observe(str(FAULTS / name))
    assert outcome.exit_code == 0
    assert capfd.readouterr().out == plain.stdout
    assert outcome.observation.steps > 0


def test_arguments_and_variable_names(script: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (list(sys.argv), list(sys.path), sys.modules["__main__"])
    outcome = observe(str(script), ["3"])
    assert len(capfd.readouterr().out.splitlines()) == 3
    assert outcome.observation.models[0].name == "model"
    assert (list(sys.argv), list(sys.path), sys.modules["__main__"]) == before


def test_steps_end_the_run(script: Path) -> None:
    outcome = observe(str(script), ["50"], steps=7)
    assert (outcome.observation.steps, outcome.observation.stopped) == (7, True)
    assert outcome.exit_code == 0
    assert outcome.observation.models[0].name == "model"


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(4)", 4), ("sys.exit()", 0), ("raise SystemExit('no data')", 1)]
)
def test_exit_codes_pass_through(script: Path, end: str, code: int) -> None:
    script.write_text(TRAINING + end)
    assert observe(str(script)).exit_code == code


def test_an_exception_shows_as_the_scripts_own(
    script: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script.write_text(TRAINING + "model(torch.randn(2, 3))\n")
    outcome = observe(str(script))
    err = capfd.readouterr().err
    assert outcome.exit_code == 1
    assert "RuntimeError" in err
    assert "nndiag" not in err.replace(str(script), "").split("RuntimeError")[0].split("torch")[0]
    error = outcome.observation.error
    assert error is not None
    assert (error.kind, error.step, error.layer) == ("RuntimeError", 5, "0")


def test_ctrl_c_leaves_what_was_seen(script: Path) -> None:
    script.write_text(
        TRAINING.replace(
            "print(step", "step == 3 and (_ for _ in ()).throw(KeyboardInterrupt); print(step"
        )
    )
    outcome = observe(str(script))
    assert outcome.observation.interrupted
    assert outcome.observation.steps == 4


def test_module_by_name(
    script: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(script.parent)
    outcome = observe("train", ["2"], module=True)
    assert outcome.observation.steps == 2


def test_a_script_that_never_trains(script: Path) -> None:
    script.write_text("print('hello')")
    seen = observe(str(script)).observation
    assert (seen.steps, seen.backwards, seen.models) == (0, 0, ())


def test_seeds_are_shifted(script: Path) -> None:
    first = observe(str(script), seed=1).observation.optimizers[0].loss.values
    again = observe(str(script), seed=1).observation.optimizers[0].loss.values
    other = observe(str(script), seed=2).observation.optimizers[0].loss.values
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
