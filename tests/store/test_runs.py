"""The store: what is written is read back, once, whatever happens in between."""

from __future__ import annotations

import math
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec
from nndiag.store import database
from nndiag.store.runs import Store, Sweep, resumed

RUNS = [Run(configuration={"lr": 0.1, "clip_norm": None}, seed=seed) for seed in range(4)]


def sweep(name: str = "first", **facts: Any) -> Sweep:
    known = {"id": name, "spec": SweepSpec(axes=("lr=0.1,1",)), "version": "1"}
    return Sweep(name=name, created="2026-01-01 00:00:00", **{**known, **facts})


def outcome(run: Run, **facts: Any) -> Outcome:
    metrics = {"val_accuracy": 0.1 * run.seed, "val_loss": math.nan, "samples": 360}
    return Outcome(run=run, metrics=metrics, **{"seconds": 0.5, **facts})


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path) as opened:
        yield opened


def test_what_is_written_is_read_back(store: Store) -> None:
    own = store.begin(sweep())
    store.put(own, [outcome(RUNS[0]), outcome(RUNS[1], diverged=True)])
    first, second = store.outcomes(own).values()
    assert (first.run, second.run) == (RUNS[0], RUNS[1])
    assert first.metrics["val_accuracy"] == 0
    assert math.isnan(first.metrics["val_loss"])
    assert (first.diverged, second.diverged, second.seconds) == (False, True, 0.5)
    assert store.missing(own, RUNS) == RUNS[2:]


def test_a_done_run_stays_a_failed_one_is_tried_again(store: Store) -> None:
    own = store.begin(sweep())
    store.put(own, [outcome(RUNS[0], seconds=1.0), outcome(RUNS[1], error="no memory")])
    assert store.missing(own, RUNS[:2]) == [RUNS[1]]
    store.put(own, [outcome(RUNS[0], seconds=9.0), outcome(RUNS[1], seconds=9.0)])
    assert [one.seconds for one in store.outcomes(own).values()] == [1.0, 9.0]
    assert store.missing(own, RUNS[:2]) == []


def test_counts(store: Store) -> None:
    own = store.begin(sweep())
    store.plan(own, 3)
    store.put(own, [outcome(RUNS[0]), outcome(RUNS[1], error="no memory")])
    (found,) = store.sweeps()
    assert (found.planned, found.done, found.failed, found.seconds) == (3, 1, 1, 1.0)
    assert not found.complete
    store.put(own, [outcome(run) for run in RUNS[:3]])
    assert store.get("first", "NAME").complete


def test_a_group_is_written_whole_or_not_at_all(store: Store) -> None:
    own = store.begin(sweep())
    unwritable = outcome(RUNS[1], seconds="long")  # the column is strict
    with pytest.raises(RunError, match=r"^the store .* cannot be written: "):
        store.put(own, [outcome(RUNS[0]), unwritable])
    assert store.outcomes(own) == {}


def test_a_name_is_one_sweep(store: Store) -> None:
    store.begin(sweep())
    assert store.begin(sweep()).name == "first"
    other = SweepSpec(axes=("lr=0.2,1",))
    cases = {
        "--name: 'first' is a sweep of other settings; choose another name, or continue that one "
        "with --resume first": {"spec": other},
        "--name: 'first' was begun by nndiag 1, whose results may differ from this one's; choose "
        "another name": {"version": "2"},
        "--name: 'first' was begun with other contents of its data file; choose another name": {},
    }
    for message, facts in cases.items():
        with pytest.raises(UsageError) as caught:
            store.begin(sweep(id="other", **facts))
        assert str(caught.value) == message


def test_found_by_name_and_by_the_beginning_of_its_identifier(store: Store) -> None:
    store.begin(sweep("first", id="0a1b2c3d"))
    assert store.get("first", "NAME").id == store.get("0a1b", "NAME").id == "0a1b2c3d"
    with pytest.raises(UsageError) as caught:
        store.get("frist", "NAME")
    assert str(caught.value) == "NAME: unknown name 'frist'; did you mean first?"


def test_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resumed("first", tmp_path / "none")
    assert str(caught.value) == (
        f"no sweep is stored in {tmp_path / 'none'}; NNDIAG_HOME names another folder"
    )
    assert not (tmp_path / "none").exists(), "reading makes no store"


def test_one_process_writes_a_sweep(store: Store) -> None:
    own = store.begin(sweep())
    with store.writing(own):
        with pytest.raises(RunError) as caught, store.writing(own):
            pass
        assert f"the sweep 'first' is being run by process {os.getpid()} since" in str(caught.value)
        with store.writing(store.begin(sweep("second"))):
            pass
    with store.writing(own):
        pass


def test_the_log_is_written_ahead_and_every_commit_is_on_the_disk(tmp_path: Path) -> None:
    connection = database.connect(tmp_path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    connection.close()


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "runs.db")
    old.executescript(database.MIGRATIONS[0])
    old.execute("INSERT INTO sweeps VALUES ('a', 'kept', '{\"axes\": [\"lr=1,2\"]}', '1', 'then')")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with Store(tmp_path) as store:
        assert [(one.name, one.planned) for one in store.sweeps()] == [("kept", 0)]


def test_a_newer_file_and_no_file_at_all(tmp_path: Path) -> None:
    database.connect(tmp_path).execute("PRAGMA user_version = 99")
    with pytest.raises(RunError, match=r"was written by a newer nndiag \(format 99, this one"):
        database.connect(tmp_path)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "runs.db").write_text("no database, but long enough for a header " * 9)
    with pytest.raises(RunError, match=r"cannot be used: file is not a database$"):
        database.connect(tmp_path / "text")


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNDIAG_HOME", raising=False)
    assert database.home() == Path(".nndiag")
    monkeypatch.setenv("NNDIAG_HOME", "/somewhere")
    assert database.home() == Path("/somewhere")
