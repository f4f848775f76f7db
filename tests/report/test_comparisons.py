"""The comparisons' reports: golden text, widths, and figures that show the result's numbers."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from nndiag.report import canvas, comparison_figures, comparisons, plot
from nndiag.schema.result import Interval, Result

GOLDEN = Path(__file__).parent / "golden"
NETWORK = {"net": "mlp", "act": "sigmoid", "init": "xavier_normal", "depth": 20, "width": 64}
SPEC = {"network": NETWORK, "steps": 300, "batch_size": 64, "rates": 4, "seeds": 5}


def spread(mean: float, half: float = 0.01) -> Interval:
    return Interval(mean, mean - half, mean + half)


def optimizer_row(name: str, rank: float, accuracy: float) -> dict[str, Any]:
    return {
        "label": name,
        "optimizer": name,
        "best_lr": 0.0562,
        "options": {},
        "rank": rank,
        "test_accuracy": spread(accuracy),
        "test_loss": spread(1 - accuracy),
        "validation_accuracy": spread(accuracy),
        "steps_to_target": spread(40, 5) if accuracy > 0.9 else None,
        "seconds_to_target": 0.01,
        "seconds": 0.04,
        "decades": 1.12,
        "diverged": 0,
        "diverged_share": 0.125,
        "textbook_lr": 0.1,
        "textbook_rank": rank,
        "textbook_test_accuracy": spread(accuracy - 0.3),
    }


def optimizers() -> Result:
    names = {"adam": (1.2, 0.975), "momentum": (1.8, 0.971), "gd": (3.0, 0.62)}
    points = [spread(0.1), spread(0.6), spread(0.9)]
    return Result(
        command="compare-optimizers",
        spec=SPEC,
        environment={"device": "cpu"},
        seconds=12.3,
        result={
            "data": "digits",
            "trainings": 135,
            "rows": [optimizer_row(name, *numbers) for name, numbers in names.items()],
            "critical_difference": 1.48,
            "inclusions": [
                {"special": "gd", "general": "momentum", "gain": spread(0.3), "holds": True}
            ],
            "curves": [
                {"label": n, "steps": [10, 20, 30], "validation_accuracy": points} for n in names
            ],
            "sensitivity": [
                {"label": n, "rates": [0.01, 0.1, 1.0], "validation_accuracy": points}
                for n in names
            ],
            "notes": [],
            "interrupted": True,
        },
    )


def fix_row(fix: str, accuracy: float, verdict: str) -> dict[str, Any]:
    return {
        "label": fix,
        "fix": fix,
        "optimizer": "adam",
        "best_lr": 0.001,
        "grad_ratio": spread(1e-11, 1e-12),
        "saturated_fraction": None,
        "dead_fraction": spread(0.0, 0.0),
        "test_accuracy": spread(accuracy),
        "validation_accuracy": spread(accuracy),
        "steps_to_target": spread(60) if accuracy > 0.9 else None,
        "diverged": 2,
        "seconds": 0.1,
        "p_value": 1e-5,
        "usable_decades": 1.0,
        "verdict": verdict,
    }


def fixes() -> Result:
    rows = [
        fix_row("baseline", 0.1, "baseline"),
        fix_row("init=he_normal", 0.1, "no effect"),
        fix_row("act=relu,init=he_normal,norm=batch", 0.96, "cures"),
        fix_row("act=relu", 0.7, "helps"),
        fix_row("lr", 0.05, "harms"),
    ]
    return Result(
        command="compare-fixes",
        spec=SPEC,
        environment={"device": "cpu"},
        seconds=61.0,
        result={
            "problem": "vanishing",
            "data": "digits",
            "trainings": 924,
            "target": 0.9,
            "rows": rows,
            "reading": ["As it is the network reaches adam 10 % on the test set."],
            "norms": [
                {
                    "label": "baseline",
                    "optimizer": "adam",
                    "steps": [1, 100, 200],
                    "gradient_norm": [1e-3, float("nan"), 1e-2],
                }
            ],
            "notes": ["lbfgs is not linear in its rate: its members trained one by one"],
            "interrupted": False,
        },
    )


def text(view: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(view)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


VIEWS: dict[str, Callable[[], RenderableType]] = {
    "compare-optimizers": lambda: comparisons.compare_optimizers(optimizers()),
    "compare-fixes": lambda: comparisons.compare_fixes(fixes()),
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", VIEWS)
def test_golden(name: str, width: int) -> None:
    shown = text(VIEWS[name](), width)
    path = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("NNDIAG_UPDATE_GOLDENS"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) <= width


def test_every_candidate_has_its_line() -> None:
    shown = text(VIEWS["compare-fixes"](), 80)
    for row in fixes().result["rows"]:
        (line,) = [line for line in shown.splitlines() if line.startswith(row["fix"] + " ")]
        assert line.rstrip().endswith(row["verdict"])


def test_interruption_is_said() -> None:
    assert "Interrupted: only what was complete is shown." in text(
        VIEWS["compare-optimizers"](), 80
    )


def test_figures_show_the_numbers() -> None:
    pytest.importorskip("matplotlib")
    figure = canvas.figure(list(comparison_figures.compare_optimizers(optimizers())))
    bars, rates, times = figure.axes
    (points, *_others) = bars.lines
    assert list(points.get_xdata()) == pytest.approx([97.5, 97.1, 62.0])
    assert list(rates.lines[0].get_ydata()) == pytest.approx([10, 60, 90])
    assert list(times.lines[0].get_xdata()) == [10, 20, 30]
    bars = canvas.figure(list(comparison_figures.compare_fixes(fixes()))).axes[0]
    assert bars.get_yticklabels()[0].get_text() == "baseline (adam)"


@pytest.mark.parametrize("suffix", ["svg", "html"])
@pytest.mark.parametrize("make", [optimizers, fixes])
def test_files_are_written(make: Callable[[], Result], suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    path = plot.write(make(), tmp_path / f"out.{suffix}")
    written = path.read_text(encoding="utf-8")
    assert len(written) > 5_000
    if suffix == "html":
        assert "<script src" not in written


def test_tuned_options_are_shown_at_any_width() -> None:
    result = optimizers()
    rows = [dict(row) for row in result.result["rows"]]
    rows[0]["options"] = {"betas": (0.8, 0.99)}
    tuned = replace(result, result={**result.result, "rows": rows})
    assert "betas=(0.8, 0.99)" in text(comparisons.compare_optimizers(tuned), 80)
    assert "options" not in text(comparisons.compare_optimizers(result), 200)
