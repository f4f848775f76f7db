"""A sweep as a whole: what it finds, and that no death of a process loses or doubles a run."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nndiag.experiments import runs, sweep
from nndiag.schema.errors import DataError, RunError, UsageError
from nndiag.schema.result import Result
from nndiag.schema.spec_sweep import Outcome, SweepSpec
from nndiag.training.executors import Kind, parse

SMALL = {"depth": 2, "width": 8, "steps": 30}
SPEC = SweepSpec(axes=("act=relu,tanh", "lr=0.01,0.1,1"), base=SMALL, seeds=3)
#: Several structures, so that there are several groups, some with random numbers of their own.
GROUPS = SweepSpec(
    axes=("depth=2,3,4,5", "dropout=0,0.2", "lr=0.03,0.3"),
    base={"width": 16, "steps": 150, "norm": "batch"},
    seeds=2,
)


def numbers(result: Result) -> list[dict[str, Any]]:
    """Return the rows without what depends on the clock."""
    rows: list[dict[str, Any]] = result.to_dict()["result"]["rows"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def stored(folder: Path) -> list[tuple[Any, ...]]:
    """Return key, end and metrics of every run that the store has."""
    if not (folder / "runs.db").exists():
        return []
    with sqlite3.connect(folder / "runs.db") as connection:
        try:
            found = connection.execute("SELECT key, finished, metrics FROM runs").fetchall()
        except sqlite3.OperationalError:  # the table is not there yet
            found = []
    connection.close()
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("small")
    return sweep.run(SPEC, folder=folder), folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return sweep.run(GROUPS, folder=tmp_path_factory.mktemp("whole"))


def test_every_combination_trains_with_every_seed(small: tuple[Result, Path]) -> None:
    result, folder = small
    found = result.result
    assert (found["trainings"], found["planned"], found["resumed"]) == (18, 18, 0)
    assert len({key for key, _end, _metrics in stored(folder)}) == 18
    combined = {(row["act"], row["lr"]) for row in found["rows"]}
    assert combined == set(itertools.product(("relu", "tanh"), (0.01, 0.1, 1.0)))
    assert all(row["runs"] == 3 for row in found["rows"])


def test_rows_are_the_means_of_what_is_stored(small: tuple[Result, Path]) -> None:
    result, folder = small
    exported = runs.exported(result.result["sweep"], folder)
    for row in result.result["rows"]:
        own = [
            one["val_accuracy"]
            for one in exported
            if (one["act"], one["lr"]) == (row["act"], row["lr"])
        ]
        assert row["val_accuracy"].mean == pytest.approx(np.mean(own))
    means = [row["val_accuracy"].mean for row in result.result["rows"]]
    assert means == sorted(means, reverse=True)


def test_the_reading_follows_from_the_numbers(small: tuple[Result, Path]) -> None:
    found = small[0].result
    best = found["rows"][0]
    first, test = found["reading"][:2]
    assert first.startswith(f"Best validation accuracy: {100 * best['val_accuracy'].mean:.1f} %")
    assert first.endswith(f"with {best['label']}.")
    assert f"{100 * best['test_accuracy'].mean:.1f} %" in test
    strongest = found["marginals"][0]
    assert strongest["share"] > 0.995
    said = f"{strongest['axis']} explains >99 % of the differences: on average over the rest"
    assert any(text.startswith(said) for text in found["reading"])


def test_the_same_sweep_again_trains_nothing(small: tuple[Result, Path]) -> None:
    result, folder = small
    again = sweep.run(SPEC, folder=folder)
    assert again.result["resumed"] == 18
    assert numbers(again) == numbers(result)
    assert len(stored(folder)) == 18


def test_the_store_shows_the_same(small: tuple[Result, Path]) -> None:
    result, folder = small
    shown = runs.shown(result.result["sweep"], folder)
    assert numbers(shown) == numbers(result)
    for part in ("marginals", "heat", "reading", "axes", "shared"):
        assert shown.to_dict()["result"][part] == result.to_dict()["result"][part]


def test_other_settings_under_the_same_name(small: tuple[Result, Path]) -> None:
    result, folder = small
    with pytest.raises(UsageError, match=r"^--name: .* is a sweep of other settings"):
        sweep.run(
            SweepSpec(axes=("lr=1,2",), base=SMALL), folder=folder, name=result.result["sweep"]
        )


def test_random_search_draws_and_repeats(tmp_path: Path) -> None:
    spec = SweepSpec(
        axes=("lr=log:0.01:1", "act=relu,tanh"), samples=4, seeds=2, base=SMALL, seed=5
    )
    result = sweep.run(spec, folder=tmp_path)
    drawn = {(row["act"], row["lr"]) for row in result.result["rows"]}
    assert drawn == {(one["act"], one["lr"]) for one in spec.combinations()}
    assert len(drawn) == 4


def test_halving_ends_with_the_full_training_of_the_best(tmp_path: Path) -> None:
    spec = SweepSpec(
        axes=("lr=0.003,0.01,0.03,0.1",), base={**SMALL, "steps": 40}, halving=True, seeds=2
    )
    found = sweep.run(spec, folder=tmp_path / "halving").result
    assert [(one["steps"], one["configurations"]) for one in found["rungs"]] == [(20, 4), (40, 2)]
    assert [row["rung"] for row in found["rows"]] == [2, 2, 1, 1]
    assert found["trainings"] == 4 * 2 + 2 * 2
    full = SweepSpec(axes=("lr=0.003,0.01,0.03,0.1",), base={**SMALL, "steps": 40}, seeds=2)
    plain = {row["lr"]: row for row in sweep.run(full, folder=tmp_path / "full").result["rows"]}
    for row in found["rows"][:2]:
        assert row["val_loss"].mean == pytest.approx(plain[row["lr"]]["val_loss"].mean, rel=1e-5)


def test_cross_validation_pools_the_whole_set(tmp_path: Path) -> None:
    spec = SweepSpec(axes=("lr=0.03,0.3",), base=SMALL, folds=5, seeds=1)
    result = sweep.run(spec, folder=tmp_path)
    assert result.result["samples"] == 1797, "every digit is held out once"
    exported = runs.exported(result.result["sweep"], tmp_path)
    for row in result.result["rows"]:
        folds = [one for one in exported if one["lr"] == row["lr"]]
        accuracies = [one["test_accuracy"] for one in folds]
        assert sorted(one["fold"] for one in folds) == [0, 1, 2, 3, 4]
        assert row["test_accuracy"].mean == pytest.approx(np.mean(accuracies))
        assert row["fold_spread"] == pytest.approx(np.std(accuracies, ddof=1))
        right = np.round(np.array(accuracies) * np.array([360, 360, 359, 359, 359]))
        assert 1797 * row["pooled_accuracy"] == pytest.approx(right.sum(), abs=0.01)


def test_a_user_s_file_of_other_content_is_another_sweep(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    spec = SweepSpec(axes=("lr=0.1,1",), base={"data": str(path), "depth": 1}, target="y", seeds=2)
    names = []
    for shift in (0, 3):
        rows = [f"{k % 7},{(k * k + shift) % 11},{k % 2}" for k in range(60)]
        path.write_text("\n".join(["a,b,y", *rows]))
        result = sweep.run(spec, folder=tmp_path / "store")
        assert result.result["resumed"] == 0
        names.append(result.result["sweep"])
    assert names[0] != names[1]


def test_data_that_cannot_be_used_end_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("a,label\n1,x\n2,x\n3,x\n")
    spec = SweepSpec(axes=("lr=0.1,1",), base={"data": str(path), "depth": 1}, target="label")
    with pytest.raises(DataError, match=r"own\.csv"):
        sweep.run(spec, folder=tmp_path)
    assert stored(tmp_path) == []


class Interrupting:
    """A watch under which Ctrl-C is pressed at half of the work."""

    def stage(self, text: str, total: int, **facts: Any) -> None:
        pass

    def update(self, done: int, **facts: Any) -> None:
        if done >= 50:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_is_done_and_the_rest_is_trained_later(
    tmp_path: Path, whole: Result
) -> None:
    first = sweep.run(GROUPS, folder=tmp_path, watch=Interrupting())
    done = first.result["trainings"]
    assert first.result["interrupted"]
    assert 0 < done < 32
    before = stored(tmp_path)
    second = sweep.run(GROUPS, folder=tmp_path)
    assert (second.result["resumed"], second.result["trainings"]) == (done, 32)
    assert stored(tmp_path)[:done] == before
    assert numbers(second) == numbers(whole)


@contextmanager
def command(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the sweep `GROUPS` by the command line, in a process of its own."""
    base = [f"--{name.replace('_', '-')}={value}" for name, value in GROUPS.base.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "nndiag", "sweep", *GROUPS.axes, "--seeds=2", *base, *options],
        env={**os.environ, "NNDIAG_HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    while not what():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_a_killed_sweep_goes_on_where_it_stopped(tmp_path: Path, whole: Result) -> None:
    with command(tmp_path) as process:
        wait_for(lambda: stored(tmp_path), process)
        with pytest.raises(RunError, match=f"is being run by process {process.pid} since"):
            sweep.run(GROUPS, folder=tmp_path)
        assert runs.listed(tmp_path).result["rows"][0]["done"] > 0, "readers need not wait"
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = stored(tmp_path)
    assert 0 < len(before) < 32, "killed on the way"
    second = sweep.run(GROUPS, folder=tmp_path)
    assert second.result["resumed"] == len(before)
    after = stored(tmp_path)
    assert after[: len(before)] == before, "what was done was not done again"
    assert len({key for key, _end, _metrics in after}) == len(after) == 32
    assert numbers(second) == numbers(whole)


@pytest.mark.slow
def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path, whole: Result) -> None:
    def kill() -> None:
        while not stored(tmp_path):
            time.sleep(0.01)
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    result = sweep.run(GROUPS, folder=tmp_path, executor=Kind(name="processes", workers=2))
    thread.join()
    assert result.result["failed"] == []
    assert len({key for key, _end, _metrics in stored(tmp_path)}) == 32
    assert len(stored(tmp_path)) == 32
    assert numbers(result) == numbers(whole)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, Sequence[subprocess.Popen[bytes]]]]:
    """Begin a Dask scheduler and two workers on this machine; yield its address and the three."""
    pytest.importorskip("distributed")
    dask = [sys.executable, "-m", "dask"]
    where, place = folder / "scheduler.json", "--local-directory"
    shared = [f"--scheduler-file={where}", "--no-dashboard"]
    processes = [
        subprocess.Popen(
            [*dask, "scheduler", "--host=127.0.0.1", "--port=0", *shared],
            stderr=subprocess.DEVNULL,
        )
    ]
    try:
        while not where.exists():
            time.sleep(0.05)
        processes += [
            subprocess.Popen(
                [*dask, "worker", "--nthreads=1", "--no-nanny", *shared, f"{place}={folder}"],
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for _worker in range(2)
        ]
        yield json.loads(where.read_text())["address"], processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_cluster_gives_the_same_bits_though_a_worker_is_killed(
    tmp_path: Path, whole: Result
) -> None:
    with cluster(tmp_path) as (address, processes):

        def kill() -> None:
            while not stored(tmp_path):
                time.sleep(0.01)
            processes[1].kill()

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        result = sweep.run(GROUPS, folder=tmp_path, executor=parse(f"dask:{address}"))
        thread.join()
        assert processes[1].wait() == -signal.SIGKILL
    assert result.result["failed"] == []
    assert len({key for key, _end, _metrics in stored(tmp_path)}) == 32
    assert len(stored(tmp_path)) == 32
    assert numbers(result) == numbers(whole)


@pytest.mark.slow
def test_when_the_scheduler_dies_what_is_done_is_kept(tmp_path: Path, whole: Result) -> None:
    with cluster(tmp_path) as (address, processes):

        def kill() -> None:
            while not stored(tmp_path):
                time.sleep(0.01)
            processes[0].kill()

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(RunError, match=r"^the cluster dropped the work: its scheduler no"):
            sweep.run(GROUPS, folder=tmp_path, executor=parse(f"dask:{address}"))
    before = stored(tmp_path)
    assert 0 < len(before) < 32
    second = sweep.run(GROUPS, folder=tmp_path)
    assert second.result["resumed"] == len(before)
    assert numbers(second) == numbers(whole)


@pytest.mark.slow
def test_ctrl_c_at_the_command_line(tmp_path: Path) -> None:
    with command(tmp_path, "--name", "own sweep") as process:
        wait_for(lambda: stored(tmp_path), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert "Interrupted: only what was complete is shown." in out
    assert err.strip().endswith("to go on: nndiag sweep --resume 'own sweep'")


def test_failed_runs_are_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(groups: Any, place: Any, **facts: Any) -> Iterator[list[Outcome]]:
        for outcomes in stream(groups, place, **facts):
            yield [
                Outcome(run=one.run, error="no memory")
                if one.run.configuration["lr"] == 1 and one.run.seed == 0
                else one
                for one in outcomes
            ]

    stream = sweep.stream
    monkeypatch.setattr(sweep, "stream", failing)
    found = sweep.run(SPEC, folder=tmp_path).result
    assert [(one["label"], one["seed"], one["error"]) for one in found["failed"]] == [
        ("act=relu lr=1", 0, "no memory"),
        ("act=tanh lr=1", 0, "no memory"),
    ]
    assert {row["label"]: row["runs"] for row in found["rows"]}["act=relu lr=1"] == 2
    assert found["reading"][-1] == (
        "2 runs failed and are left out; the same command tries them again. The first: no memory"
    )
    monkeypatch.undo()
    again = sweep.run(SPEC, folder=tmp_path).result
    assert (again["failed"], again["resumed"], again["trainings"]) == ([], 16, 18)
