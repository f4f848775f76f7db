"""The catalogue of training scripts is complete, and every script does what it says."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from nndiag.schema.finding import Symptom

HERE = Path(__file__).parent
CATALOGUE = tomllib.loads((HERE / "catalogue.toml").read_text(encoding="utf-8"))
HEALTHY: list[dict[str, Any]] = CATALOGUE["healthy"]
FAULTY: list[dict[str, Any]] = CATALOGUE["faulty"]
SCRIPTS = HEALTHY + FAULTY
CURES = {
    "lr",
    "clip",
    "reinit",
    "norm",
    "activation",
    "standardise_input",
    "zero_grad",
    "remove_softmax",
    "mode",
    "optimizer",
    "schedule",
    "none",
}
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)\b")
GIVE_AWAY = re.compile(r"nndiag|\bbugs?\b|\bfaulty?\b|\bmistake|\bwrong|\bbroken|\bhealthy", re.I)


def paths(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["path"] for entry in entries]


def source(entry: dict[str, Any]) -> str:
    return (HERE / entry["path"]).read_text(encoding="utf-8")


def repaired(entry: dict[str, Any]) -> str:
    text = source(entry)
    for change in entry["repair"]:
        text = text.replace(change["old"], change["new"])
    return text


def run(script: Path, needs: str | None) -> subprocess.CompletedProcess[str]:
    if needs is not None and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=script.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def last_number(output: str) -> float:
    return float(NUMBER.findall(output)[-1])


def test_every_script_is_listed_once() -> None:
    found = sorted(
        path.relative_to(HERE).as_posix()
        for folder in ("healthy", "faulty")
        for path in (HERE / folder).rglob("*.py")
    )
    assert sorted(paths(SCRIPTS)) == found


def test_there_are_enough_scripts() -> None:
    assert len(HEALTHY) >= 24
    assert len(FAULTY) >= 64


@pytest.mark.parametrize("entry", FAULTY, ids=paths(FAULTY))
def test_symptoms_and_cures_are_known(entry: dict[str, Any]) -> None:
    expected = [entry["symptom"], *entry["also"]]
    assert set(expected) <= {symptom.value for symptom in Symptom}
    assert len(set(expected)) == len(expected)
    assert entry["path"].split("/")[1] == entry["symptom"]
    assert entry["cure"] in CURES
    assert entry["metric"] in {"accuracy", "loss"}


def test_every_symptom_and_every_fault_has_two_architectures() -> None:
    by_symptom: dict[str, set[str]] = defaultdict(set)
    by_fault: dict[str, set[str]] = defaultdict(set)
    for entry in FAULTY:
        by_symptom[entry["symptom"]].add(entry["architecture"])
        by_fault[entry["fault"]].add(entry["architecture"])
    assert set(by_symptom) == {symptom.value for symptom in Symptom}
    assert {name: seen for name, seen in by_symptom.items() if len(seen) < 2} == {}
    assert {name: seen for name, seen in by_fault.items() if len(seen) < 2} == {}


@pytest.mark.parametrize("entry", SCRIPTS, ids=paths(SCRIPTS))
def test_a_script_does_not_give_itself_away(entry: dict[str, Any]) -> None:
    assert GIVE_AWAY.findall(source(entry)) == []


@pytest.mark.parametrize("entry", FAULTY, ids=paths(FAULTY))
def test_every_repair_applies(entry: dict[str, Any]) -> None:
    assert entry["repair"]
    assert all(change["old"] in source(entry) for change in entry["repair"])
    compile(repaired(entry), entry["path"], "exec")


@pytest.mark.slow
@pytest.mark.parametrize("entry", HEALTHY, ids=paths(HEALTHY))
def test_a_healthy_script_trains(entry: dict[str, Any]) -> None:
    done = run(HERE / entry["path"], entry.get("needs"))
    assert done.returncode == 0, done.stderr
    reached = last_number(done.stdout)
    assert reached >= entry["bound"] if entry["metric"] == "accuracy" else reached <= entry["bound"]


@pytest.mark.slow
@pytest.mark.parametrize("entry", FAULTY, ids=paths(FAULTY))
def test_a_faulty_script_fails_where_its_repaired_twin_trains(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    done = run(HERE / entry["path"], entry.get("needs"))
    twin = tmp_path / "train.py"
    twin.write_text(repaired(entry), encoding="utf-8")
    better = run(twin, entry.get("needs"))
    assert better.returncode == 0, better.stderr
    value = last_number(better.stdout)
    assert math.isfinite(value)
    if "raises" in entry:
        assert done.returncode == 1
        assert f"{entry['raises']}:" in done.stderr.strip().splitlines()[-1]
        return
    assert done.returncode == 0, done.stderr
    worse = last_number(done.stdout)
    if entry["metric"] == "accuracy":
        assert value >= worse + entry["margin"]
    else:
        assert math.isnan(worse) or value <= entry["margin"] * worse
