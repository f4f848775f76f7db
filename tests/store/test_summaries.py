"""Rows and effects of a sweep against sums written out by numpy and scipy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec
from nndiag.store import summaries

ACTS, RATES, SEEDS = ("relu", "tanh"), (0.01, 0.1, 1.0), 4
SPEC = SweepSpec(axes=("act=relu,tanh", "lr=0.01,0.1,1"), seeds=SEEDS)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    """Accuracies (act, lr, seed) of a made-up sweep with an interaction."""
    generator = np.random.default_rng(3)
    act, lr = np.array([0.5, 0.55])[:, None, None], np.array([0.0, 0.2, 0.1])[:, None]
    cross = np.array([[0.0, 0.02, 0.0], [0.03, 0.0, -0.04]])[..., None]
    return np.asarray(act + lr + cross + generator.normal(0, 0.01, (2, 3, SEEDS)))


def outcome(act: str, lr: float, seed: int, accuracy: float, **facts: Any) -> Outcome:
    configuration = {"act": act, "lr": lr, "steps": 10}
    names = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", "train_loss")
    metrics = {name: accuracy if "accuracy" in name else 1 - accuracy for name in names}
    run = Run(configuration=configuration, seed=seed, **facts.pop("run", {}))
    return Outcome(
        run=run, metrics={**metrics, "samples": 360, **facts.pop("metrics", {})}, **facts
    )


@pytest.fixture(scope="module")
def configurations(scores: np.ndarray) -> list[summaries.Tried]:
    places = itertools.product(range(2), range(3), range(SEEDS))
    runs = [outcome(ACTS[a], RATES[r], s, scores[a, r, s]) for a, r, s in places]
    return summaries.tried(runs[::-1])  # the order in which they end has no say


def test_rows_against_scipy(configurations: list[summaries.Tried], scores: np.ndarray) -> None:
    rows = summaries.rows(SPEC, configurations)
    means = scores.mean(axis=2).ravel()
    order = np.argsort(-means)
    flat = scores.reshape(6, SEEDS)
    labels = [f"act={a} lr={r:g}" for a in ACTS for r in RATES]
    assert [row["label"] for row in rows] == [labels[place] for place in order]
    raw = [stats.ttest_rel(flat[order[0]], flat[place]).pvalue for place in order[1:]]
    adjusted = _holm(raw)
    for row, place, p_value in zip(rows, order, [1.0, *adjusted], strict=True):
        low, high = stats.t.interval(
            0.95, SEEDS - 1, loc=flat[place].mean(), scale=stats.sem(flat[place])
        )
        found = row["val_accuracy"]
        assert (found.mean, found.low, found.high) == pytest.approx((means[place], low, high), 1e-3)
        assert row["p_value"] == pytest.approx(p_value, rel=1e-6)
        assert row["tied"] is bool(p_value >= 0.05)


def _holm(p_values: list[float]) -> list[float]:
    """Holm's step-down procedure as the paper words it."""
    adjusted = {}
    ranked = sorted(range(len(p_values)), key=lambda k: p_values[k])
    for rank, place in enumerate(ranked):
        before = adjusted[ranked[rank - 1]] if rank else 0.0
        adjusted[place] = min(1.0, max(before, (len(p_values) - rank) * p_values[place]))
    return [adjusted[place] for place in range(len(p_values))]


def test_effects_are_those_of_an_analysis_of_variance(
    configurations: list[summaries.Tried], scores: np.ndarray
) -> None:
    effects = {one["axis"]: one for one in summaries.marginals(SPEC, configurations)}
    means = scores.mean(axis=2)
    total = ((means - means.mean()) ** 2).sum()
    for name, axis in (("act", 0), ("lr", 1)):
        main = means.mean(axis=1 - axis)
        share = means.size / means.shape[axis] * ((main - means.mean()) ** 2).sum() / total
        assert effects[name]["share"] == pytest.approx(share)
        assert [row["val_accuracy"].mean for row in effects[name]["rows"]] == pytest.approx(main)
    assert list(effects) == ["lr", "act"], "the strongest first"
    gaps = scores[:, 1].mean(axis=0) - scores[:, 0].mean(axis=0)
    low, high = stats.t.interval(0.95, SEEDS - 1, loc=gaps.mean(), scale=stats.sem(gaps))
    effect = effects["lr"]["effect"]
    assert (effects["lr"]["best"], effects["lr"]["worst"]) == ("0.1", "0.01")
    assert (effect.mean, effect.low, effect.high) == pytest.approx((gaps.mean(), low, high), 1e-3)


def test_the_heat_map_holds_the_means(
    configurations: list[summaries.Tried], scores: np.ndarray
) -> None:
    effects = summaries.marginals(SPEC, configurations)
    heat = summaries.heat_map(SPEC, configurations, effects)
    assert heat is not None
    assert (heat["x"], heat["y"], heat["y_labels"]) == ("lr", "act", list(ACTS))
    assert np.array(heat["val_accuracy"]) == pytest.approx(scores.mean(axis=2))
    assert summaries.heat_map(SPEC, configurations, effects[:1]) is None


def test_what_lacks_company_is_not_compared(scores: np.ndarray) -> None:
    """Where a seed of relu at the rate 1 is missing, no value is judged at this rate."""
    places = [p for p in itertools.product(range(2), range(3), range(SEEDS)) if p != (0, 2, 1)]
    runs = [outcome(ACTS[a], RATES[r], s, scores[a, r, s]) for a, r, s in places]
    effects = {one["axis"]: one for one in summaries.marginals(SPEC, summaries.tried(runs))}
    found = [row["val_accuracy"].mean for row in effects["act"]["rows"]]
    assert found == pytest.approx(scores[:, :2].mean(axis=(1, 2)))
    found = [row["val_accuracy"].mean for row in effects["lr"]["rows"]]
    assert found == pytest.approx(scores[1].mean(axis=1))


def test_a_random_axis_without_effect_gets_no_share() -> None:
    """Averaged over many sweeps: 0.2 of the raw shares, 3 of 15 degrees of freedom, is chance."""
    generator, shares = np.random.default_rng(0), []
    spec = SweepSpec(axes=("lr=log:0.001:1", "act=relu,tanh"), samples=16, seeds=1)
    for _sweep in range(200):
        runs = [
            outcome("relu", float(rate), 0, float(accuracy))
            for rate, accuracy in zip(
                10 ** generator.uniform(-3, 0, 16), generator.normal(size=16), strict=True
            )
        ]
        effects = {one["axis"]: one for one in summaries.marginals(spec, summaries.tried(runs))}
        shares.append(effects["lr"]["share"])
    assert np.mean(np.array(shares) == 0) > 0.4
    assert np.mean(shares) < 0.15


def test_many_numbers_stand_in_quarters() -> None:
    spec = SweepSpec(axes=("lr=log:0.001:1",), samples=40, seeds=1)
    rates = np.geomspace(0.001, 1, 40)
    runs = [outcome("relu", float(rate), 0, place / 40) for place, rate in enumerate(rates)]
    (effect,) = summaries.marginals(spec, summaries.tried(runs))
    assert [row["configurations"] for row in effect["rows"]] == [10, 10, 10, 10]
    quarters = np.arange(40).reshape(4, 10) / 40
    means = [row["val_accuracy"].mean for row in effect["rows"]]
    assert means == pytest.approx(quarters.mean(axis=1))
    assert effect["rows"][0]["lr"] == pytest.approx(math.sqrt(rates[0] * rates[9]))


def test_a_divergence_is_infinitely_bad_and_counted() -> None:
    spec = SweepSpec(axes=("lr=0.01,1",), metric="val_loss", seeds=2)
    gone = {"diverged": True, "metrics": {"val_loss": math.nan}}
    runs = [outcome("relu", 0.01, s, 0.5 + 0.1 * s) for s in range(2)]
    runs += [outcome("relu", 1.0, 0, 0.9), outcome("relu", 1.0, 1, 0.1, **gone)]
    first, second = summaries.rows(spec, summaries.tried(runs))
    assert (first["lr"], first["diverged"], second["lr"], second["diverged"]) == (0.01, 0, 1.0, 1)
    assert second["val_loss"].mean == math.inf
    assert (second["p_value"], second["tied"]) == (0.0, False)


def test_folds_are_the_units_and_pooling_weighs_them_by_size() -> None:
    spec = SweepSpec(axes=("lr=0.01,0.1",), folds=3, seeds=2)
    sizes, scores = np.array([4, 4, 3]), np.array([[0.5, 0.75, 1.0], [0.25, 0.5, 1.0]])
    runs = [
        outcome(
            *("relu", 0.01, seed, float(scores[seed, fold])),
            run={"fold": fold, "folds": 3},
            metrics={"samples": int(sizes[fold])},
        )
        for fold in range(3)
        for seed in range(2)
    ]
    (row,) = summaries.rows(spec, summaries.tried(runs))
    by_fold = scores.mean(axis=0)
    assert row["val_accuracy"].mean == pytest.approx(by_fold.mean())
    assert row["fold_spread"] == pytest.approx(by_fold.std(ddof=1))
    assert row["pooled_accuracy"] == pytest.approx((scores * sizes).sum() / (2 * sizes.sum()))


def test_sweeps_are_paired_over_what_they_share() -> None:
    first = summaries.tried([outcome("relu", 0.1, s, 0.5) for s in range(3)])
    second = summaries.tried([outcome("relu", 0.1, s, 0.6 + 0.1 * s) for s in range(1, 4)])
    assert summaries.paired(first, second, "val_accuracy") == pytest.approx([0.2, 0.3])
    assert summaries.paired(first, summaries.tried([outcome("elu", 0.1, 0, 1)]), "val_loss") == []
