"""`nndiag diagnose` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(60):
    x = torch.randn(16, 4)
    loss = nn.functional.cross_entropy(model(x), x[:, :3].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done", *sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def nndiag(*arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nndiag", "diagnose", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **more,  # type: ignore[call-overload]
    )


def test_report_after_the_scripts_own_output(script: Path, tmp_path: Path) -> None:
    saved, sarif = tmp_path / "out.json", tmp_path / "out.sarif"
    done = nndiag("--json", saved, "--sarif", sarif, script, "--epochs", "3", "--json", "x")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "done --epochs 3 --json x"
    assert "loss-output-mismatch" in done.stdout
    assert "remove the softmax" in done.stdout
    data = json.loads(saved.read_text())
    assert data["command"] == "diagnose"
    assert data["result"]["steps"] == 60
    assert data["findings"][0]["symptom"] == "loss-output-mismatch"
    log = json.loads(sarif.read_text())
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error")
        assert result["message"]["text"]
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert "cross_entropy" in SCRIPT.splitlines()[region["startLine"] - 1]


def test_json_alone_on_stdout(script: Path) -> None:
    done = nndiag("--json", "-", "--steps", "25", script)
    data = json.loads(done.stdout)
    assert (data["result"]["steps"], data["result"]["stopped"]) == (25, True)


def test_fail_on(script: Path) -> None:
    assert nndiag("--fail-on", "warning", script).returncode == 3


def test_exit_code_and_traceback_of_the_script(script: Path) -> None:
    script.write_text(SCRIPT + "sys.exit(7)")
    assert nndiag(script).returncode == 7
    script.write_text(SCRIPT + "raise ValueError('no such file')")
    done = nndiag(script)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "experiments" not in done.stderr
    assert "ValueError after 60 steps: no such file" in done.stdout
    script.write_text("raise ValueError('at once')")
    assert "✗ the script ended with an error" in nndiag(script).stdout


def test_a_script_that_never_trains(script: Path) -> None:
    script.write_text("print('hello')")
    done = nndiag(script)
    assert done.returncode == 0
    assert "Nothing was trained" in done.stdout
    assert "✓" not in done.stdout


def test_module(script: Path) -> None:
    done = nndiag("-m", "train", cwd=script.parent)
    assert done.returncode == 0
    assert "loss-output-mismatch" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian.py"], "SCRIPT: unknown name 'trian.py'; did you mean train.py?"),
        (["."], "SCRIPT: . is a folder; accepted: a Python file, or -m MODULE"),
        (["-m", "trian"], "-m: unknown name 'trian'; did you mean train?"),
        (["--steps", "0", "train.py"], "--steps: got 0; accepted: a whole number of at least 1"),
        (
            ["--repeats", "1", "train.py"],
            "--repeats: got 1; accepted: a whole number of at least 3",
        ),
    ],
)
def test_wrong_input_is_one_sentence(script: Path, arguments: list[str], message: str) -> None:
    done = nndiag(*arguments, cwd=script.parent)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"nndiag: {message}\n")


def test_errors_and_help_without_torch(script: Path) -> None:
    code = (
        "import sys; from nndiag.cli.app import main; main(sys.argv[1:]);"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    for arguments in (["diagnose", "--help"], ["diagnose", "none.py"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stderr.splitlines()[-1] == "False"


def test_ctrl_c_gives_the_report_so_far(script: Path) -> None:
    endless = SCRIPT.replace("range(60)", "range(10**9)")
    script.write_text(
        endless.replace(
            "    optimizer.step()\n",
            "    optimizer.step()\n    step == 60 and print('begun', flush=True)\n",
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "nndiag", "diagnose", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, _err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in out
    assert "loss-output-mismatch" in out


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_figure(script: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    assert nndiag("--plot", path, script).returncode == 0
    assert path.stat().st_size > 20_000


@pytest.mark.slow
def test_the_cure_is_proved(script: Path) -> None:
    done = nndiag("--try-fixes", "--json", "-", script, timeout=400)
    data = json.loads(done.stdout)
    rows = {row["label"]: row for row in data["result"]["rows"]}
    assert rows["control"]["verdict"] == "control"
    assert rows["remove_softmax"]["verdict"] == "verified"
    assert rows["remove_softmax"]["runs"] >= 3
    assert data["result"]["snippet"]
