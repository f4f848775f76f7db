"""Inputs and labels, on observations made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nndiag.diagnosis import data
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import (
    ErrorRecord,
    Evaluation,
    InputRecord,
    LabelRecord,
    LossRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    Series,
)
from nndiag.schema.trace import LayerInfo, Trace

RNG = np.random.default_rng(0)


def inputs(x: np.ndarray, **more: object) -> InputRecord:
    """The record of (N, F) or (N, C, H, W) samples."""
    axes = (0, 2, 3) if x.ndim == 4 else tuple(range(x.ndim - 1))
    fields: dict[str, object] = {
        "batches": 10,
        "samples": len(x),
        "shape": x.shape[1:],
        "mean": float(x.mean()),
        "std": float(x.std()),
        "low": float(x.min()),
        "high": float(x.max()),
        "feature_means": x.mean(axis=axes),
        "feature_stds": x.std(axis=axes),
    }
    return InputRecord(**(fields | more))  # type: ignore[arg-type]


def trace(kind: str = "Linear", spread: float | None = None) -> Trace:
    layer = LayerInfo(name="fc1", index=1, kind=kind, fan_in=8, fan_out=8)
    if spread is None:
        return Trace(layers=(layer,), steps=np.zeros(0, int), columns={}, missing={})
    return Trace(
        layers=(layer,),
        steps=np.array([1]),
        columns={"activation_std": np.full((1, 1, 1), spread)},
        missing={"activation_std": np.zeros(1, bool)},
    )


def series(values: np.ndarray | list[float]) -> Series:
    array = np.asarray(values, float)
    return Series(steps=np.arange(1, len(array) + 1), values=array)


def observed(
    x: InputRecord | None = None, layers: Trace | None = None, end: float = 0.1, **more: object
) -> Observation:
    """A run of 100 steps whose loss goes from 1 to `end`."""
    model = ModelRecord(
        name="net", kind="Net", trace=layers or trace(), training_passes=100, input=x
    )
    optimizer = OptimizerRecord(
        kind="SGD", steps=100, models=("net",), loss=series(np.geomspace(1, end, 100))
    )
    fields: dict[str, object] = {"steps": 100, "backwards": 100, "seconds": 1.0}
    fields |= {"models": (model,), "optimizers": (optimizer,)}
    return Observation(**(fields | more))  # type: ignore[arg-type]


def only(observation: Observation, symptom: Symptom) -> Finding:
    (finding,) = data.check(observation)
    assert finding.symptom is symptom
    return finding


# -- scale of the inputs ----------------------------------------------------------------------

PIXELS = RNG.integers(0, 256, (50, 3, 8, 8)).astype(float)
GAUSS = RNG.standard_normal((400, 12))
HEALTHY = {
    "standardised": GAUSS,
    "pixels in [0, 1]": PIXELS / 255,
    "pixels in [-1, 1]": PIXELS / 127.5 - 1,
    "heavy tails": RNG.standard_t(3, (400, 12)),
    "one-hot": np.eye(500)[RNG.integers(0, 500, 2000)],
    "binary": RNG.integers(0, 2, (400, 12)).astype(float),
    "embeddings": 0.02 * RNG.standard_normal((400, 64)) + 0.01,
    "daily returns": np.clip(0.02 * RNG.standard_normal((400, 5)), -0.2, 0.2),
    "a constant column": np.hstack([GAUSS, np.ones((400, 1))]),
    "counts": RNG.poisson(3.0, (400, 12)).astype(float),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("end", [0.1, 0.95])
def test_usual_inputs_are_no_matter(name: str, end: float) -> None:
    assert data.check(observed(inputs(HEALTHY[name]), end=end)) == []


@pytest.mark.parametrize(("end", "severity"), [(0.1, Severity.WARNING), (0.9, Severity.CRITICAL)])
def test_raw_pixels(end: float, severity: Severity) -> None:
    finding = only(observed(inputs(PIXELS), end=end), Symptom.UNNORMALISED_INPUT)
    assert finding.severity is severity
    assert finding.fixes[0] == "`x = x / 255`"
    assert "(0, 2, 3)" in finding.fixes[1]
    assert finding.evidence["high"] == 255


def test_decibels_that_train_are_a_remark_at_most() -> None:
    spectrogram = np.clip(-45 + 20 * RNG.standard_normal((50, 1, 8, 8)), -80, 0)
    trained = only(observed(inputs(spectrogram)), Symptom.UNNORMALISED_INPUT)
    assert trained.severity is Severity.INFO
    stuck = only(observed(inputs(spectrogram), end=0.9), Symptom.UNNORMALISED_INPUT)
    assert stuck.severity is Severity.WARNING


def test_one_large_feature_among_many() -> None:
    table = GAUSS.copy()
    table[:, 3] = 50_000 + 20_000 * table[:, 3]
    finding = only(observed(inputs(table), end=0.9), Symptom.UNNORMALISED_INPUT)
    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["scale"] == pytest.approx(np.hypot(*_moments(table[:, 3])), rel=1e-9)


def _moments(x: np.ndarray) -> tuple[float, float]:
    return float(x.mean()), float(x.std())


@pytest.mark.parametrize(("scale", "found"), [(9.0, False), (11.0, True)])
def test_threshold_of_the_scale(scale: float, found: bool) -> None:
    exact = np.where(RNG.permutation(400) % 2, scale, -scale)[:, None]
    assert bool(data.check(observed(inputs(exact)))) == found


def test_scaled_twice() -> None:
    finding = only(observed(inputs(PIXELS / 255**2), end=0.9), Symptom.UNNORMALISED_INPUT)
    assert finding.severity is Severity.WARNING
    assert "only about 0.0023" in finding.cause


@pytest.mark.parametrize(("offset", "found"), [(9.0, False), (11.5, True)])
def test_mean_far_from_zero_against_the_spread(offset: float, found: bool) -> None:
    kelvin = 0.1 * (GAUSS + offset)
    findings = data.check(observed(inputs(kelvin), end=0.9))
    assert [finding.severity for finding in findings] == [Severity.WARNING] * found


def test_features_of_very_different_scales() -> None:
    table = GAUSS * np.geomspace(1, 1e-4, 12)
    finding = only(observed(inputs(table)), Symptom.UNNORMALISED_INPUT)
    assert finding.severity is Severity.INFO
    assert finding.evidence["ratio"] == pytest.approx(1e4, rel=0.2)
    assert data.check(observed(inputs(GAUSS * np.geomspace(1, 1e-2, 12)))) == []


@pytest.mark.parametrize("kind", ["BatchNorm2d", "LayerNorm", "InstanceNorm2d", "Embedding"])
def test_first_layer_that_normalises(kind: str) -> None:
    assert data.check(observed(inputs(PIXELS), trace(kind), end=0.9)) == []


@pytest.mark.parametrize(("spread", "found"), [(0.5, False), (70.0, True)])
def test_model_that_rescales_its_input_itself(spread: float, found: bool) -> None:
    """`self.net(x / 255)`: what the first layer puts out tells."""
    assert bool(data.check(observed(inputs(PIXELS), trace("Conv2d", spread)))) == found


# -- constant and broken inputs ---------------------------------------------------------------


def test_constant_inputs() -> None:
    same = inputs(np.tile(GAUSS[:1], (100, 1)), constant=True)
    assert only(observed(same, end=0.95), Symptom.UNNORMALISED_INPUT).severity is Severity.CRITICAL
    assert data.check(observed(same, end=0.1)) == []  # it learns, so from something else
    one_each = inputs(np.tile(GAUSS[:1], (10, 1)), constant=True)
    assert data.check(observed(one_each, end=0.95)) == []  # batches of one: deep image prior


def _broken(first: int, loss: list[float], **more: object) -> Observation:
    x = inputs(GAUSS, non_finite=0.01, first_non_finite=first)
    optimizer = OptimizerRecord(kind="SGD", steps=len(loss), loss=series(loss))
    return observed(x, optimizers=(optimizer,), **more)


def test_broken_inputs_are_named_as_the_cause() -> None:
    finding = only(_broken(3, [1.0, 0.9, math.nan, math.nan]), Symptom.NON_FINITE)
    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["first_step"] == 3
    assert "0.01 of the entries" in finding.cause


def test_mask_of_minus_infinity_is_no_broken_input() -> None:
    assert data.check(_broken(1, list(np.geomspace(1, 0.1, 50)))) == []


def test_inputs_that_break_after_the_loss_are_not_its_cause() -> None:
    assert data.check(_broken(3, [1.0, math.nan, math.nan])) == []


def test_error_after_broken_inputs() -> None:
    died = ErrorRecord(kind="RuntimeError", message="between 0 and 1", step=2)
    assert only(_broken(3, [1.0, 0.9], error=died), Symptom.NON_FINITE).evidence["share"] == 0.01


# -- labels -----------------------------------------------------------------------------------


def labels(batches: np.ndarray, single: bool = True) -> LabelRecord:
    return LabelRecord(
        classes=batches.shape[1], counts=batches.sum(axis=0), batch_counts=batches, single=single
    )


def dealt(shares: list[float], batches: int = 100, size: int = 32) -> LabelRecord:
    return labels(np.random.default_rng(3).multinomial(size, shares, batches).astype(float))


CROSS = (LossRecord(function="cross_entropy", calls=100, producer="linear"),)


def classified(record: LabelRecord, accuracy: float | None = None, **more: object) -> Observation:
    rates = series([] if accuracy is None else [accuracy] * 100)
    return observed(labels=record, accuracy=rates, **({"losses": CROSS} | more))


@pytest.mark.parametrize(
    ("share", "accuracy", "expected"),
    [
        (0.97, 0.97, [Severity.WARNING]),
        (0.97, None, [Severity.WARNING]),
        (0.97, 0.995, [Severity.INFO]),  # it finds the rare ones
        (0.97, 0.90, [Severity.INFO]),  # weighted: it pays for them with accuracy
        (0.85, 0.85, []),
        (0.5, 0.5, []),
    ],
)
def test_imbalance(share: float, accuracy: float | None, expected: list[Severity]) -> None:
    findings = data.check(classified(dealt([share, 1 - share]), accuracy))
    assert [finding.severity for finding in findings] == expected
    assert all(finding.symptom is Symptom.IMBALANCED_LABELS for finding in findings)


def test_majority_of_many_classes() -> None:
    record = dealt([0.93, *[0.01] * 7])
    finding = only(classified(record), Symptom.IMBALANCED_LABELS)
    assert "weight=1 / counts" in finding.fixes[0]
    assert data.check(classified(labels(record.batch_counts, single=False))) == []
    assert data.check(classified(dealt([0.3, *[0.1] * 7]))) == []


def test_constant_labels() -> None:
    record = dealt([0.0, 1.0, 0.0])
    finding = only(classified(record, 1.0), Symptom.IMBALANCED_LABELS)
    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["label"] == 1


def test_contrastive_places_and_one_sided_players_are_no_constant_labels() -> None:
    record = dealt([1.0, 0.0, 0.0])
    composed = (LossRecord(function="cross_entropy", calls=100, producer="other"),)
    assert data.check(classified(record, losses=composed)) == []
    players = tuple(OptimizerRecord(kind="Adam", steps=100) for _ in range(2))
    assert data.check(classified(record, optimizers=players)) == []


def test_constant_answers_to_yes_or_no_count_whatever_made_the_scores() -> None:
    record = dealt([0.0, 1.0])
    asked = (LossRecord(function="binary_cross_entropy_with_logits", calls=100),)
    finding = only(classified(record, 1.0, losses=asked), Symptom.IMBALANCED_LABELS)
    assert finding.severity is Severity.CRITICAL


def test_few_labels_are_not_judged() -> None:
    assert data.check(classified(dealt([1.0, 0.0], batches=1))) == []


# -- order ------------------------------------------------------------------------------------


def in_order(classes: int = 4, batches: int = 40, size: int = 25) -> LabelRecord:
    rows = np.zeros((batches, classes))
    rows[np.arange(batches), np.arange(batches) * classes // batches] = size
    return labels(rows)


def test_sorted_labels() -> None:
    finding = only(classified(in_order()), Symptom.UNSHUFFLED_DATA)
    assert finding.severity is Severity.WARNING
    assert finding.fixes[0] == "`DataLoader(..., shuffle=True)`"
    assert finding.evidence["label_share_by_batch"] > 0.9


def test_sorted_labels_that_do_no_harm_are_a_remark() -> None:
    fine = (Evaluation(step=100, samples=500, accuracy=0.97, seen=0.0),)
    assert (
        only(classified(in_order(), evaluations=fine), Symptom.UNSHUFFLED_DATA).severity
        is Severity.INFO
    )
    worse = (Evaluation(step=100, samples=500, accuracy=0.8, seen=0.0),)
    assert (
        only(classified(in_order(), 1.0, evaluations=worse), Symptom.UNSHUFFLED_DATA).severity
        is Severity.WARNING
    )


def test_shuffled_labels_sequences_and_players() -> None:
    assert data.check(classified(dealt([0.25] * 4))) == []
    sequence = labels(in_order().batch_counts, single=False)
    assert data.check(classified(sequence)) == []
    players = tuple(OptimizerRecord(kind="Adam", steps=100) for _ in range(2))
    assert data.check(classified(in_order(), optimizers=players, in_turns=True)) == []
    one_by_one = only(classified(in_order(), optimizers=players), Symptom.UNSHUFFLED_DATA)
    assert one_by_one.severity is Severity.WARNING
    roles = (LossRecord(function="cross_entropy", calls=200, producer="linear"),)
    assert data.check(classified(in_order(), losses=roles)) == []


def regression(targets: np.ndarray, **more: object) -> Observation:
    parts = targets.reshape(-1, 20)
    rows = np.stack([np.full(len(parts), 20.0), parts.sum(1), np.square(parts).sum(1)], axis=1)
    record = LabelRecord(classes=0, counts=rows.sum(axis=0), batch_counts=rows)
    losses = (LossRecord(function="mse_loss", calls=100, producer="linear"),)
    return observed(labels=record, losses=losses, **more)


def test_sorted_targets() -> None:
    rising = np.linspace(-2, 2, 800)
    assert only(regression(rising), Symptom.UNSHUFFLED_DATA).severity is Severity.WARNING
    assert data.check(regression(RNG.permutation(rising))) == []


def test_targets_that_a_network_gives_at_each_step_may_drift() -> None:
    rising = np.linspace(-2, 2, 800)
    (finding,) = data.check(regression(rising, passes_without_gradient=400))
    assert finding.severity is Severity.INFO


# -- labels unrelated to the inputs -----------------------------------------------------------


def unseen(accuracy: float, samples: int = 400, loss: float = 2.0) -> tuple[Evaluation, ...]:
    return tuple(
        Evaluation(step=step, samples=samples, accuracy=accuracy, loss=loss, seen=0.0)
        for step in (25, 50, 75, 100)
    )


@pytest.mark.parametrize(
    ("train", "test", "samples", "found"),
    [
        (0.99, 0.26, 400, True),
        (0.99, 0.45, 400, False),
        (0.99, 0.36, 400, False),  # a skill of 13 %
        (0.60, 0.26, 400, True),  # on the way to it: see below
        (0.30, 0.26, 400, False),
        (0.99, 0.26, 10, False),  # too few to say
    ],
)
def test_known_by_heart_and_nothing_else(
    train: float, test: float, samples: int, found: bool
) -> None:
    run = classified(dealt([0.25] * 4), train, evaluations=unseen(test, samples))
    findings = data.check(run)
    assert [finding.symptom for finding in findings] == [Symptom.LABEL_NOISE] * found


def test_half_learnt_by_heart_counts_while_no_evaluation_beats_a_constant_answer() -> None:
    """ln 4 = 1.386 is what always saying the shares of four equal classes costs."""
    for loss, found in ((1.45, True), (1.3, False)):
        run = classified(dealt([0.25] * 4), 0.60, evaluations=unseen(0.26, loss=loss))
        assert [f.symptom for f in data.check(run)] == [Symptom.LABEL_NOISE] * found
    few = classified(dealt([0.25] * 4), 0.60, evaluations=unseen(0.26)[:2])
    assert data.check(few) == []


@pytest.mark.parametrize(("train", "found"), [(0.7, True), (0.55, False)])
def test_without_an_evaluated_loss_more_must_be_learnt_by_heart(train: float, found: bool) -> None:
    silent = unseen(0.26, loss=math.nan)
    seen = data.check(classified(dealt([0.25] * 4), train, evaluations=silent))
    assert [one.symptom for one in seen] == [Symptom.LABEL_NOISE] * found


def test_few_training_samples_are_overfitting_instead() -> None:
    run = classified(dealt([0.25] * 4), 0.99, evaluations=unseen(0.26), training_samples=60)
    assert data.check(run) == []
    many = classified(dealt([0.25] * 4), 0.99, evaluations=unseen(0.26), training_samples=600)
    assert [finding.symptom for finding in data.check(many)] == [Symptom.LABEL_NOISE]
