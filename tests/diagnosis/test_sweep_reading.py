"""What a sweep says follows from its rows: each sentence where it is true, and only there."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nndiag.diagnosis.sweep_reading import comparison, reading
from nndiag.schema.result import Interval
from nndiag.schema.spec_sweep import SweepSpec

SPEC = SweepSpec(axes=("lr=0.01,0.1,1", "act=relu,tanh"))


def row(lr: float, accuracy: float, **facts: Any) -> dict[str, Any]:
    span = Interval(accuracy, accuracy - 0.01, accuracy + 0.01)
    known = {"runs": 5, "diverged": 0, "p_value": 0.001, "tied": False}
    metrics = {"val_accuracy": span, "test_accuracy": span}
    return {"label": f"lr={lr:g}", "lr": lr, **metrics, **known, **facts}


def effect(axis: str, share: float, low: float = 0.1) -> dict[str, Any]:
    level = {"label": "1", "diverged": 0, "runs": 10}
    gain = Interval(low + 0.1, low, low + 0.2)
    return {"axis": axis, "share": share, "effect": gain, "best": "0.1", "worst": "1",
            "rows": [{**level, "label": "0.1"}, level]}  # fmt: skip


def said(spec: SweepSpec = SPEC, **facts: Any) -> list[str]:
    usual: dict[str, Any] = {
        "rows": [row(0.1, 0.95, p_value=1.0, tied=True), row(0.01, 0.9)],
        "marginals": [effect("lr", 0.9), effect("act", 0.005)],
        "rungs": [],
        "failed": [],
        "samples": 360,
    }
    return reading({**usual, **facts}, spec)


def test_the_whole() -> None:
    assert said() == [
        "Best validation accuracy: 95.0 % [94.0 %, 96.0 %] with lr=0.1.",
        "On the test set, which had no say in the choice, it reaches 95.0 % [94.0 %, 96.0 %] "
        "(test accuracy).",
        "Every other configuration is worse beyond chance (paired t-test, Holm-corrected, 5 %).",
        "lr explains 90 % of the differences: on average over the rest 0.1 is better than 1 by "
        "20.0 points [10.0, 30.0].",
        "Hardly any effect: act (less than 1 % of the differences).",
    ]


BEST = row(0.1, 0.95, p_value=1.0, tied=True)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"rows": []}, "No run is complete yet."),
        (
            {"rows": [BEST, row(1, 0.94, tied=True), row(0.01, 0.3)]},
            "Not told apart from it: 1 of the 2 other configurations (paired t-test, "
            "Holm-corrected, 5 %).",
        ),
        (
            {"rows": [BEST, row(1, 0.94, tied=True)]},
            "No configuration is shown to be worse than it (paired t-test, Holm-corrected, 5 %).",
        ),
        (
            {"rows": [{**BEST, "runs": 1}, row(1, 0.94, runs=1)]},
            "With one run each, luck and merit cannot be told apart; give --seeds 5.",
        ),
        (
            {"marginals": [effect("lr", 0.9, low=-0.05)]},
            "lr explains 90 % of the differences, but the lead of 0.1 over 1, 5.0 points "
            "[-5.0, 15.0], may be luck.",
        ),
        (
            {"marginals": [effect("lr", 0.4), effect("act", 0.2)]},
            "40 % of the differences are no axis's own: the best value of one depends on the "
            "others, so choose them together.",
        ),
        (
            {"rows": [row(1, 0.95), row(0.1, 0.9)]},
            "The best lr is the largest that was tried: look beyond it.",
        ),
        (
            {"rows": [row(0.01, 0.95), row(0.1, 0.9)]},
            "The best lr is the smallest that was tried: look beyond it.",
        ),
        ({"rows": [BEST, row(1, 0.1, diverged=3)]}, "3 of 10 runs diverged."),
        (
            {"failed": [{"error": "no memory"}] * 2},
            "2 runs failed and are left out; the same command tries them again. The first: no "
            "memory",
        ),
    ],
)
def test_each_sentence_stands_where_it_is_true(facts: dict[str, Any], sentence: str) -> None:
    assert sentence in said(**facts)
    assert sentence not in said()


def test_where_all_runs_of_a_value_diverge_it_is_named() -> None:
    always = effect("lr", math.nan)
    always["rows"][1]["diverged"] = 10
    rows = [BEST, row(1, 0.0, diverged=5)]
    assert "5 of 10 runs diverged; always with lr=1." in said(rows=rows, marginals=[always])


def test_folds_and_what_they_are_worth() -> None:
    spec = SweepSpec(axes=("lr=0.1,1",), folds=5)
    best = {**BEST, "fold_spread": 0.012, "pooled_accuracy": 0.951}
    found = said(spec, rows=[best, row(1, 0.9)], samples=1797)
    assert (
        "Over the 5 folds its validation accuracy spreads with a standard deviation of 1.2 %; "
        "pooled over all 1797 samples, each held out once, the accuracy is 95.1 %."
    ) in found
    assert not any(text.startswith("On the test set") for text in found)


def test_halving_counts_its_steps() -> None:
    rungs = [{"configurations": n, "steps": s} for n, s in ((8, 100), (4, 200), (2, 400))]
    assert (
        "Successive halving took 75 % of the steps that full trainings of all would have taken; "
        "effects of axes are those of its first rung, at 100 steps, and the test compares the 2 "
        "of the last one."
    ) in said(rungs=rungs)


def test_chosen_on_the_test_set() -> None:
    spec = SweepSpec(axes=("lr=0.1,1",), metric="test_accuracy")
    assert said(spec)[1] == (
        "Chosen on the test set its own figure is too good; choose by val_accuracy or val_loss."
    )


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"shared": 0, "difference": None, "p_value": 1.0},
         "b and a share no training: only their best can be compared."),
        ({"shared": 9, "difference": Interval(0.1, -0.1, 0.3), "p_value": 0.3},
         "Over the 9 trainings that b and a share no difference is shown (paired t-test, 5 %)."),
        ({"shared": 9, "difference": Interval(0.2, 0.1, 0.3), "p_value": 0.01},
         "Over the 9 trainings that they share b is better than a by 20.0 points [10.0, 30.0]."),
        ({"shared": 9, "difference": Interval(-0.2, -0.3, -0.1), "p_value": 0.01},
         "Over the 9 trainings that they share a is better than b by 20.0 points [10.0, 30.0]."),
    ],
)  # fmt: skip
def test_sweeps_are_compared(facts: dict[str, Any], sentence: str) -> None:
    rows = [{**row(0.1, 0.9), "label": "a", "best": "lr=0.1"},
            {**row(1, 0.95), "label": "b", "best": "lr=1"}]  # fmt: skip
    pair = {"label": "b", "against": "a", **facts}
    found = {"metric": "val_accuracy", "higher_is_better": True, "rows": rows, "pairs": [pair]}
    first, second = comparison(found)
    assert first == "Best validation accuracy: 95.0 % [94.0 %, 96.0 %] in b with lr=1."
    assert second == sentence
