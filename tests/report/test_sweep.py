"""The reports of sweeps and of the store: golden text, widths, and figures that show the rows."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from nndiag.diagnosis.sweep_result import sweep_result
from nndiag.report import canvas, drawings, plot
from nndiag.report import runs as runs_view
from nndiag.report import sweep as view
from nndiag.report.metrics import metric_value
from nndiag.schema.result import Interval, Result
from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec
from nndiag.store.summaries import Reached

GOLDEN = Path(__file__).parent / "golden"
SHARED = {"data": "digits", "net": "mlp", "depth": 3, "width": 32, "batch_size": 64, "steps": 300}


def accuracy(one: dict[str, Any], unit: int) -> float:
    """A made-up outcome: a best rate, a better initialisation, luck of the seed."""
    distance = abs(math.log10(one["lr"]) + 0.5)
    good = 0.97 - 0.12 * distance**2 - (0.03 if one.get("init") == "normal" else 0.0)
    return max(0.1, good + 0.004 * math.sin(7 * unit + 3 * distance))


def outcome(one: dict[str, Any], seed: int, fold: int | None = None, steps: int = 300) -> Outcome:
    value = accuracy(one, seed + 5 * (fold or 0)) - 10 / steps
    gone = one["lr"] > 5
    loss = math.nan if gone else 1 - value
    metrics = {"val_accuracy": value, "test_accuracy": value - 0.01, "samples": 360}
    losses = {"val_loss": loss, "test_loss": loss, "train_loss": loss / 2}
    return Outcome(
        run=Run(configuration={**SHARED, **one, "steps": steps}, seed=seed, fold=fold),
        metrics={**metrics, **losses},
        diverged=gone,
        seconds=0.25,
    )


def result(spec: SweepSpec, reached: list[Reached], planned: int, **facts: Any) -> Result:
    return Result(
        command="sweep",
        spec=spec.to_dict(),
        environment={"device": "cpu"},
        seconds=12.3,
        result={
            "sweep": "own",
            "store": ".nndiag",
            **sweep_result(spec, reached, planned),
            "resumed": 0,
            "interrupted": False,
            **facts,
        },
    )


def grid() -> Result:
    spec = SweepSpec(
        axes=("init=he_normal,normal", "lr=log:0.001:10:9"), base={"depth": 3}, seeds=3
    )
    runs = [outcome(one, seed) for one in spec.combinations() for seed in range(3)]
    return result(spec, [Reached.of(runs[:-1])], 54, resumed=20, interrupted=True)


def folds() -> Result:
    spec = SweepSpec(axes=("lr=0.01,0.1,1,10",), metric="val_loss", folds=4, seeds=2)
    runs = [
        outcome(one, seed, fold)
        for one in spec.combinations()
        for fold in range(4)
        for seed in range(2)
    ]
    return result(spec, [Reached.of(runs)], 32)


def halving() -> Result:
    spec = SweepSpec(
        axes=("lr=log:0.001:1", "init=he_normal,normal"), samples=8, halving=True, seeds=2
    )
    asked, rungs = spec.combinations(), []
    for steps in (75, 150, 300):
        runs = [outcome(one, seed, steps=steps) for one in asked for seed in range(2)]
        rungs.append(Reached.of(runs, steps))
        asked = sorted(asked, key=lambda one: -accuracy(one, 0))[: len(asked) // 2]
    return result(spec, rungs, 28)


def comparison() -> Result:
    def row(name: str, value: float) -> dict[str, Any]:
        spread = Interval(value, value - 0.01, value + 0.01)
        metrics = {"val_accuracy": spread, "test_accuracy": spread}
        return {"label": name, "best": "lr=0.1", "trainings": 54, "diverged": 3, **metrics}

    gain = Interval(0.02, 0.01, 0.03)
    pair = {"label": "second", "against": "first", "shared": 12, "difference": gain}
    return Result(
        command="runs-compare",
        spec={},
        environment={},
        seconds=0.0,
        result={
            "metric": "val_accuracy",
            "rows": [row("first", 0.95), row("second", 0.97)],
            "pairs": [{**pair, "p_value": 0.001}],
            "reading": ["second is better."],
        },
    )


def listing() -> Result:
    row = {"axes": ["lr=0.1,1"], "done": 10, "planned": 54, "failed": 0}
    more = {"created": "2026-01-01 12:00:00", "seconds": 61.0}
    rows = [{"label": "own", **row, **more}]
    found = {"store": "/home/me/.nndiag", "rows": rows, "reading": []}
    return Result(command="runs-list", spec={}, environment={}, seconds=0.0, result=found)


def text(shown: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


SWEEPS: dict[str, Callable[[], Result]] = {"grid": grid, "folds": folds, "halving": halving}
VIEWS: dict[str, Callable[[], RenderableType]] = {
    "sweep-grid": lambda: view.sweep(grid()),
    "sweep-folds": lambda: view.sweep(folds()),
    "sweep-halving": lambda: view.sweep(halving()),
    "runs-list": lambda: runs_view.listing(listing()),
    "runs-compare": lambda: runs_view.comparison(comparison()),
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


@pytest.mark.parametrize("name", SWEEPS)
def test_the_best_stands_first_with_its_number(name: str) -> None:
    made = SWEEPS[name]()
    found, lines = made.result, text(view.sweep(made), 80).splitlines()
    first = lines[lines.index("Configurations, the best first") + 2]
    assert metric_value(found["rows"][0][found["metric"]].mean, found["metric"]) in first


def test_an_unfinished_and_an_empty_sweep() -> None:
    assert "Interrupted: only what was complete is shown." in text(view.sweep(grid()), 80)
    spec = SweepSpec(axes=("lr=0.1,1",))
    empty = result(spec, [Reached.of([])], 10, interrupted=True)
    shown = text(view.sweep(empty), 80)
    assert "0 of 10 trainings" in shown
    assert "No run is complete yet." in shown
    assert list(drawings.panels(empty)) == []


def test_figures_show_the_numbers() -> None:
    pytest.importorskip("matplotlib")
    made = grid()
    rows = made.result["rows"]
    figure = canvas.figure(drawings.panels(made))
    best, heat, parallel, *effects = [
        axis for axis in figure.axes if axis.get_title() or axis.get_ylabel()
    ]
    (points, *_others) = best.lines
    means = [100 * row["val_accuracy"].mean for row in rows]
    assert list(points.get_xdata()) == pytest.approx(means)
    assert best.get_title() == "The best (init, lr)"
    assert best.get_yticklabels()[0].get_text() == "he_normal, 0.316"
    # A configuration crosses three axes: initialisation, learning rate and the metric.
    drawn = sum(len(line.get_xdata()) for line in parallel.lines[:3])
    assert drawn == 3 * len(rows)
    assert heat.collections[0].get_array().size == len(rows)
    assert len(effects) == len(made.result["marginals"])


@pytest.mark.parametrize("name", SWEEPS)
def test_files_are_written(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    for suffix in ("svg", "html"):
        path = plot.write(SWEEPS[name](), tmp_path / f"out.{suffix}")
        assert path.stat().st_size > 10_000
