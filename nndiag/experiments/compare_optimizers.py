"""`nndiag compare-optimizers`: every optimizer tuned alike, on the same data order, over seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nndiag import __version__, datasets
from nndiag.locales import _
from nndiag.schema.progress import Silent, Tally, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.significance import critical_difference, mean_ranks
from nndiag.schema.spec_compare import CompareOptimizersSpec
from nndiag.training import devices
from nndiag.training.members import Settings, TensorData
from nndiag.training.tuning import Bench, Candidate, Trainings, joined, rate_grid, trial
from nndiag.zoo import optimizers, tuning_grids

#: The special case first: Choi et al. 2019, section 3 (the general one can imitate it).
INCLUSIONS = (
    ("sgd", "momentum"),
    ("sgd", "nesterov"),
    ("momentum", "rmsprop"),
    ("momentum", "adam"),
    ("rmsprop", "adam"),
    ("nesterov", "nadam"),
)
#: From the best rate of the grid to those tried beside it.
_FINER = 10**0.25
#: "As good as the best" for the sensitivity to the rate: within one point of accuracy.
_NEAR = 0.01


@dataclass(frozen=True, kw_only=True)
class _Tuned:
    """One optimizer after tuning.

    Attributes:
        textbook: its rate in textbooks, which the grid is centred on.
        textbook_accuracy: of the test set at that rate, a seed each.
        options: the best of those tried.
        count: trainings that it took.
    """

    name: str
    textbook: float
    textbook_accuracy: np.ndarray
    options: dict[str, Any]
    trainings: Trainings
    count: int

    @property
    def best(self) -> np.ndarray:
        return self.trainings.at(self.trainings.best_rate)


def run(spec: CompareOptimizersSpec, *, watch: Watch | None = None) -> Result:
    """Tune every optimizer, repeat it at its best over seeds, and rank.

    Ctrl-C keeps the optimizers that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    watch = watch or Silent()
    device = devices.resolve(spec.device)
    splits = datasets.load(spec.data, seed=spec.seed, progress=watch)
    tally = Tally(watch, _("training steps"), _member_steps(spec))
    data = TensorData.of(splits, device)
    tuned: list[_Tuned] = []
    interrupted = False
    for name in spec.optimizers:
        bench = Bench(splits=splits, data=data, settings=_settings(name, spec), progress=tally.add)
        try:
            for one in _tuning(name, spec, bench):
                tuned = [*(done for done in tuned if done.name != name), one]
        except KeyboardInterrupt:
            interrupted = True
            break
    return Result(
        command="compare-optimizers",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result=_result(spec, tuned, splits.name, interrupted),
        version=__version__,
    )


def _member_steps(spec: CompareOptimizersSpec) -> int:
    variants = sum(len(_variants(name, spec)) for name in spec.optimizers)
    refined = 2 * len(spec.optimizers)
    return (variants * spec.rates + refined) * spec.seeds * spec.steps


def _variants(name: str, spec: CompareOptimizersSpec) -> list[dict[str, Any]]:
    return tuning_grids.variants(name) if spec.tune == "full" else [{}]


def _settings(name: str, spec: CompareOptimizersSpec) -> Settings:
    return Settings(
        optimizer=name,
        steps=spec.steps,
        batch_size=spec.batch_size,
        eval_every=max(1, spec.steps // 30),
        target=spec.target,
    )


def _tuning(name: str, spec: CompareOptimizersSpec, bench: Bench) -> Iterator[_Tuned]:
    """Yield an optimizer after its grid with every seed, then after two rates around the best.

    Of several sets of options the textbook's comes first.
    """
    textbook = optimizers.parse(name).lr or 1e-3
    seeds = range(spec.seed, spec.seed + spec.seeds)
    rates = rate_grid(textbook, spec.rates)
    grids = []
    for options in _variants(name, spec):
        candidate = Candidate(network=spec.network, options=options)
        grids.append((options, trial(candidate, bench, rates, seeds)))
    options, best = max(grids, key=lambda grid: grid[1].score(grid[1].best_rate))
    first = grids[0][1]
    one = _Tuned(
        name=name,
        textbook=textbook,
        options=options,
        trainings=best,
        count=sum(len(grid.rates) for _options, grid in grids),
        textbook_accuracy=first.record.test_accuracy[first.at(textbook)],
    )
    yield one
    candidate = Candidate(network=spec.network, options=options)
    around = [best.best_rate / _FINER, best.best_rate * _FINER]
    refined = trial(candidate, bench, around, seeds)
    yield replace(one, trainings=joined(best, refined), count=one.count + len(refined.rates))


def _result(
    spec: CompareOptimizersSpec, tuned: list[_Tuned], data: str, interrupted: bool
) -> dict[str, Any]:
    scores = np.array([one.trainings.record.test_accuracy[one.best] for one in tuned]).T
    ranks = mean_ranks(scores) if tuned else np.zeros(0)
    rows = [_row(one, rank, spec) for one, rank in zip(tuned, ranks.tolist(), strict=True)]
    if spec.show_default and tuned:
        untuned = mean_ranks(np.array([one.textbook_accuracy for one in tuned]).T)
        for one, row, rank in zip(tuned, rows, untuned.tolist(), strict=True):
            row["textbook_lr"] = one.textbook
            row["textbook_rank"] = rank
            row["textbook_test_accuracy"] = interval(one.textbook_accuracy)
    rows.sort(key=lambda row: row["rank"])
    return {
        "data": data,
        "trainings": sum(one.count for one in tuned),
        "rows": rows,
        "critical_difference": critical_difference(len(tuned), spec.seeds),
        "inclusions": _inclusions({one.name: one for one in tuned}),
        "curves": [_curve(one) for one in tuned],
        "sensitivity": [_sensitivity(one) for one in tuned],
        "notes": sorted({note for one in tuned for note in one.trainings.record.notes}),
        "interrupted": interrupted,
    }


def _row(one: _Tuned, rank: float, spec: CompareOptimizersSpec) -> dict[str, Any]:
    record, best = one.trainings.record, one.best
    reached = record.steps_to_target[best]
    return {
        "label": one.name,
        "optimizer": one.name,
        "best_lr": one.trainings.best_rate,
        "options": one.options,
        "rank": rank,
        "test_accuracy": interval(record.test_accuracy[best]),
        "test_loss": interval(record.test_loss[best]),
        "validation_accuracy": interval(record.val_accuracy[-1, best]),
        "steps_to_target": interval(reached) if (reached > 0).all() else None,
        "seconds_to_target": _seconds_to(record, best, spec.steps),
        "seconds": float(record.seconds[best].mean()),
        "decades": _decades(one.trainings),
        "diverged": int(record.diverged[best].sum()),
        "diverged_share": float(record.diverged.mean()),
    }


def _seconds_to(record: Any, best: np.ndarray, steps: int) -> float | None:
    reached = record.steps_to_target[best]
    if not (reached > 0).all():
        return None
    return float((record.seconds[best] * reached / steps).mean())


def _decades(trainings: Trainings) -> float:
    """Return how many decades of rates come within a point of the best validation accuracy.

    The stretch around the best rate, measured between the grid's midpoints.
    """
    rates = trainings.tried
    scores = [trainings.score(rate)[0] for rate in rates]
    best = int(np.argmax(scores))
    low = high = best
    while low > 0 and scores[low - 1] >= scores[best] - _NEAR:
        low -= 1
    while high < len(rates) - 1 and scores[high + 1] >= scores[best] - _NEAR:
        high += 1
    logs = np.log10(rates)
    left = logs[low] if low == 0 else (logs[low - 1] + logs[low]) / 2
    right = logs[high] if high == len(rates) - 1 else (logs[high] + logs[high + 1]) / 2
    return float(right - left)


def _inclusions(tuned: dict[str, _Tuned]) -> list[dict[str, Any]]:
    """Check that the more general optimizer is not worse beyond the interval (Choi et al. 2019)."""
    checks = []
    for special, general in INCLUSIONS:
        if special in tuned and general in tuned:
            one, two = tuned[special], tuned[general]
            gain = interval(
                two.trainings.record.val_accuracy[-1, two.best]
                - one.trainings.record.val_accuracy[-1, one.best]
            )
            checks.append(
                {"special": special, "general": general, "gain": gain, "holds": gain.high >= 0}
            )
    return checks


def _curve(one: _Tuned) -> dict[str, Any]:
    record, best = one.trainings.record, one.best
    accuracy = record.val_accuracy[:, best]
    return {
        "label": one.name,
        "steps": record.evaluated.tolist(),
        "validation_accuracy": [interval(values) for values in accuracy],
    }


def _sensitivity(one: _Tuned) -> dict[str, Any]:
    rates = one.trainings.tried
    accuracy: list[Interval] = [
        interval(one.trainings.record.val_accuracy[-1, one.trainings.at(rate)]) for rate in rates
    ]
    return {"label": one.name, "rates": rates, "validation_accuracy": accuracy}
