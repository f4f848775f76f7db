"""Short trials of whole scripts in fresh processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from nndiag.remedies.replays import Replays, Run, Script
from nndiag.remedies.run_candidates import Candidate
from nndiag.remedies.trials import ranked, try_candidates
from nndiag.schema.finding import Symptom
from nndiag.schema.result import Interval, plain
from nndiag.schema.trial import Measure, TrialRow, Verdict

TOO_SLOW = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 4)
y = (x[:, 0] > 0).long() + (x[:, 1] * x[:, 2] > 0).long()
model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=2e-4)
print("a word of the script")
for step in range(90):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
torch.save(model.state_dict(), "best.pt")
torch.load("best.pt")
"""


def candidate(names: str) -> Candidate:
    return Candidate(names=names, reason="why", symptoms=(Symptom.STALLED_LOSS,))


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    path = tmp_path / "train.py"
    path.write_text(TOO_SLOW)
    monkeypatch.chdir(tmp_path)
    return Script(target=str(path), steps=100)


def test_the_cure_is_verified_and_nothing_else_claimed(
    script: Script, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int, str]] = []
    trials = try_candidates(
        [candidate("remove_softmax"), candidate("lr*1000")],
        script,
        told=lambda done, planned, name: told.append((done, planned, name)),
    )
    rows = {row.label: row for row in trials.rows}
    assert trials.rows[0].label == "control"
    assert trials.measure is Measure.ACCURACY
    assert trials.best == trials.rows[1].label
    assert rows["lr*1000"].verdict is Verdict.VERIFIED
    assert rows["lr*1000"].runs == 6
    assert rows["remove_softmax"].verdict is Verdict.NO_EFFECT
    assert rows["remove_softmax"].note == "found nothing to change"
    assert told[-1][:2] == (len(told), len(told))
    assert capfd.readouterr().out == ""
    assert not Path("best.pt").exists()
    assert "Infinity" not in str(plain(trials.to_dict()))


def test_crashes_and_time_outs_are_said(tmp_path: Path, script: Script) -> None:
    crashing = tmp_path / "crash.py"
    crashing.write_text(TOO_SLOW + "\nraise KeyError('no such column')")
    slow = tmp_path / "slow.py"
    slow.write_text("import time; time.sleep(60)")
    killed = tmp_path / "killed.py"
    killed.write_text("import os; os.abort()")
    for path, timeout, words in (
        (crashing, 60, "KeyError: 'no such column'"),
        (slow, 0.5, "timed out after 0.5 s"),
        (killed, 60, "exit code -"),
    ):
        replays = Replays(
            Script(target=str(path), steps=1000, timeout=timeout), workers=1, told=None
        )
        replays.run([Run("", 0)])
        assert words in replays.done[Run("", 0)]["crash"]


def test_interrupt_ends_the_children_and_keeps_what_is_done(script: Script) -> None:
    def interrupt(done: int, planned: int, name: str) -> None:
        if done == 2:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    trials = try_candidates(
        [candidate("lr*0.1"), candidate("lr*1000")], script, workers=1, told=interrupt
    )
    assert trials.interrupted
    assert trials.rows[0].label == "control"
    assert 2 <= trials.rows[0].runs <= 3
    assert trials.best is None


def row(label: str, verdict: Verdict, mean: float, low: float = 0.0) -> TrialRow:
    return TrialRow(label=label, verdict=verdict, effect=Interval(mean, low, mean + 0.1))


def test_of_equally_good_changes_the_simplest_leads() -> None:
    rows = [
        row("lr*0.1", Verdict.NO_EFFECT, 0.05),
        row("lr*1000", Verdict.VERIFIED, 0.50, 0.4),
        row("optimizer=adam", Verdict.VERIFIED, 0.51, 0.4),
        row("lr*1000,reinit", Verdict.VERIFIED, 0.52, 0.45),
        row("reinit", Verdict.WORSE, -0.3),
        row("mode", Verdict.CRASHED, 0.0),
    ]
    assert [one.label for one in ranked(rows)] == [
        "lr*1000", "lr*1000,reinit", "optimizer=adam", "lr*0.1", "reinit", "mode",
    ]  # fmt: skip
