"""Climbing and dying rates, on observations made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nndiag.diagnosis import direction
from nndiag.schema.finding import Symptom
from nndiag.schema.observation import LabelRecord, LossRecord, Observation, OptimizerRecord, Series


def series(values: np.ndarray) -> Series:
    return Series(steps=np.arange(1, len(values) + 1), values=np.asarray(values, float))


def run(
    *,
    lr: np.ndarray | None = None,
    loss: np.ndarray | None = None,
    negated: bool = False,
    maximize: bool = False,
    function: str = "cross_entropy",
    optimizers: int = 1,
    accuracy: float = 0.4,
) -> Observation:
    steps = 200
    record = OptimizerRecord(
        kind="SGD",
        steps=steps,
        lr=series(np.full(steps, 0.1) if lr is None else lr),
        loss=series(np.full(steps, 2.0) if loss is None else loss),
        maximize=maximize,
        schedulers={"StepLR": steps},
    )
    return Observation(
        steps=steps,
        backwards=steps,
        seconds=1.0,
        optimizers=(record,) * optimizers,
        losses=(LossRecord(function=function, calls=steps, negated=negated),),
        labels=LabelRecord(classes=10, counts=np.full(10, 20.0), batch_counts=np.zeros((0, 10))),
        accuracy=series(np.full(steps, accuracy)),
    )


def named(observation: Observation) -> list[Symptom]:
    return [finding.symptom for finding in direction.check(observation)]


def test_a_negated_error_climbs() -> None:
    assert named(run(negated=True)) == [Symptom.WRONG_DIRECTION]
    assert named(run(maximize=True)) == [Symptom.WRONG_DIRECTION]


@pytest.mark.parametrize(
    "fine",
    [
        run(),
        run(negated=True, maximize=True),  # turned round twice
        run(negated=True, optimizers=2),  # the generator of a GAN
        run(maximize=True, function="expression"),  # a reward
    ],
)
def test_what_goes_the_right_way(fine: Observation) -> None:
    assert named(fine) == []


STEPS = np.arange(200)


@pytest.mark.parametrize(
    ("rates", "dies"),
    [
        (0.1 * 0.5 ** (STEPS // 10), True),  # StepLR at every batch
        (0.1 * 0.9**STEPS, True),
        (0.1 * 0.5 ** (STEPS // 50), False),
        (0.05 * (1 + np.cos(np.pi * STEPS / 199)), False),  # cosine to zero
        (0.1 * (1 - STEPS / 199), False),  # linear to zero
        (np.minimum(STEPS / 50, 1) * 0.1, False),  # warm-up from zero
        (np.zeros(200), True),
    ],
)
def test_rates_that_die(rates: np.ndarray, dies: bool) -> None:
    assert named(run(lr=rates)) == [Symptom.BAD_SCHEDULE] * dies


def test_a_rate_may_die_when_the_work_is_done() -> None:
    rates = 0.1 * 0.9**STEPS
    assert named(run(lr=rates, accuracy=0.97, loss=2.0 * 0.97**STEPS)) == []


def test_it_says_when_the_schedule_runs_at_every_step() -> None:
    (finding,) = direction.check(run(lr=0.1 * 0.9**STEPS))
    assert "`StepLR.step()` is called at every optimizer step" in finding.cause


@pytest.mark.parametrize(
    ("loss", "floorless"),
    [
        (5.0 - np.exp(STEPS / 15), True),
        (200.0 - np.exp(STEPS / 15), True),
        (5.0 - 3.0 * STEPS, False),  # below zero, no faster at the end
        (1000.0 - 3000.0 * (1 - np.exp(-STEPS / 30)), False),  # a negative log-density
        (np.exp(STEPS / 15), False),  # rises
    ],
)
def test_a_loss_without_a_floor(loss: np.ndarray, floorless: bool) -> None:
    found = direction.check(run(loss=loss, function="expression"))
    assert [f.symptom for f in found] == [Symptom.WRONG_DIRECTION] * floorless


def test_players_of_a_game_may_fall_for_ever() -> None:
    assert named(run(loss=5.0 - np.exp(STEPS / 15), optimizers=2)) == []
