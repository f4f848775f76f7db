"""The size of the steps, on observations made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nndiag.diagnosis import optimisation, progress
from nndiag.schema.finding import Symptom
from nndiag.schema.observation import (
    ClipRecord,
    LabelRecord,
    LossRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    Series,
)
from nndiag.schema.trace import LayerInfo, Trace

STEPS = 200
T = np.arange(STEPS)
RNG = np.random.default_rng(0)
NOISE = 1 + 0.15 * RNG.standard_normal(STEPS)


def series(values: np.ndarray | float) -> Series:
    return Series(steps=T + 1, values=np.broadcast_to(np.asarray(values, float), (STEPS,)))


def run(
    loss: np.ndarray,
    *,
    update: np.ndarray | float = 1e-3,
    labels: bool = True,
    optimizers: int = 1,
    **more: object,
) -> Observation:
    record = OptimizerRecord(
        kind="SGD",
        steps=STEPS,
        lr=series(0.1),
        loss=series(loss),
        update_ratio=series(update),
        **more,  # type: ignore[arg-type]
    )
    counts = LabelRecord(classes=4, counts=np.full(4, 50.0), batch_counts=np.zeros((0, 4)))
    return Observation(
        steps=STEPS,
        backwards=STEPS,
        seconds=1.0,
        optimizers=(record,) * optimizers,
        losses=(LossRecord(function="cross_entropy", calls=STEPS),),
        labels=counts if labels else None,
    )


def named(observation: Observation) -> list[Symptom]:
    return [finding.symptom for finding in optimisation.check(observation)]


PRIOR = float(np.log(4))
FALLING = PRIOR * np.exp(-T / 50) * NOISE
FLAT = PRIOR * (1 + 0.01 * RNG.standard_normal(STEPS))


@pytest.mark.parametrize(
    "healthy",
    [
        run(FALLING),
        run(FALLING, update=0.05),
        run(np.where(T < 150, FALLING, 0.07 * NOISE)),  # a converged plateau
        run(PRIOR * NOISE, optimizers=2),  # players of a game
        run(-T / 10.0, labels=False),  # a likelihood below zero
        run(FALLING, clip=ClipRecord(kind="norm", calls=200, share=0.9, limit=1.0, norm=3.0)),
        run(1.6 * np.exp(-T / 90) * (1 + 0.3 * RNG.standard_normal(STEPS)), labels=False),
    ],
)
def test_healthy_runs(healthy: Observation) -> None:
    assert named(healthy) == []


@pytest.mark.parametrize(
    ("loss", "update"),
    [
        (PRIOR * np.exp(T / 30), 0.02),  # climbs
        (np.where(T < 12, PRIOR * 3.0**T, np.nan), 0.5),  # to NaN
        (np.where(T == 0, PRIOR, PRIOR * 1.3 * NOISE + 40 * (T == 1)), 0.3),  # thrown out at once
        (PRIOR * (1 + 2 * (T % 2)), 0.05),  # swings
        (PRIOR * 1.1 * NOISE, 0.4),  # leaps
    ],
)
def test_rates_too_high(loss: np.ndarray, update: float) -> None:
    assert Symptom.LEARNING_RATE_TOO_HIGH in named(run(loss, update=update))


def test_a_nan_out_of_the_blue_is_not_the_rates_fault() -> None:
    loss = np.where(T < 120, FALLING, np.nan)
    assert Symptom.LEARNING_RATE_TOO_HIGH not in named(run(loss, update=5e-3))


@pytest.mark.parametrize(("update", "low"), [(1e-6, True), (5e-5, True), (1e-3, False)])
def test_rates_too_low(update: float, low: bool) -> None:
    loss = PRIOR * (1 - 5e-4 * T) * (1 + 0.01 * RNG.standard_normal(STEPS))
    assert (Symptom.LEARNING_RATE_TOO_LOW in named(run(loss, update=update))) == low


def test_a_stalled_loss_says_what_the_prior_costs() -> None:
    findings = optimisation.check(run(FLAT))
    assert [finding.symptom for finding in findings] == [Symptom.STALLED_LOSS]
    assert findings[0].evidence["prior_loss"] == pytest.approx(PRIOR)
    assert "frequencies of the labels" in findings[0].cause


def test_the_prior_is_the_entropy_of_the_labels() -> None:
    from scipy.stats import entropy

    counts = np.array([70.0, 20.0, 10.0, 0.0])
    labels = LabelRecord(classes=4, counts=counts, batch_counts=np.zeros((0, 4)))
    seen = Observation(steps=1, backwards=1, seconds=1.0, labels=labels)
    assert progress.prior(seen) == pytest.approx(entropy(counts))


@pytest.mark.parametrize(("leftover", "missing"), [(0.0, False), (0.4, False), (1.0, True)])
def test_missing_zero_grad(leftover: float, missing: bool) -> None:
    assert (Symptom.MISSING_ZERO_GRAD in named(run(FALLING, leftover=leftover))) == missing


@pytest.mark.parametrize(
    ("share", "norm", "loss", "said"),
    [(1.0, 100.0, FLAT, True), (1.0, 100.0, FALLING, False), (0.5, 100.0, FLAT, False)],
)
def test_always_clipped(share: float, norm: float, loss: np.ndarray, said: bool) -> None:
    clip = ClipRecord(kind="norm", calls=200, share=share, limit=1.0, norm=norm)
    assert (Symptom.ALWAYS_CLIPPED in named(run(loss, clip=clip))) == said


def test_short_runs_are_not_judged() -> None:
    record = OptimizerRecord(
        kind="SGD", steps=9, loss=Series(steps=np.arange(9), values=np.full(9, PRIOR))
    )
    seen = Observation(steps=9, backwards=9, seconds=1.0, optimizers=(record,))
    assert named(seen) == []


@pytest.mark.parametrize(
    ("ratios", "updates", "lost"),
    [
        ([0.5, 1e-5], [0.3, 0.05, 0.01], True),
        ([1e-4, 1e-5], [0.3, 0.05, 0.01], False),  # small before any step
        ([0.5, 0.1], [0.3, 0.05, 0.01], False),
        ([0.5, 1e-5], [0.05, 0.05, 0.01], False),  # not by large steps
    ],
)
def test_first_steps_that_throw_the_signal_away(
    ratios: list[float], updates: list[float], lost: bool
) -> None:
    rows = np.ones((STEPS, 3, 1))
    rows[0, 0], rows[1:, 0] = ratios
    layers = tuple(
        LayerInfo(name=f"fc{at}", index=at, kind="Linear", output=at == 3) for at in (1, 2, 3)
    )
    trace = Trace(
        layers=layers,
        steps=T,
        columns={"output_grad_norm": rows},
        missing={"output_grad_norm": np.zeros(3, bool)},
    )
    model = ModelRecord(name="net", kind="Net", trace=trace, training_passes=STEPS)
    steps = np.concatenate([updates, np.full(STEPS - 3, 0.002)])
    seen = replace(run(1.3 * NOISE, update=steps), models=(model,))
    found = optimisation.check(seen)
    assert (Symptom.LEARNING_RATE_TOO_HIGH in [one.symptom for one in found]) == lost
    if lost:
        assert found[0].evidence["grad_ratio_before"] == pytest.approx(0.5)
        assert found[0].evidence["grad_ratio_after"] == pytest.approx(1e-5)
