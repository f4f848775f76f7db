"""`nndiag bias-variance`: the parts of the expected error as models grow, over training sets.

Axes: S repetition, D training set of a repetition, M = S x D model, P test point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nndiag import __version__
from nndiag.locales import _
from nndiag.schema.progress import Silent, Tally, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.significance import holm, paired_p_value
from nndiag.schema.spec_generalisation import BiasVarianceSpec
from nndiag.training import devices
from nndiag.training.resampled_tasks import Answers, Classification, Numbers, Regression, Task

Array = np.ndarray

_TASKS: Mapping[str, Callable[[BiasVarianceSpec, torch.device], Task]] = {
    "regression": Regression,
    "classification": Classification,
}
#: Single models whose curves are drawn.
_DRAWN = 12
#: Differences at this level are taken for more than chance.
_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class _Value:
    """What one value of the axis gave.

    Attributes:
        numbers: (S,) by name.
    """

    value: int
    numbers: Numbers
    answers: Answers
    seconds: float


def run(spec: BiasVarianceSpec, *, watch: Watch | None = None) -> Result:
    """Train every model on every training set and take its expected error apart.

    Ctrl-C keeps the values that are complete (`result.interrupted` is then True).

    Raises:
        UsageError: data that cannot be read, or that are fewer than a training set.
    """
    started = time.perf_counter()
    device = devices.resolve(spec.device)
    task: Task = _TASKS[spec.task](spec, device)
    found, interrupted = _measured(spec, task, watch or Silent())
    rows = _rows(spec, task, found)
    return Result(
        command="bias-variance",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result={
            "task": spec.task,
            "axis": spec.axis,
            "data": task.about,
            "parts": dict(zip(("error", "bias", "variance", "noise"), task.names, strict=True)),
            "models": spec.seeds * spec.sets,
            "rows": rows,
            "drawn": _drawn(task, found),
            "interrupted": interrupted,
            "reading": _reading(spec, task, rows),
        },
        version=__version__,
    )


def _measured(spec: BiasVarianceSpec, task: Task, watch: Watch) -> tuple[list[_Value], bool]:
    """Return what each value gave, and whether Ctrl-C ended it."""
    found: list[_Value] = []
    tally = Tally(watch, _("training steps"), sum(map(task.steps, spec.values)))
    try:
        for value in spec.values:
            started = time.perf_counter()
            answers = task.answers(value, tally.add)
            found.append(
                _Value(
                    value=value,
                    numbers=task.numbers(answers),
                    answers=answers,
                    seconds=time.perf_counter() - started,
                )
            )
    except KeyboardInterrupt:
        return found, True
    return found, False


def _rows(spec: BiasVarianceSpec, task: Task, found: Sequence[_Value]) -> list[dict[str, Any]]:
    error, *parts = task.names
    verdicts = _verdicts(found, error)
    return [
        {
            "label": f"{spec.axis} {one.value}",
            spec.axis: one.value,
            **{name: interval(values) for name, values in one.numbers.items()},
            **task.predicted(one.value),
            "deviation": float(
                np.abs(one.numbers[error] - sum(one.numbers[part] for part in parts)).max()
            ),
            "verdict": verdict,
            "p_value": p_value,
            "diverged": int(one.answers.diverged.sum()),
            "seconds": one.seconds,
        }
        for one, (verdict, p_value) in zip(found, verdicts, strict=True)
    ]


def _verdicts(found: Sequence[_Value], error: str) -> list[tuple[str, float | None]]:
    """Say of each value whether it is best, as good, underfits or overfits.

    Compared with the value of least error over the same training sets (paired, Holm): what is
    worse underfits where most of what it has lost shows on its training samples too, else it
    overfits.
    """
    if not found:
        return []
    best = min(found, key=lambda one: float(one.numbers[error].mean()))
    others = [one for one in found if one is not best]
    p_values = holm(
        [paired_p_value((one.numbers[error] - best.numbers[error]).tolist()) for one in others]
    )
    known = dict(zip((one.value for one in others), p_values, strict=True))

    def verdict(one: _Value) -> tuple[str, float | None]:
        if one is best:
            return "best", None
        if known[one.value] >= _LEVEL:
            return "as good", known[one.value]
        lost, on_training = (
            float((one.numbers[name] - best.numbers[name]).mean())
            for name in (error, "train_error")
        )
        return "underfits" if on_training > lost / 2 else "overfits", known[one.value]

    return [verdict(one) for one in found]


def _drawn(task: Task, found: Sequence[_Value]) -> dict[str, Any] | None:
    """Return the truth with models of the simplest, the best and the most complex value."""
    if not found or task.curve is None:
        return None
    x, truth = task.curve
    best = min(found, key=lambda one: float(one.numbers[task.names[0]].mean()))
    chosen = {one.value: one for one in (found[0], best, found[-1])}
    return {
        "x": x.tolist(),
        "truth": truth.tolist(),
        "values": [
            {
                "value": value,
                "mean": one.answers.at_test.mean(axis=0).tolist(),
                "models": one.answers.at_test[:_DRAWN].tolist(),
            }
            for value, one in chosen.items()
        ],
    }


def _reading(spec: BiasVarianceSpec, task: Task, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    error, bias, variance, noise = task.names
    best = next(row for row in rows if row["verdict"] == "best")
    said = [
        _(
            "Least error at {best}: {error} = bias {bias} + variance {variance} + noise {noise}; "
            "the parts add up to the measured error to {deviation} in every row."
        ).format(
            best=best["label"],
            error=f"{best[error].mean:.3g}",
            bias=f"{best[bias].mean:.3g}",
            variance=f"{best[variance].mean:.3g}",
            noise=f"{best[noise].mean:.3g}",
            deviation=f"{max(row['deviation'] for row in rows):.0e}",
        )
    ]
    under = [row for row in rows if row["verdict"] == "underfits"]
    over = [row for row in rows if row["verdict"] == "overfits"]
    if under:
        said.append(
            _(
                "Underfitting: {labels}. They answer their own training samples worse, too (error "
                "{train} at {first}, bias {bias}): more data would not help, more capacity or "
                "training does."
            ).format(
                labels=", ".join(row["label"] for row in under),
                train=f"{under[0]['train_error'].mean:.3g}",
                bias=f"{under[0][bias].mean:.3g}",
                first=under[0]["label"],
            )
        )
    if over:
        said.append(
            _(
                "Overfitting: {labels}. They fit their training samples closely (error {train} at "
                "{last}) and change with them, variance {variance}: more data or regularisation "
                "helps."
            ).format(
                labels=", ".join(row["label"] for row in over),
                train=f"{over[-1]['train_error'].mean:.3g}",
                variance=f"{over[-1][variance].mean:.3g}",
                last=over[-1]["label"],
            )
        )
    said += [*_beyond(rows, variance), *_closed_form(rows), *_helpful(spec, rows)]
    if any(row[bias].mean < 0 for row in rows):
        said.append(
            _(
                "A bias below zero is too small to be seen: what chance adds to it is estimated "
                "and taken off."
            )
        )
    lost = sum(row["diverged"] for row in rows)
    if lost:
        said.append(
            _("{count} networks diverged; they answer 0 everywhere in the figures above.").format(
                count=lost
            )
        )
    return said


def _beyond(rows: Sequence[Mapping[str, Any]], variance: str) -> list[str]:
    """Say so where the variance falls again beyond its peak."""
    peak = max(rows, key=lambda row: row[variance].mean)
    clear = rows[-1][variance].high < peak[variance].low
    if peak["verdict"] != "overfits" or not clear:
        return []
    return [
        _(
            "The variance peaks at {peak} ({most}) and falls to {least} at {last}: beyond the size "
            "of the data, more capacity need not mean more variance (Belkin et al. 2019)."
        ).format(
            peak=peak["label"],
            most=f"{peak[variance].mean:.3g}",
            last=rows[-1]["label"],
            least=f"{rows[-1][variance].mean:.3g}",
        )
    ]


def _closed_form(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    known = [row for row in rows if row.get("predicted_variance")]
    if not known:
        return []
    worst = max(abs(row["variance"].mean / row["predicted_variance"] - 1) for row in known)
    return [
        _(
            "Least squares has a closed form for both: the measured variance differs from it by "
            "{worst} % at most."
        ).format(worst=f"{100 * worst:.2g}")
    ]


def _helpful(spec: BiasVarianceSpec, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what is peculiar to 0-1 loss (Domingos 2000, section 4)."""
    if spec.task != "classification":
        return []
    most = max(rows, key=lambda row: row["variance"].mean - row["net_variance"].mean)
    return [
        _(
            "With 0-1 loss variance on points that are answered wrong on average lowers the error: "
            "at {label} models differ from the main answer on {plain} % of the points, which adds "
            "only {net} points of error (Domingos 2000)."
        ).format(
            label=most["label"],
            plain=f"{100 * most['variance'].mean:.1f}",
            net=f"{100 * most['net_variance'].mean:.1f}",
        )
    ]
