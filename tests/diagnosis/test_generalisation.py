"""Overfitting and underfitting, on observations made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nndiag.diagnosis import generalisation
from nndiag.schema.finding import Severity, Symptom
from nndiag.schema.observation import (
    Evaluation,
    LabelRecord,
    LossRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    ParameterRecord,
    Series,
)
from nndiag.schema.trace import Trace

TRACE = Trace(layers=(), steps=np.zeros(0, int), columns={}, missing={})
FALLING = np.geomspace(2.0, 0.02, 200)


def series(values: np.ndarray | list[float]) -> Series:
    array = np.asarray(values, float)
    return Series(steps=np.arange(1, len(array) + 1), values=array)


def model(size: int = 10_000, outputs: int = 4) -> ModelRecord:
    return ModelRecord(
        name="net",
        kind="Net",
        trace=TRACE,
        training_passes=200,
        parameters=(ParameterRecord(name="fc.weight", size=size),),
        output_features=outputs,
    )


def labels(classes: int = 4) -> LabelRecord:
    rows = np.random.default_rng(0).multinomial(32, [1 / classes] * classes, 200).astype(float)
    return LabelRecord(classes=classes, counts=rows.sum(axis=0), batch_counts=rows)


def observed(
    loss: np.ndarray = FALLING,
    accuracy: float | None = None,
    evaluations: tuple[Evaluation, ...] = (),
    **more: object,
) -> Observation:
    optimizer = OptimizerRecord(
        kind="Adam", steps=len(loss), models=("net",), loss=series(loss), lr=series([0.1] * 200)
    )
    fields: dict[str, object] = {
        "steps": len(loss),
        "backwards": len(loss),
        "seconds": 1.0,
        "models": (model(),),
        "optimizers": (optimizer,),
        "labels": labels() if accuracy is not None else None,
        "accuracy": series([] if accuracy is None else [accuracy] * 200),
        "evaluations": evaluations,
    }
    return Observation(**(fields | more))  # type: ignore[arg-type]


def evaluated(
    losses: list[float] | None = None,
    accuracy: float = math.nan,
    samples: int = 500,
    seen: float = 0.0,
) -> tuple[Evaluation, ...]:
    losses = losses if losses is not None else [math.nan] * 5
    return tuple(
        Evaluation(
            step=(place + 1) * 200 // len(losses),
            samples=samples,
            loss=loss,
            accuracy=accuracy,
            seen=seen,
        )
        for place, loss in enumerate(losses)
    )


def symptoms(observation: Observation) -> list[Symptom]:
    findings = generalisation.check(observation)
    assert all(finding.severity is Severity.WARNING for finding in findings)
    return [finding.symptom for finding in findings]


# -- overfitting by accuracy ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test", "samples", "found"),
    [
        (1.0, 0.70, 500, True),
        (1.0, 0.84, 500, True),
        (1.0, 0.87, 500, False),  # 13 points
        (1.0, 0.84, 40, False),  # 16 points that may be 4
        (0.90, 0.70, 500, False),  # not fitted, and no rise
        (0.95, 0.97, 500, False),
    ],
)
def test_gap_of_accuracy(train: float, test: float, samples: int, found: bool) -> None:
    run = observed(accuracy=train, evaluations=evaluated(accuracy=test, samples=samples))
    assert symptoms(run) == [Symptom.OVERFITTING] * found


def test_gap_before_everything_is_fitted_needs_a_rising_loss() -> None:
    rising = evaluated([1.0, 0.8, 0.9, 1.0, 1.2], accuracy=0.7)
    (finding,) = generalisation.check(observed(accuracy=0.92, evaluations=rising))
    assert finding.evidence["gap"] == pytest.approx(0.22)
    falling = evaluated([1.2, 1.1, 1.0, 0.9, 0.8], accuracy=0.7)
    assert symptoms(observed(accuracy=0.92, evaluations=falling)) == []


def test_rising_loss_at_good_accuracy_is_no_matter() -> None:
    """Surer of its few errors: the loss rises, the answers stay."""
    surer = evaluated([0.2, 0.1, 0.2, 0.3, 0.4], accuracy=0.96)
    assert symptoms(observed(accuracy=1.0, evaluations=surer)) == []


def test_evaluation_on_the_training_set_tells_nothing() -> None:
    assert symptoms(observed(accuracy=1.0, evaluations=evaluated(accuracy=0.7, seen=1.0))) == []


def test_unknown_samples_count_where_they_differ() -> None:
    unknown = evaluated(accuracy=0.7, seen=math.nan)
    assert symptoms(observed(accuracy=1.0, evaluations=unknown)) == [Symptom.OVERFITTING]


def test_guessing_on_others_is_label_noise_unless_samples_are_few() -> None:
    guessing = evaluated(accuracy=0.25)
    assert symptoms(observed(accuracy=1.0, evaluations=guessing)) == []
    few = observed(accuracy=1.0, evaluations=guessing, training_samples=40)
    assert symptoms(few) == [Symptom.OVERFITTING]


# -- overfitting by loss ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([1.0, 0.5, 0.6, 0.7, 0.8], True),  # turns and stays up
        ([1.0, 0.5, 0.52, 0.5, 0.55], False),  # hardly rises, and not bad enough
        ([1.5, 1.4, 1.3, 1.25, 1.2], True),  # never comes near the training loss
        ([1.0, 0.5, 0.2, 0.1, 0.05], False),
        ([0.03, 0.025, 0.02, 0.021, 0.02], False),
        ([1.2], False),  # one figure may be another loss
        ([0.02, 0.01, 0.01, 0.01, 0.03], False),  # one noisy evaluation at the end
    ],
)
def test_loss_on_others(losses: list[float], found: bool) -> None:
    assert symptoms(observed(evaluations=evaluated(losses))) == [Symptom.OVERFITTING] * found


def test_both_losses_rising_is_divergence() -> None:
    rising = np.concatenate([np.geomspace(2, 0.1, 60), np.linspace(0.1, 0.4, 140)])
    run = observed(loss=rising, evaluations=evaluated([0.5, 0.6, 0.7, 0.8, 0.9]))
    assert symptoms(run) == []


# -- underfitting -----------------------------------------------------------------------------


def noisy(level: float, noise: float = 0.05, steps: int = 200) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.asarray(level * (1 + noise * rng.standard_normal(steps)))


@pytest.mark.parametrize(
    ("size", "accuracy", "found"),
    [
        (30, 0.45, True),
        (30, 0.25, True),
        (30, 0.70, False),  # a skill of 60 %
        (10_000, 0.45, False),  # large enough: something else is wrong
    ],
)
def test_small_model_that_has_settled_far_from_good(
    size: int, accuracy: float, found: bool
) -> None:
    run = observed(loss=noisy(1.2), accuracy=accuracy, models=(model(size),))
    assert symptoms(run) == [Symptom.UNDERFITTING] * found


@pytest.mark.parametrize(("size", "found"), [(900, True), (1100, False)])
def test_wide_outputs_do_not_make_a_network_small(size: int, found: bool) -> None:
    run = observed(loss=noisy(1.2), accuracy=0.4, models=(model(size, outputs=50),))
    assert symptoms(run) == [Symptom.UNDERFITTING] * found


def test_still_falling_is_not_judged() -> None:
    falling = np.geomspace(1.6, 0.6, 200)
    assert symptoms(observed(loss=falling, accuracy=0.4, models=(model(30),))) == []


def test_noise_is_no_plateau() -> None:
    """What might be falling under its noise is not called settled."""
    wild = noisy(1.2, noise=0.8)
    assert symptoms(observed(loss=wild, accuracy=0.4, models=(model(30),))) == []


def test_rate_brought_to_zero_is_not_called_underfitting() -> None:
    gone = OptimizerRecord(
        kind="SGD",
        steps=200,
        loss=series(noisy(1.2)),
        lr=series(np.geomspace(0.1, 1e-9, 200)),
    )
    run = observed(loss=noisy(1.2), accuracy=0.4, models=(model(30),), optimizers=(gone,))
    assert symptoms(run) == []


def test_sorted_batches_are_not_called_underfitting() -> None:
    rows = np.zeros((200, 4))
    rows[np.arange(200), np.arange(200) // 50] = 32
    record = LabelRecord(classes=4, counts=rows.sum(axis=0), batch_counts=rows)
    run = observed(loss=noisy(1.2), accuracy=0.4, models=(model(30),), labels=record)
    assert symptoms(run) == []


@pytest.mark.parametrize(("loss", "found"), [(0.8, True), (0.3, False)])
def test_variance_explained_of_a_regression(loss: float, found: bool) -> None:
    targets = np.random.default_rng(2).standard_normal((200, 32))
    rows = np.stack([np.full(200, 32.0), targets.sum(1), np.square(targets).sum(1)], axis=1)
    run = observed(
        loss=noisy(loss),
        labels=LabelRecord(
            classes=0, counts=rows.sum(axis=0), batch_counts=rows, mean_squared=True
        ),
        losses=(LossRecord(function="mse_loss", calls=200),),
        models=(model(30, outputs=1),),
    )
    findings = generalisation.check(run)
    assert [finding.symptom for finding in findings] == [Symptom.UNDERFITTING] * found
    if found:
        assert findings[0].evidence["variance_explained"] == pytest.approx(0.2, abs=0.05)


def test_loss_of_the_users_own_is_not_judged() -> None:
    own = (LossRecord(function="expression", calls=200),)
    assert symptoms(observed(loss=noisy(1.2), losses=own, models=(model(30),))) == []


def test_short_runs_and_several_models_are_not_judged() -> None:
    assert symptoms(observed(loss=noisy(1.2, steps=30), accuracy=0.3, models=(model(30),))) == []
    two = (model(30), model(30))
    assert symptoms(observed(loss=noisy(1.2), accuracy=0.3, models=two)) == []
