"""The worker behind the playground: obeys, can be killed, begins again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from nndiag.play.session import Session
from nndiag.play.settings import Settings

SMALL = Settings(depth=3, width=8).spec()


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session() as one:
        yield one


def wait(session: Session, wanted: Callable[[str, Any], bool]) -> Any:
    """Return the first thing wanted that the worker sends."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for kind, given in session.news():
            if wanted(kind, given):
                return given
        time.sleep(0.02)
    raise AssertionError("the worker said nothing of the kind")


def test_it_shows_the_network_then_steps_as_told(session: Session) -> None:
    session.configure(SMALL)
    points = wait(session, lambda kind, _given: kind == "points")
    assert len(points["x"]) == len(points["y"]) == points["samples"]
    assert wait(session, lambda kind, _given: kind == "view")["step"] == 0
    session.step(3)
    assert wait(session, lambda kind, _given: kind == "view")["step"] == 3
    session.run()
    later = wait(session, lambda kind, given: kind == "view" and given["step"] > 10)
    session.pause()
    assert later["accuracy"][-1][0] == later["step"]
    session.reset()
    assert wait(session, lambda kind, given: kind == "view" and given["step"] == 0)


def test_a_refusal_is_a_sentence(session: Session) -> None:
    session.configure(replace(SMALL, device="cuda"))
    sentence = wait(session, lambda kind, _given: kind in ("refused", "view"))
    if isinstance(sentence, str):  # no such device here
        assert "cuda" in sentence
        assert not session.running


def test_a_killed_worker_is_followed_by_another(session: Session) -> None:
    session.configure(SMALL)
    wait(session, lambda kind, _given: kind == "view")
    first = session.process_id
    session.run()
    session.cancel()
    assert (session.process_id, session.running) == (None, False)
    session.step(2)
    assert wait(session, lambda kind, given: kind == "view" and given["step"] == 2)
    assert session.process_id not in (None, first)


def test_the_playgrounds_own_process_never_loads_torch() -> None:
    code = (
        "import sys; from nndiag.play import charts, page, server, session, settings; "
        "settings.Settings().command(3); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
