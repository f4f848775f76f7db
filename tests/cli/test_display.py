"""What is said on stderr while a command works."""

from __future__ import annotations

import pytest

from nndiag.cli import display


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def test_long_work_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    with display.display() as shown:
        shown.stage("trainings", 3, seconds=95)
        shown.stage("a moment", 3, seconds=2)
        shown.stage("who knows", 3)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "trainings: about 1 min 35 s\n")


def test_without_a_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with display.display() as shown:
        shown.stage("epochs", 100)
        for done in range(1, 31):
            clock[0] += 1
            shown.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["epochs: 11/100, 1 min 29 s left", "epochs: 22/100, 1 min 18 s left"]


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with display.display() as shown:
        shown.stage("epochs", 2)
        shown.update(1)
        shown.update(2)
    assert capsys.readouterr().err == ""
