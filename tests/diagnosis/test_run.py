"""Causes before consequences; real scripts get their cause named and healthy ones a clean bill."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nndiag.diagnosis import run
from nndiag.diagnosis.run import FOLLOWS, diagnose_run, not_checked
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import Observation

ROOT = Path(__file__).parent.parent.parent


def finding(symptom: Symptom, severity: Severity = Severity.CRITICAL) -> Finding:
    return Finding(symptom=symptom, severity=severity, cause="Because.")


def test_causes_come_first_and_consequences_say_so() -> None:
    found = run._causes_first(
        [
            finding(Symptom.STALLED_LOSS),
            finding(Symptom.LEARNING_RATE_TOO_LOW),
            finding(Symptom.LOSS_OUTPUT_MISMATCH, Severity.WARNING),
        ]
    )
    assert [(f.symptom, f.severity) for f in found] == [
        (Symptom.LOSS_OUTPUT_MISMATCH, Severity.WARNING),
        (Symptom.STALLED_LOSS, Severity.WARNING),
        (Symptom.LEARNING_RATE_TOO_LOW, Severity.INFO),
    ]
    assert found[1].evidence["follows_from"] == "loss-output-mismatch"
    assert found[1].cause == "Because. Follows from loss-output-mismatch."


def test_a_signal_that_large_steps_threw_away_is_their_consequence() -> None:
    def order(when: str) -> list[Symptom]:
        vanished = replace(finding(Symptom.VANISHING_GRADIENTS), evidence={"when": when})
        return [
            f.symptom
            for f in run._causes_first([vanished, finding(Symptom.LEARNING_RATE_TOO_HIGH)])
        ]

    both = [Symptom.LEARNING_RATE_TOO_HIGH, Symptom.VANISHING_GRADIENTS]
    assert order("last steps") == both
    assert order("first steps") == both[::-1]


def test_what_stands_alone_keeps_its_severity() -> None:
    alone = finding(Symptom.DEAD_UNITS)
    assert run._causes_first([alone]) == [alone]


def test_no_symptom_follows_from_itself_or_in_a_ring() -> None:
    order = list(FOLLOWS)
    for cause, effects in FOLLOWS.items():
        assert cause not in effects
    assert set(order) <= set(Symptom)


def test_nothing_trained() -> None:
    empty = Observation(steps=0, backwards=0, seconds=0.0)
    assert diagnose_run(empty) == []
    assert not_checked(empty) == ["Nothing was trained: the script made no backward pass."]


def test_what_was_not_checked_is_said() -> None:
    said = " ".join(not_checked(Observation(steps=5, backwards=5, seconds=0.0)))
    for word in ("too few", "Labels", "Overfitting", "Scale of the inputs"):
        assert word in said


def diagnosed(path: str) -> list[str]:
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "scripts" / "fault_table.py",
            "--one",
            ROOT / "tests/faults" / path,
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "tests" / "faults",
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return [symptom for symptom, severity, _cause in found if severity != "info"]


@pytest.mark.parametrize(
    ("path", "symptom"),
    [
        ("faulty/missing-zero-grad/mlp_sgd_piles_up.py", "missing-zero-grad"),
        ("faulty/loss-output-mismatch/mlp_softmax_digits.py", "loss-output-mismatch"),
        ("faulty/untrained-parameters/mlp_layers_in_list.py", "untrained-parameters"),
        ("faulty/vanishing-gradients/mlp_deep_sigmoid_letters.py", "vanishing-gradients"),
        ("faulty/wrong-direction/mlp_likelihood_sign.py", "wrong-direction"),
    ],
)
def test_the_cause_is_named_first(path: str, symptom: str) -> None:
    assert diagnosed(path)[0] == symptom


@pytest.mark.parametrize(
    "path", ["mlp_blobs_adam.py", "gan_ring.py", "transformer_majority.py", "mlp_lbfgs.py"]
)
def test_healthy_scripts_get_a_clean_bill(path: str) -> None:
    assert diagnosed(f"healthy/{path}") == []


@pytest.mark.slow
def test_the_whole_catalogue() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "fault_table.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    named = next(line for line in lines if line.startswith("named: "))
    assert int(named.split("%")[0].removeprefix("named: ")) >= 90, done.stdout
    assert any(line.startswith("healthy scripts with a warning or worse: 0 of") for line in lines)


def test_readings_of_every_family_survive_odd_series() -> None:
    from nndiag.schema.observation import OptimizerRecord, Series

    for values in (np.zeros(30), np.full(30, np.nan), np.full(30, np.inf), -np.ones(30)):
        record = OptimizerRecord(
            kind="SGD",
            steps=30,
            lr=Series(steps=np.arange(30), values=np.zeros(30)),
            loss=Series(steps=np.arange(30), values=values),
        )
        diagnose_run(Observation(steps=30, backwards=30, seconds=1.0, optimizers=(record,)))
