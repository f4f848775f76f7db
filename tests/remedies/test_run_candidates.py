"""Which changes a diagnosis calls for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nndiag.attach.interventions import parse
from nndiag.remedies.run_candidates import _AGAINST, run_candidates
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import (
    InputRecord,
    LossRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    ParameterRecord,
)
from nndiag.schema.trace import LayerInfo, Trace

PRETRAINED = (ParameterRecord(name="first.weight", size=1, loaded=True),)


def finding(symptom: Symptom, severity: Severity = Severity.CRITICAL) -> Finding:
    return Finding(symptom=symptom, severity=severity, cause="")


def trace(activation: str = "Sigmoid()") -> Trace:
    layers = (
        LayerInfo(name="first", index=1, kind="Linear", activation=activation),
        LayerInfo(name="last", index=2, kind="Linear", output=True),
    )
    return Trace(layers=layers, steps=np.zeros(0, int), columns={}, missing={})


def observed(**fields: object) -> Observation:
    zeros = np.zeros(3)
    model = ModelRecord(
        name="model",
        kind="Net",
        trace=trace(),
        training_passes=10,
        input=InputRecord(
            batches=1, samples=8, shape=(3,), mean=0, std=1, low=-1, high=1,
            feature_means=zeros, feature_stds=zeros,
        ),
    )  # fmt: skip
    base = Observation(
        steps=50,
        backwards=50,
        seconds=1.0,
        models=(replace(model, **fields),),
        optimizers=(OptimizerRecord(kind="SGD", steps=50),),
        losses=(LossRecord(function="cross_entropy", calls=50, producer="linear"),),
    )
    return base


def names(findings: list[Finding], seen: Observation) -> list[str]:
    return [one.names for one in run_candidates(findings, seen)]


def test_the_first_choice_against_each_finding_comes_before_second_ones() -> None:
    found = names(
        [finding(Symptom.UNNORMALISED_INPUT, Severity.WARNING), finding(Symptom.MISSING_ZERO_GRAD)],
        observed(),
    )
    assert found[:4] == ["zero_grad", "standardise_input", "zero_grad,standardise_input", "lr*0.1"]
    assert len(found) == len(set(found)) <= 8


def test_the_same_words_in_another_order_are_no_other_change() -> None:
    found = names(
        [finding(Symptom.LEARNING_RATE_TOO_HIGH), finding(Symptom.DEAD_UNITS)], observed()
    )
    assert "lr*0.1,reinit" in found
    assert "reinit,lr*0.1" not in found


def test_informations_and_what_no_change_cures_call_for_nothing() -> None:
    seen = observed()
    assert names([finding(Symptom.VANISHING_GRADIENTS, Severity.INFO)], seen) == []
    assert names([finding(Symptom.LABEL_NOISE), finding(Symptom.WRONG_DIRECTION)], seen) == []


@pytest.mark.parametrize(
    ("symptom", "fields", "absent"),
    [
        (Symptom.VANISHING_GRADIENTS, {"trace": trace("ReLU()")}, "act=relu,reinit"),
        (Symptom.VANISHING_GRADIENTS, {"recurrent": True}, "act=relu,reinit"),
        (Symptom.VANISHING_GRADIENTS, {"normalised": "batch"}, "norm=batch"),
        (Symptom.DEAD_UNITS, {"parameters": PRETRAINED}, "reinit"),
        (Symptom.UNNORMALISED_INPUT, {"input": None}, "standardise_input"),
    ],
)  # fmt: skip
def test_what_cannot_apply_is_not_tried(
    symptom: Symptom, fields: dict[str, object], absent: str
) -> None:
    assert absent in names([finding(symptom)], observed())
    assert absent not in names([finding(symptom)], observed(**fields))


@pytest.mark.parametrize(
    ("record", "cure"),
    [
        (LossRecord(function="cross_entropy", calls=1, producer="softmax"), "remove_softmax"),
        (LossRecord(function="mse_loss", calls=1, producer="softmax"), "remove_softmax"),
        (LossRecord(function="mse_loss", calls=1, producer="relu"), "linear_output"),
        (LossRecord(function="mse_loss", calls=1, broadcast=True), "match_loss"),
        (LossRecord(function="nll_loss", calls=1, not_log_probabilities=1.0), "match_loss"),
        (LossRecord(function="cross_entropy", calls=1, producer="linear"), None),
    ],
)
def test_a_mismatch_is_answered_by_its_kind(record: LossRecord, cure: str | None) -> None:
    seen = replace(observed(), losses=(record,))
    found = names([finding(Symptom.LOSS_OUTPUT_MISMATCH)], seen)
    assert found == ([] if cure is None else [cure])


def test_adam_is_no_change_for_adam() -> None:
    seen = replace(observed(), optimizers=(OptimizerRecord(kind="AdamW", steps=50),))
    low = [finding(Symptom.LEARNING_RATE_TOO_LOW)]
    assert "optimizer=adam" in names(low, observed())
    assert "optimizer=adam" not in names(low, seen)


def test_every_name_is_known_and_has_its_reason() -> None:
    for symptom, choices in _AGAINST.items():
        for choice in choices:
            assert len(parse(choice)) == choice.count(",") + 1, symptom
    for one in run_candidates([finding(symptom) for symptom in Symptom], observed(), most=99):
        assert one.reason
        assert one.symptoms
