"""The comparisons on tiny budgets: the right rows, honest verdicts, repeatable."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nndiag.diagnosis.fix_reading import reading
from nndiag.experiments import compare_fixes, compare_optimizers
from nndiag.schema.progress import Silent
from nndiag.schema.result import interval
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.spec_compare import CompareFixesSpec, CompareOptimizersSpec

RunCli = Callable[..., Any]
TINY = {"steps": 40, "batch_size": 64, "rates": 3, "seeds": 3}


def optimizers(**fields: Any) -> dict[str, Any]:
    spec = CompareOptimizersSpec(
        **(
            {"network": NetworkSpec(depth=2, width=16, act="relu", init="he_normal")}
            | TINY
            | fields
        )
    )
    return dict(compare_optimizers.run(spec).result)


def test_optimizers_are_tuned_counted_and_ranked() -> None:
    result = optimizers(optimizers=("sgd", "momentum", "adam"), show_default=True)
    assert result["trainings"] == 3 * (3 * 3 + 2 * 3)
    rows = {row["optimizer"]: row for row in result["rows"]}
    assert set(rows) == {"sgd", "momentum", "adam"}
    assert sum(row["rank"] for row in rows.values()) == pytest.approx(6)
    assert [row["rank"] for row in result["rows"]] == sorted(row["rank"] for row in rows.values())
    curves = {curve["label"]: curve for curve in result["sensitivity"]}
    for name, row in rows.items():
        # The best rate is the best of the curve that is shown.
        means = [point.mean for point in curves[name]["validation_accuracy"]]
        assert row["validation_accuracy"].mean == pytest.approx(max(means))
        assert row["best_lr"] in curves[name]["rates"]
        assert row["test_accuracy"].mean > 0.7
        assert row["textbook_test_accuracy"].mean > 0.1


def test_optimizers_repeat_exactly() -> None:
    one, two = (optimizers(optimizers=("adam",)) for _ in range(2))
    keep = ("best_lr", "rank", "test_accuracy", "steps_to_target")
    assert [one["rows"][0][k] for k in keep] == [two["rows"][0][k] for k in keep]


def test_full_tuning_tries_more() -> None:
    result = optimizers(optimizers=("momentum",), tune="full", seeds=2)
    assert result["trainings"] == 3 * 3 * 2 + 2 * 2
    assert result["rows"][0]["options"]["momentum"] in (0.5, 0.9, 0.95)


def test_inclusions_compare_the_tuned_ones() -> None:
    result = optimizers(optimizers=("sgd", "momentum"))
    (check,) = result["inclusions"]
    rows = {row["optimizer"]: row["validation_accuracy"].mean for row in result["rows"]}
    assert check["gain"].mean == pytest.approx(rows["momentum"] - rows["sgd"])
    assert check["holds"] is (check["gain"].high >= 0)


@pytest.fixture(scope="module")
def fixed() -> dict[str, Any]:
    spec = CompareFixesSpec(
        network=NetworkSpec(depth=10, width=16, act="sigmoid", init="xavier_normal"),
        optimizers=("adam",),
        **(TINY | {"steps": 120, "target": 0.7}),
    )
    return dict(compare_fixes.run(spec).result)


def test_fixes_are_judged_against_the_baseline(fixed: dict[str, Any]) -> None:
    rows = {row["fix"]: row for row in fixed["rows"]}
    assert rows["baseline"]["verdict"] == "baseline"
    assert rows["baseline"]["test_accuracy"].mean < 0.25
    assert rows["norm=batch"]["verdict"] == "cures"
    assert rows["init=he_normal"]["verdict"] != "cures"
    assert rows["clip_norm"]["verdict"] == "no effect"
    assert rows["baseline"]["grad_ratio"].mean < 1e-3
    for row in rows.values():
        if row["verdict"] == "cures":
            assert row["test_accuracy"].mean >= 0.7
            assert row["p_value"] < 0.05


def test_the_reading_follows_from_the_rows(fixed: dict[str, Any]) -> None:
    text = " ".join(fixed["reading"])
    cured = [row["fix"] for row in fixed["rows"] if row["verdict"] == "cures"]
    assert all(fix in text for fix in cured)
    assert "No clipping alone cures it" in text


def test_every_rate_tried_is_there(fixed: dict[str, Any]) -> None:
    for row in fixed["rows"]:
        assert [one["lr"] for one in row["rates"]] == sorted(one["lr"] for one in row["rates"])
        assert row["best_lr"] in [one["lr"] for one in row["rates"]]
        if row["fix"] == "norm=batch":
            best = max(row["rates"], key=lambda one: one["validation_accuracy"])
            assert best["validation_accuracy"] > 0.7


def test_clipping_is_compared_at_alike_rates_and_over_all() -> None:
    def row(fix: str, best: float, *accuracies: float) -> dict[str, Any]:
        rates = [0.01, 0.1, 1.0]
        return {
            "fix": fix,
            "optimizer": "sgd",
            "best_lr": best,
            "test_accuracy": interval([max(accuracies)]),
            "verdict": "helps",
            "diverged": 0,
            "p_value": 0.01,
            "rates": [
                {"lr": lr, "validation_accuracy": share}
                for lr, share in zip(rates, accuracies, strict=True)
            ],
        }

    said = reading([row("baseline", 0.01, 0.5, 0.1, 0.1), row("clip_norm", 0.1, 0.49, 0.6, 0.2)], 1)
    assert (
        "Both at the rate 0.1: validation accuracy 10 % as it is, 60 % clipped. The range of rates "
        "that come within two points of the best without clipping: 1.0 decades as it is, 2.0 "
        "clipped."
    ) in said


class Impatient(Silent):
    """Presses Ctrl-C after some member-steps."""

    def __init__(self, after: int) -> None:
        self._after = after

    def update(self, done: int, **_more: Any) -> None:
        if done >= self._after:
            raise KeyboardInterrupt


GRID = 3 * 3 * 40  # rates, seeds, steps of TINY


@pytest.mark.parametrize(
    ("after", "names"),
    [(GRID - 40, []), (GRID + 1, ["sgd"]), (GRID + 2 * 3 * 40 + 1, ["sgd"])],
    ids=["in the first grid", "after the first grid", "in the second grid"],
)
def test_ctrl_c_keeps_optimizers_that_are_complete(after: int, names: list[str]) -> None:
    spec = CompareOptimizersSpec(
        network=NetworkSpec(depth=2, width=8, act="relu", init="he_normal"),
        optimizers=("sgd", "adam"),
        **TINY,
    )
    result = compare_optimizers.run(spec, watch=Impatient(after)).result
    assert result["interrupted"] is True
    assert [row["optimizer"] for row in result["rows"]] == names


def test_ctrl_c_keeps_fixes_that_are_complete() -> None:
    """In the middle of one structure, whatever of it is complete is shown."""
    network = NetworkSpec(depth=2, width=8, act="sigmoid", init="xavier_normal")
    spec = CompareFixesSpec(network=network, optimizers=("sgd", "adam"), **TINY)
    chosen = 2 * 8 * 3 * 40  # the first structure: 8 fixes, 2 optimizers, 3 rates
    result = compare_fixes.run(spec, watch=Impatient(chosen + 40)).result
    assert result["interrupted"] is True
    labels = {row["fix"] for row in result["rows"]}
    assert {"baseline", "init=he_normal", "clip_norm", "lr"} <= labels
    assert "norm=batch" not in labels
    assert result["trainings"] >= 2 * 8 * 3


def test_ctrl_c_before_anything_is_complete_gives_no_rows() -> None:
    spec = CompareFixesSpec(network=NetworkSpec(depth=2, width=8), optimizers=("sgd",), **TINY)
    result = compare_fixes.run(spec, watch=Impatient(1)).result
    assert result["interrupted"] is True
    assert result["rows"] == []
    assert result["reading"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        "compare-optimizers --optimizers sgd,torch.optim:Adam --steps 20 --rates 3 --seeds 2",
        "compare-fixes --problem symmetry --optimizers adam --steps 10 --rates 2 --seeds 2",
    ],
)
def test_the_commands_give_strict_json(run_cli: RunCli, arguments: str) -> None:
    done = run_cli(*shlex.split(arguments), "--json", "-")
    assert done.code == 0, done.err
    document = json.loads(done.out, parse_constant=pytest.fail)
    rows = document["result"]["rows"]
    assert {"label", "optimizer", "test_accuracy", "diverged", "seconds"} <= set(rows[0])
    assert set(rows[0]["test_accuracy"]) == {"mean", "low", "high"}
    assert np.isfinite(document["seconds"])
