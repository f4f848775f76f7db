"""Executors: what a worker's death costs (nothing), and what `--executor` accepts."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import time
from concurrent.futures import as_completed
from pathlib import Path

import pytest

from nndiag.schema.errors import RunError, UsageError
from nndiag.training import executors
from nndiag.training.executors import Here, Kind, WorkerDiedError, WorkerProcesses, opened, parse


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("local", Kind()),
        ("processes", Kind(name="processes")),
        ("processes:3", Kind(name="processes", workers=3)),
        ("dask:tcp://10.0.0.1:8786", Kind(name="dask", address="tcp://10.0.0.1:8786")),
    ],
)
def test_kinds(text: str, kind: Kind) -> None:
    assert parse(text) == kind
    assert kind.text == text


ACCEPTED = (
    "accepted: local, processes, processes:N with N at least 1, dask:ADDRESS such as "
    "dask:tcp://127.0.0.1:8786"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proceses", "--executor: unknown name 'proceses'; did you mean processes?"),
        *(
            (text, f"--executor: got '{text}'; {ACCEPTED}")
            for text in ("processes:0", "processes:many", "dask", "local:2")
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        parse("dask:localhost:8786")
    assert str(caught.value) == (
        "--executor: dask needs dask.distributed; pip install 'nndiag[cluster]'"
    )


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(RunError) as caught,
        opened(Kind(name="dask", address="tcp://127.0.0.1:9")),
    ):
        pass
    assert str(caught.value) == (
        "--executor: no Dask scheduler answers at tcp://127.0.0.1:9; begin one with: dask scheduler"
    )


def test_here_is_done_when_it_was_submitted() -> None:
    here = Here()
    assert here.submit(divmod, 7, 2).result() == (3, 1)
    assert isinstance(here.submit(divmod, 7, 0).exception(), ZeroDivisionError)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        here.submit(interrupted)


def once(flag: Path, place: int) -> int:
    """Kill this process the first time, like a machine out of memory does."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return place
    os.kill(os.getpid(), signal.SIGKILL)
    return -1


def slowly(place: int) -> int:
    time.sleep(0.05)
    return place


def always() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_replaced_and_no_result_is_lost_or_doubled(tmp_path: Path) -> None:
    with WorkerProcesses(2) as pool:
        futures = {pool.submit(slowly, place): place for place in range(8)}
        futures[pool.submit(once, tmp_path / "died", 8)] = 8
        futures |= {pool.submit(slowly, place): place for place in range(9, 14)}
        found = [(futures[future], future.result()) for future in as_completed(futures)]
        first = pool.process_ids
    assert sorted(found) == [(place, place) for place in range(14)]
    assert (tmp_path / "died").exists()
    assert len(first) == 2
    assert not multiprocessing.active_children()


def test_a_task_that_always_kills_is_given_up_alone() -> None:
    with WorkerProcesses(1) as pool:
        poison, healthy = pool.submit(always), pool.submit(slowly, 1)
        assert healthy.result() == 1
        with pytest.raises(WorkerDiedError) as caught:
            poison.result()
    assert str(caught.value) == "the worker process died 3 times under this task"


def test_an_error_is_handed_on_and_the_worker_lives() -> None:
    with WorkerProcesses(1) as pool:
        assert isinstance(pool.submit(divmod, 1, 0).exception(), ZeroDivisionError)
        before = pool.process_ids
        assert pool.submit(os.getpid).result() == before[0] == pool.process_ids[0]


def test_leaving_kills_what_runs() -> None:
    started = time.monotonic()
    with WorkerProcesses(1) as pool:
        pool.submit(os.getpid).result()
        running, waiting = pool.submit(time.sleep, 600), pool.submit(slowly, 1)
    assert time.monotonic() - started < 300
    assert waiting.cancelled()
    assert running.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(slowly, 1)
