"""Configurations: defaults, specs, what cannot be trained, and how runs are grouped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.schema.axes import KINDS
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_sweep import Run, SweepSpec
from nndiag.training import configurations


def test_a_configuration_is_complete_and_in_order() -> None:
    assert list(configurations.complete({"lr": 0.5})) == list(KINDS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"act": "relu", "init": "he_normal", "lr": 0.1, "depth": 3}),
        ({"act": "tanh"}, {"init": "xavier_uniform"}),
        ({"optimizer": "adam"}, {"lr": 0.001}),
        ({"net": "lstm"}, {"act": "tanh", "depth": 1}),
        ({"widths": "512-256-128-64"}, {"depth": 5}),
    ],
)
def test_defaults_follow_what_they_depend_on(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = configurations.complete(given)
    assert {name: found[name] for name in expected} == expected


def test_the_optimizer_gets_the_settings_that_it_has() -> None:
    adam = {"optimizer": "adam", "beta2": 0.99, "eps": 1e-6, "clip_norm": 1.0}
    spec = configurations.optimizer(configurations.complete(adam))
    assert (spec.name, dict(spec.options)) == ("adam", {"eps": 1e-6, "betas": (0.9, 0.99)})
    assert (spec.clip_norm, spec.clip_value) == (1.0, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lrr": 1}, "axis: unknown name 'lrr'; did you mean lr?"),
        ({"act": "rleu"}, "act: unknown name 'rleu'; did you mean relu? (or package.module:Name)"),
        (
            {"beta1": 0.9},
            "beta1: sgd has no such setting; leave the axis out, give it none, or sweep sgd apart",
        ),
        ({"net": "lstm", "norm": "batch"}, "--norm: got batch"),
        ({"schedule": "cosin"}, "schedule: unknown name 'cosin'; did you mean cosine?"),
        ({"data": "digit"}, "--data: unknown name 'digit'; did you mean digits?"),
        ({"widths": "512,256"}, "widths: got '512,256'; accepted: the units of each hidden layer"),
    ],
)
def test_what_cannot_be_trained_is_said(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        configurations.check([configurations.complete(given)])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("given", [{"schedule": "plateau"}, {"patience": 3}])
def test_what_follows_the_validation_loss_would_see_the_fold_held_out(
    given: dict[str, Any],
) -> None:
    one = configurations.complete(given)
    configurations.check([one])
    with pytest.raises(UsageError, match=r"^--cv: (plateau|patience) follows the validation loss"):
        configurations.check([one], folds=5)


def test_runs_are_every_fold_and_seed_of_each_configuration() -> None:
    spec = SweepSpec(axes=("lr=0.1,1",), seeds=3, seed=7, folds=2)
    found = configurations.runs(spec, configurations.asked(spec))
    assert len(found) == 2 * 2 * 3 == len({run.key("1") for run in found})
    assert {(run.fold, run.folds, run.split) for run in found} == {(0, 2, 7), (1, 2, 7)}
    assert {run.seed for run in found} == {7, 8, 9}


RUNS = st.lists(
    st.builds(
        lambda depth, lr, seed: Run(
            configuration=configurations.complete({"depth": depth, "lr": lr}), seed=seed
        ),
        *(st.integers(1, 3), st.sampled_from([0.1, 1.0]), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(RUNS, st.integers(1, 30))
def test_groups_hold_every_run_once_are_alike_and_even(runs: list[Run], most: int) -> None:
    groups = configurations.grouped(runs, most)
    together = [id(run) for group in groups for run in group]
    assert sorted(together) == sorted(map(id, runs))
    sizes: dict[Any, list[int]] = {}
    for group in groups:
        (structure,) = {configurations.alike(run) for run in group}
        sizes.setdefault(structure, []).append(len(group))
    for found in sizes.values():
        assert max(found) <= most
        assert max(found) - min(found) <= 1
        assert len(found) == -(-sum(found) // most)
