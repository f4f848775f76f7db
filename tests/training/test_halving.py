"""Successive halving: its rungs by the paper's rule, and who is promoted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec
from nndiag.training.halving import climb, rungs


@given(st.integers(1, 200), st.integers(1, 2000))
def test_rungs(configurations: int, steps: int) -> None:
    found = rungs(configurations, steps)
    assert found[0].configurations == configurations
    assert found[-1].steps == steps
    for before, after in itertools.pairwise(found):
        assert after.configurations == math.ceil(before.configurations / 2)
        assert before.steps == math.ceil(after.steps / 2)
    assert found[0].steps >= steps / 16


def test_with_enough_steps_there_are_ceil_log2_n_rungs_of_one_cost() -> None:
    found = rungs(16, 320)
    assert [(r.configurations, r.steps) for r in found] == [(16, 40), (8, 80), (4, 160), (2, 320)]
    assert {r.configurations * r.steps for r in found} == {640}


def table(run: Run) -> float:
    """A made-up accuracy: the best rate is 8, seeds differ, and more steps help all alike."""
    lr = float(run.configuration["lr"])
    return 1 - abs(lr - 8) / 20 + 0.001 * run.seed - 1 / run.steps


def outcomes_of(runs: Sequence[Run], rung: str) -> list[Outcome]:
    return [Outcome(run=run, metrics={"val_accuracy": table(run), "val_loss": 1.0}) for run in runs]


SPEC = SweepSpec(axes=("lr=1,2,4,8,16",), base={"steps": 160}, halving=True, seeds=2)


def test_the_better_half_goes_on() -> None:
    """Against the rule written out: sort by mean accuracy, keep ceil(n / 2), double the steps."""
    rates, expected = [1.0, 2.0, 4.0, 8.0, 16.0], []
    for steps in (40, 80, 160):
        expected.append((steps, set(rates)))
        rates = sorted(rates, key=lambda lr: abs(lr - 8))[: math.ceil(len(rates) / 2)]
    found = list(climb(SPEC, outcomes_of))
    reached = [(r.steps, {one.configuration["lr"] for one in r.tried}) for r in found]
    assert reached == expected
    assert all(len(one.outcomes) == 2 for rung in found for one in rung.tried)


def test_where_runs_are_missing_it_ends() -> None:
    def half(runs: Sequence[Run], rung: str) -> list[Outcome]:
        known = outcomes_of(runs, rung)
        return known if rung == "1/3" else known[:-1]

    assert [rung.steps for rung in climb(SPEC, half)] == [40, 80]


def test_a_failed_configuration_is_not_promoted() -> None:
    def failing(runs: Sequence[Run], rung: str) -> list[Outcome]:
        return [
            Outcome(run=one.run, error="no memory") if one.run.configuration["lr"] == 8 else one
            for one in outcomes_of(runs, rung)
        ]

    found = list(climb(SPEC, failing))
    assert [len(rung.failed) for rung in found] == [2, 0, 0]
    assert {one.configuration["lr"] for one in found[-1].tried} <= {1.0, 2.0, 4.0}


@pytest.mark.parametrize("halving", [False, True])
def test_one_configuration_trains_once(halving: bool) -> None:
    spec = SweepSpec(axes=("lr=1",), base={"steps": 160}, halving=halving, seeds=2)
    (only,) = climb(spec, outcomes_of)
    assert {outcome.run.steps for outcome in only.tried[0].outcomes} == {160}
