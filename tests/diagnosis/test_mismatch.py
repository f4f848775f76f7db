"""Losses and scores that do not belong together, on observations made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nndiag.diagnosis import mismatch
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import (
    ErrorRecord,
    LossRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    Series,
)
from nndiag.schema.trace import LayerInfo, Trace


def model(outputs: int = 5, layer: str = "head.2") -> ModelRecord:
    info = LayerInfo(name=layer, index=1, kind="Linear", fan_out=outputs, output=True)
    trace = Trace(layers=(info,), steps=np.zeros(0, int), columns={}, missing={})
    return ModelRecord(
        name="net", kind="Net", trace=trace, training_passes=100, output_features=outputs
    )


def observed(*losses: LossRecord, outputs: int = 5, **more: object) -> Observation:
    fields: dict[str, object] = {"steps": 100, "backwards": 100, "seconds": 1.0}
    fields |= {"models": (model(outputs),), "losses": losses}
    return Observation(**(fields | more))  # type: ignore[arg-type]


def record(function: str, producer: str, **more: object) -> LossRecord:
    fields: dict[str, object] = {"scores_shape": (32, 5), "target_shape": (32,), "calls": 100}
    return LossRecord(function=function, producer=producer, **(fields | more))  # type: ignore[arg-type]


def only(observation: Observation) -> Finding:
    (finding,) = mismatch.check(observation)
    assert finding.symptom is Symptom.LOSS_OUTPUT_MISMATCH
    return finding


def series(values: list[float]) -> Series:
    return Series(steps=np.arange(1, len(values) + 1), values=np.array(values))


def falling(end: float) -> tuple[OptimizerRecord, ...]:
    """An optimizer whose loss falls from 1 to `end`."""
    return (OptimizerRecord(kind="Adam", steps=100, loss=series(list(np.geomspace(1, end, 100)))),)


# -- samples that compete ---------------------------------------------------------------------


@pytest.mark.parametrize(("end", "said"), [(0.9, True), (0.05, False)])
def test_softmax_over_the_samples(end: float, said: bool) -> None:
    way = record("expression", "other", scores_shape=(), target_shape=(), across=(32, 5))
    found = mismatch.check(observed(way, optimizers=falling(end)))
    assert len(found) == said
    if said:
        assert "32 samples" in found[0].cause
        assert "5 classes" in found[0].cause


# -- a function before a loss that applies it itself ------------------------------------------


def test_softmax_before_cross_entropy_is_critical_and_names_the_line() -> None:
    finding = only(observed(record("cross_entropy", "softmax", classes=5)))
    assert finding.severity is Severity.CRITICAL
    assert finding.layers == ("head.2",)
    assert finding.fixes == (
        "remove the softmax after `net.head[2]`: `F.cross_entropy` expects raw scores",
    )


def test_it_is_a_warning_where_the_network_learns_all_the_same() -> None:
    finding = only(observed(record("cross_entropy", "softmax", classes=5), optimizers=falling(0.1)))
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize("classes", [2, 5, 100])
@pytest.mark.parametrize(("producer", "low", "high"), [("softmax", 0, 1), ("tanh", -1, 1)])
def test_floor_of_cross_entropy_is_the_loss_of_the_best_scores(
    classes: int, producer: str, low: float, high: float
) -> None:
    best = torch.full((1, classes), float(low), dtype=torch.float64)
    best[0, 0] = high
    floor = F.cross_entropy(best, torch.tensor([0])).item()
    finding = only(observed(record("cross_entropy", producer, classes=classes)))
    assert finding.evidence["loss_floor"] == pytest.approx(floor, rel=1e-12)


@pytest.mark.parametrize(
    ("producer", "low", "high"),
    [("sigmoid", 0.0, 1.0), ("softmax", 0.0, 1.0), ("tanh", -1.0, 1.0), ("relu", 0.0, 50.0)],
)
def test_floor_of_binary_loss_is_that_of_the_worse_label(
    producer: str, low: float, high: float
) -> None:
    best = [
        F.binary_cross_entropy_with_logits(
            torch.tensor(score, dtype=torch.float64), torch.tensor(label, dtype=torch.float64)
        ).item()
        for score, label in ((low, 0.0), (high, 1.0))
    ]
    finding = only(observed(record("binary_cross_entropy_with_logits", producer)))
    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["loss_floor"] == pytest.approx(max(best), abs=1e-12)


def test_log_softmax_twice_is_harmless_and_says_so() -> None:
    scores = torch.randn(4, 3, dtype=torch.float64)
    once = F.log_softmax(scores, 1)
    torch.testing.assert_close(F.log_softmax(once, 1), once)
    finding = only(observed(record("cross_entropy", "log_softmax", classes=5)))
    assert finding.severity is Severity.INFO
    assert "no harm" in finding.cause


@pytest.mark.parametrize(
    ("function", "producer"),
    [
        ("cross_entropy", "linear"),
        ("cross_entropy", "other"),
        ("cross_entropy", "log_sigmoid"),
        ("binary_cross_entropy_with_logits", "linear"),
        ("binary_cross_entropy", "sigmoid"),
        ("binary_cross_entropy", "softmax"),
        ("binary_cross_entropy", "other"),
        ("nll_loss", "log_softmax"),
        ("nll_loss", "other"),
        ("mse_loss", "softmax"),
        ("mse_loss", "linear"),
        ("expression", "other"),
    ],
)
def test_pairs_that_belong_together(function: str, producer: str) -> None:
    assert mismatch.check(observed(record(function, producer))) == []


@pytest.mark.parametrize("function", ["cross_entropy", "binary_cross_entropy_with_logits"])
def test_relu_on_the_output_layer(function: str) -> None:
    finding = only(observed(record(function, "relu", classes=5)))
    assert "relu" in finding.cause
    assert finding.severity is Severity.CRITICAL


# -- raw scores -------------------------------------------------------------------------------


@pytest.mark.parametrize("producer", ["linear", "softmax", "other"])
def test_scores_that_are_no_log_probabilities(producer: str) -> None:
    raw = only(observed(record("nll_loss", producer, not_log_probabilities=1.0)))
    assert raw.severity is Severity.CRITICAL
    assert raw.fixes[0] == "`F.cross_entropy(scores, target)` on raw scores"
    rounding = record("nll_loss", producer, not_log_probabilities=0.5)
    assert mismatch.check(observed(rounding)) == []


def test_log_softmax_in_low_precision_is_not_raw() -> None:
    rounded = record("nll_loss", "log_softmax", not_log_probabilities=1.0)
    assert mismatch.check(observed(rounded)) == []


@pytest.mark.parametrize("producer", ["linear", "relu", "tanh", "clamp"])
def test_raw_scores_into_binary_cross_entropy(producer: str) -> None:
    assert only(observed(record("binary_cross_entropy", producer))).severity is Severity.CRITICAL


@pytest.mark.parametrize(("loss", "found"), [(45.0, True), (0.6, False)])
def test_scores_cut_off_to_probabilities_are_told_by_their_loss(loss: float, found: bool) -> None:
    """Only answers of exactly 0 or 1 cost 100 each; what made them is not known here."""
    cut = F.binary_cross_entropy(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    assert cut.item() == 50
    optimizer = OptimizerRecord(kind="Adam", steps=100, loss=series([loss] * 100))
    run = observed(record("binary_cross_entropy", "other"), optimizers=(optimizer,))
    assert len(mismatch.check(run)) == found


def _died(message: str, kind: str = "RuntimeError") -> ErrorRecord:
    return ErrorRecord(kind=kind, message=message, step=0)


def test_script_that_died_of_raw_scores() -> None:
    with pytest.raises(RuntimeError) as error:
        F.binary_cross_entropy(torch.tensor([2.0]), torch.tensor([1.0]))
    finding = only(observed(steps=0, error=_died(str(error.value))))
    assert "binary_cross_entropy_with_logits" in finding.fixes[0]


def test_nan_dies_of_the_same_error_but_is_no_mismatch() -> None:
    with pytest.raises(RuntimeError) as error:
        F.binary_cross_entropy(torch.tensor([math.nan]), torch.tensor([1.0]))
    died = _died(str(error.value))
    squashed = record("binary_cross_entropy", "sigmoid")
    assert mismatch.check(observed(squashed, error=died)) == []
    broken = OptimizerRecord(kind="SGD", steps=2, loss=series([1.0, math.nan]))
    assert mismatch.check(observed(error=died, optimizers=(broken,))) == []


def test_label_without_an_output() -> None:
    with pytest.raises(IndexError) as error:
        F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3]))
    finding = only(observed(outputs=3, error=_died(str(error.value), "IndexError")))
    assert finding.evidence == {"error": "Target 3 is out of bounds.", "outputs": 3}
    assert "(Target 3 is out of bounds)" in finding.cause


def test_other_errors_are_not_ours() -> None:
    assert mismatch.check(observed(error=_died("list index out of range", "IndexError"))) == []
    assert mismatch.check(observed(error=_died("out of memory"))) == []


# -- one output -------------------------------------------------------------------------------


def test_softmax_over_one_unit() -> None:
    for shape in ((32, 1), (32, 7, 1)):
        finding = only(observed(record("mse_loss", "softmax", scores_shape=shape)))
        assert finding.severity is Severity.CRITICAL
        assert "1 for every input" in finding.cause
    squeezed = record("binary_cross_entropy", "softmax", scores_shape=(32,))
    assert only(observed(squeezed, outputs=1)).severity is Severity.CRITICAL
    assert mismatch.check(observed(squeezed, outputs=5)) == []


def test_one_output_with_cross_entropy() -> None:
    loss = F.cross_entropy(torch.randn(4, 1), torch.zeros(4, dtype=torch.long))
    assert loss.item() == 0
    one = record("cross_entropy", "linear", scores_shape=(32, 1), classes=1)
    assert only(observed(one, outputs=1)).severity is Severity.CRITICAL
    assert mismatch.check(observed(record("cross_entropy", "linear", classes=1000))) == []


# -- broadcast --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "target", "fix"),
    [
        ((32, 1), (32,), "`pred.squeeze(1)` before the loss"),
        ((32,), (32, 1), "`target.squeeze(1)` before the loss"),
        ((1, 1), (1,), "`pred.squeeze(1)` before the loss"),  # the last batch was one sample
    ],
)
def test_column_against_row(scores: tuple[int, ...], target: tuple[int, ...], fix: str) -> None:
    spread = record("mse_loss", "linear", broadcast=True, scores_shape=scores, target_shape=target)
    finding = only(observed(spread))
    assert finding.severity is Severity.CRITICAL
    assert finding.fixes[0] == fix
    assert finding.evidence["scores_shape"] == str(scores)


@pytest.mark.parametrize(
    ("scores", "target"), [((32, 5), (5,)), ((32, 5), (1, 5)), ((32, 5), (32, 1))]
)
def test_a_broadcast_that_makes_no_more_pairs_is_meant(
    scores: tuple[int, ...], target: tuple[int, ...]
) -> None:
    meant = record("mse_loss", "linear", broadcast=True, scores_shape=scores, target_shape=target)
    assert mismatch.check(observed(meant)) == []


# -- range ------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
@pytest.mark.parametrize(
    ("producer", "low", "high", "wrong"),
    [
        ("sigmoid", 0.0, 1.0, False),
        ("sigmoid", -0.1, 1.1, False),
        ("sigmoid", -2.0, 2.0, True),
        ("sigmoid", 0.0, 255.0, True),
        ("tanh", -1.0, 1.0, False),
        ("tanh", -3.0, 3.0, True),
        ("relu", 0.0, 50.0, False),
        ("relu", -0.1, 1.0, False),
        ("relu", -1.0, 1.0, True),
        ("linear", -3.0, 3.0, False),
        ("sigmoid", math.nan, math.nan, False),
    ],
)
def test_targets_the_output_cannot_reach(
    function: str, producer: str, low: float, high: float, wrong: bool
) -> None:
    found = mismatch.check(observed(record(function, producer, target_low=low, target_high=high)))
    assert bool(found) == wrong
    assert all(producer in finding.cause for finding in found)


def test_relu_that_is_pinned_at_zero_below_targets_above_it() -> None:
    pinned = record("mse_loss", "relu", target_low=1.0, target_high=2.0, zero_scores=0.7)
    assert "70%" in only(observed(pinned)).cause
    half = record("mse_loss", "relu", target_low=1.0, target_high=2.0, zero_scores=0.5)
    sparse = record("mse_loss", "relu", target_low=0.0, target_high=2.0, zero_scores=0.9)
    assert mismatch.check(observed(half, sparse)) == []
