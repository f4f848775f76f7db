"""The description of a sweep: stable names, checks, and the passage through JSON."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import pytest

from nndiag.schema.errors import UsageError
from nndiag.schema.result import plain, revive
from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec, key


def test_a_key_is_the_digest_of_the_canonical_json() -> None:
    canonical = '["1.0",{"a":[1,0.5],"b":"é"}]'
    expected = hashlib.sha256(canonical.encode()).hexdigest()[:24]
    assert key({"b": "é", "a": (1.0, 0.5)}, "1.0") == expected
    assert key({"a": [1, 0.5], "b": "é"}, "1.0") == expected
    assert key({"a": [1, 0.5], "b": "é"}, "1.1") != expected


def test_every_part_of_a_run_is_in_its_key() -> None:
    base: dict[str, Any] = {"configuration": {"lr": 0.1}, "seed": 0}
    others: list[dict[str, Any]] = [
        {"configuration": {"lr": 0.2}},
        *({"seed": 1}, {"split": 1}, {"fold": 0}, {"folds": 5}),
    ]
    keys = {Run(**{**base, **other}).key("1") for other in ({}, *others)}
    assert len(keys) == 1 + len(others)


def test_through_json_and_back() -> None:
    spec = SweepSpec(axes=("lr=0.1,1",), base={"depth": 3, "clip_norm": None}, folds=4)
    assert SweepSpec.from_dict(revive(json.loads(json.dumps(plain(spec.to_dict()))))) == spec


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"axes": ()}, "sweep: got no axis; accepted: AXIS=VALUES, such as lr=log:1e-4:1:9"),
        ({"metric": "val_acuracy"}, "--metric: unknown name 'val_acuracy'; did you mean "
         "val_accuracy?"),
        ({"seeds": 0}, "--seeds: got 0; accepted: from 1 to 10000"),
        ({"samples": 0}, "--samples: got 0; accepted: from 1 to 100000"),
        ({"folds": 1}, "--cv: got 1; accepted: from 2 to 1000"),
        ({"base": {"lr": 1}}, "lr: given as an axis and as an option; leave one out"),
        ({"axes": ("steps=1,2",), "halving": True}, "steps: --halving decides the steps; give "
         "one number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        SweepSpec(**{"axes": ("lr=0.1,1",), **facts})
    assert str(caught.value) == message


def test_a_divergence_scores_worst() -> None:
    run = Run(configuration={}, seed=0)
    gone = Outcome(run=run, metrics={"val_accuracy": 0.3, "val_loss": math.nan}, diverged=True)
    assert (gone.score("val_accuracy"), gone.score("val_loss")) == (0.0, math.inf)
    assert Outcome(run=run, metrics={"val_loss": 0.2}).score("val_loss") == 0.2
