"""Verdicts: one measure for all runs, a margin, a paired test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nndiag.remedies.judging import Figures, choose_scale, compare, verdicts
from nndiag.schema.trial import Measure, Verdict


def figures(**values: float) -> Figures:
    unknown = dict.fromkeys(
        ("accuracy", "accuracy_start", "validation_loss", "validation_accuracy"), math.nan
    )
    return unknown | {"loss_start": 2.0, "loss_reference": 2.0, "loss": 2.0} | values


def by_seed(name: str, values: list[float]) -> dict[int, Figures]:
    return {seed: figures(**{name: value}) for seed, value in enumerate(values)}


def judged(name: str, control: list[float], *others: list[float]) -> list[Verdict]:
    own = by_seed(name, control)
    changed = [by_seed(name, values) for values in others]
    scale = choose_scale(list(own.values()), [f for one in changed for f in one.values()])
    assert scale is not None
    return [verdict for verdict, _p in verdicts([compare(own, one, scale) for one in changed])]


@pytest.mark.parametrize(
    ("known", "measure"),
    [
        (
            {"validation_accuracy": 0.5, "accuracy": 0.6, "validation_loss": 1.0},
            "validation_accuracy",
        ),
        ({"accuracy": 0.6, "validation_loss": 1.0}, "accuracy"),
        ({"validation_loss": 1.0}, "validation_loss"),
        ({}, "loss"),
    ],
)
def test_the_measure_is_the_nearest_to_what_the_user_wants(
    known: dict[str, float], measure: str
) -> None:
    scale = choose_scale([figures(**known)] * 3, [])
    assert scale is not None
    assert scale.measure is Measure(measure)


def test_a_measure_that_one_control_run_lacks_is_not_taken() -> None:
    scale = choose_scale([figures(accuracy=0.5), figures()], [figures(accuracy=0.9)])
    assert scale is not None
    assert scale.measure is Measure.LOSS


def test_losses_that_may_be_negative_are_compared_by_difference() -> None:
    scale = choose_scale([figures(loss=-1.0)], [])
    assert scale is not None
    assert scale.unit == "difference"


def test_a_cure_and_changes_that_do_little() -> None:
    assert judged(
        "accuracy",
        [0.10, 0.11, 0.09, 0.10, 0.10, 0.12],
        [0.90, 0.93, 0.88, 0.91, 0.90, 0.92],
        [0.14, 0.15, 0.13, 0.14, 0.14, 0.16],  # surely better, by four points: no cure
        [0.10, 0.95, 0.10, 0.93, 0.10, 0.12],  # now and then
    ) == [Verdict.VERIFIED, Verdict.NO_EFFECT, Verdict.NO_EFFECT]


def test_where_little_room_is_left_half_of_the_errors_count() -> None:
    control = [0.90, 0.91, 0.89, 0.90, 0.90, 0.91]
    assert judged("accuracy", control, [0.97] * 6, [0.93] * 6) == [
        Verdict.VERIFIED,
        Verdict.NO_EFFECT,
    ]


def test_a_loss_must_fall_to_half() -> None:
    control = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95]
    half = [0.45 * value for value in control]
    little = [0.8 * value for value in control]
    double = [2.5 * value for value in control]
    assert judged("loss", control, half, little, double) == [
        Verdict.VERIFIED,
        Verdict.NO_EFFECT,
        Verdict.WORSE,
    ]


def test_a_loss_that_is_small_already_needs_no_cure() -> None:
    assert judged("loss", [0.015] * 6, [1e-4] * 6) == [Verdict.NO_EFFECT]


def test_runs_that_diverge_count_as_failed() -> None:
    nan = [math.nan] * 6
    learnt = [0.2, 0.25, 0.3, 0.2, 0.22, 0.21]
    assert judged("loss", nan, learnt, nan) == [Verdict.VERIFIED, Verdict.NO_EFFECT]
    assert judged("loss", learnt, nan) == [Verdict.WORSE]


def test_a_control_that_crashed_stands_for_the_untrained_network() -> None:
    changed = {s: figures(accuracy=0.9 + s / 100, accuracy_start=0.5) for s in range(6)}
    scale = choose_scale([], list(changed.values()))
    assert scale is not None
    found = compare(dict.fromkeys(range(6), None), changed, scale)
    assert found.effects == pytest.approx([0.4 + s / 100 for s in range(6)])
    assert verdicts([found])[0][0] is Verdict.VERIFIED


def test_the_p_value_is_that_of_scipy_on_logarithms() -> None:
    random = np.random.default_rng(0)
    before, after = random.uniform(0.5, 1.5, 6), random.uniform(0.1, 0.9, 6)
    own, changed = by_seed("loss", list(before)), by_seed("loss", list(after))
    scale = choose_scale(list(own.values()), [])
    assert scale is not None
    expected = stats.ttest_rel(np.log(before), np.log(after)).pvalue
    found = compare(own, changed, scale)
    assert verdicts([found])[0][1] == pytest.approx(expected, rel=1e-6)
    effect = found.interval(scale)
    assert effect is not None
    assert effect.mean == pytest.approx(math.exp(np.log(before / after).mean()))


@pytest.mark.slow
def test_chance_is_rarely_taken_for_a_cure() -> None:
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):  # chaotic runs: half of them learn, whatever is changed
        draws = np.where(random.random((9, 6)) < 0.5, 0.1, 0.9)
        wrong += Verdict.VERIFIED in judged("accuracy", *[list(row) for row in draws])
    assert wrong / 400 <= 0.05
