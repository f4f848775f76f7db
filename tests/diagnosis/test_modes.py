"""Training and evaluation mode, on observations made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nndiag.diagnosis import modes
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import (
    ErrorRecord,
    Evaluation,
    ModelRecord,
    Observation,
    OptimizerRecord,
    ParameterRecord,
)
from nndiag.schema.trace import Trace

TRACE = Trace(layers=(), steps=np.zeros(0, int), columns={}, missing={})
UNSEEN = (Evaluation(step=50, samples=200, accuracy=0.8, seen=0.0),)


def model(name: str = "net", **more: object) -> ModelRecord:
    fields: dict[str, object] = {"training_passes": 100, "batch_sizes": {32: 100}}
    return ModelRecord(name=name, kind="Net", trace=TRACE, **(fields | more))  # type: ignore[arg-type]


def observed(*models: ModelRecord, **more: object) -> Observation:
    fields: dict[str, object] = {"steps": 100, "backwards": 100, "seconds": 1.0}
    one = OptimizerRecord(kind="Adam", steps=100, models=tuple(each.name for each in models))
    fields |= {"models": models, "optimizers": (one,)}
    return Observation(**(fields | more))  # type: ignore[arg-type]


def found(observation: Observation) -> list[Finding]:
    findings = modes.check(observation)
    assert all(finding.symptom is Symptom.WRONG_MODE for finding in findings)
    return findings


def severities(observation: Observation) -> list[Severity]:
    return [finding.severity for finding in found(observation)]


# -- training in evaluation mode --------------------------------------------------------------


@pytest.mark.parametrize(("asleep", "wrong"), [(0, False), (2, False), (20, False), (80, True)])
def test_training_in_evaluation_mode(asleep: int, wrong: bool) -> None:
    run = observed(model(dropouts=("drop",), training_passes_in_eval=asleep))
    assert severities(run) == [Severity.WARNING] * wrong


def test_it_is_critical_for_a_batch_normalisation_and_says_what_happens() -> None:
    (finding,) = found(observed(model(batch_norms=("bn",), training_passes_in_eval=100)))
    assert finding.severity is Severity.CRITICAL
    assert finding.layers == ("bn",)
    assert finding.fixes == ("`net.train()` at the start of every epoch",)
    assert "never updated" in finding.cause


def test_without_dropout_or_batch_norm_there_is_no_mode_to_be_wrong() -> None:
    assert found(observed(model(training_passes_in_eval=100, evaluation_passes=10))) == []


def test_attacks_in_evaluation_mode_before_each_step_are_healthy() -> None:
    attacked = model(batch_norms=("bn",), training_passes=1100, training_passes_in_eval=1000)
    assert found(observed(attacked, backwards=1100)) == []


def test_frozen_normalisations_are_meant() -> None:
    tuned = model(batch_norms=("bn",), frozen_norms=True, training_passes_in_eval=100)
    assert found(observed(tuned)) == []
    frozen = (
        ParameterRecord(name="body.bn.weight", size=8, trainable=False),
        ParameterRecord(name="fc.weight", size=100),
    )
    kept = model(batch_norms=("body.bn",), parameters=frozen, training_passes_in_eval=100)
    assert found(observed(kept)) == []


def test_a_frozen_body_stays_in_evaluation_mode_by_right() -> None:
    parameters = (
        ParameterRecord(name="body.weight", size=1000, trainable=False),
        ParameterRecord(name="head.weight", size=10),
    )
    body = model(dropouts=("body.drop",), parameters=parameters, training_passes_in_eval=100)
    assert found(observed(body)) == []


# -- evaluation in training mode --------------------------------------------------------------


def test_evaluation_in_training_mode() -> None:
    run = model(dropouts=("drop",), evaluation_passes=10, evaluation_passes_in_training=10)
    (finding,) = found(observed(run, evaluations=UNSEEN))
    assert finding.severity is Severity.WARNING
    assert "Monte Carlo" in finding.cause
    assert "`net.eval()`" in finding.fixes[0]


@pytest.mark.parametrize("modules", [{"dropouts": ("d",)}, {"batch_norms": ("b",)}])
def test_no_evaluation_no_alarm(modules: dict[str, tuple[str, ...]]) -> None:
    """Passes with gradients off that lead to no loss: a generator's samples, targets, teachers."""
    sampled = model(**modules, evaluation_passes=100, evaluation_passes_in_training=100)
    assert found(observed(sampled)) == []
    training_set = (Evaluation(step=50, samples=32, accuracy=0.8, seen=1.0),)
    assert found(observed(sampled, evaluations=training_set)) == []


def test_a_script_that_switches_modes_uses_both_on_purpose() -> None:
    switching = model(dropouts=("d",), evaluation_passes=110, evaluation_passes_in_training=90)
    assert found(observed(switching, evaluations=UNSEEN)) == []


def test_a_model_that_is_only_used_has_no_mode_of_ours() -> None:
    teacher = model(
        training_passes=0,
        dropouts=("d",),
        evaluation_passes=100,
        evaluation_passes_in_training=100,
    )
    assert found(observed(teacher, evaluations=UNSEEN)) == []


def test_two_players_are_never_more_than_a_remark() -> None:
    generator = model(
        "generator", batch_norms=("b",), evaluation_passes=100, evaluation_passes_in_training=100
    )
    players = (
        OptimizerRecord(kind="Adam", steps=100, models=("generator",)),
        OptimizerRecord(kind="Adam", steps=100, models=("critic",)),
    )
    run = observed(generator, model("critic"), optimizers=players, evaluations=UNSEEN)
    assert found(run) == []


# -- tiny batches -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({2: 100}, [Severity.WARNING]),
        ({1: 100}, [Severity.WARNING]),
        ({3: 100}, []),
        ({2: 50, 8: 50}, [Severity.WARNING]),
        ({2: 49, 8: 51}, []),
        ({}, []),
    ],
)
def test_batch_norm_on_tiny_batches(sizes: dict[int, int], expected: list[Severity]) -> None:
    assert severities(observed(model(batch_norms=("bn",), batch_sizes=sizes))) == expected
    assert found(observed(model(batch_sizes=sizes))) == []
    frozen = model(batch_norms=("bn",), batch_sizes=sizes, frozen_norms=True)
    assert found(observed(frozen)) == []


def test_a_last_batch_of_one_is_a_remark() -> None:
    last = model(batch_norms=("bn",), batch_sizes={32: 90, 1: 10}, single_value_norms=10)
    (finding,) = found(observed(last))
    assert finding.severity is Severity.INFO
    assert finding.fixes == ("`DataLoader(..., drop_last=True)`",)


def test_error_of_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match="more than 1 value") as error:
        torch.nn.BatchNorm1d(3)(torch.zeros(1, 3))
    died = ErrorRecord(kind="ValueError", message=str(error.value), step=7, layer="bn")
    (finding,) = found(observed(error=died))
    assert finding.severity is Severity.CRITICAL
    assert finding.layers == ("bn",)
    assert "drop_last=True" in finding.fixes[0]
