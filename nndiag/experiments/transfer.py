"""`nndiag transfer`: what pre-training gives, by strategy, over seeds, against scratch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis.transfer_reading import gains, reading
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_transfer import TransferSpec
from nndiag.training import devices, distributed, saving
from nndiag.training.transfer_bench import TransferBench
from nndiag.training.transferring import Strategy, Transferred

#: Epochs over which the early slope is taken.
EARLY = 3
#: Seconds from which a user would rather hear of a faster way.
_LONG = 600


@dataclass(kw_only=True)
class _Tried:
    """One strategy at one number of labels, a run a seed."""

    how: Strategy
    labels: int
    runs: list[Transferred] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


def run(spec: TransferSpec, *, save: str | None = None, watch: Watch | None = None) -> Result:
    """Train every strategy with the same images, order and epochs; say what pre-training gave.

    Ctrl-C keeps the strategies that are complete (`result.interrupted` is then True).

    Args:
        save: file for the first network that `finetune` trains (without it, the first strategy).
    """
    started = time.perf_counter()
    watch = watch or Silent()
    tried: list[_Tried] = []
    saved: dict[str, Any] = {}
    interrupted = False
    with distributed.joined(spec.device) as device:
        bench = TransferBench.of(spec, watch, device)
        environment = devices.environment(device) | {"processes": distributed.size()}
        try:
            _try_all(bench, tried, watch, saved, save)
        except KeyboardInterrupt:
            interrupted = True
    complete = [one for one in tried if len(one.test) == spec.seeds]
    rows = _with_gains([_row(one) for one in complete])
    return Result(
        command="transfer",
        spec=spec.to_dict(),
        environment=environment,
        seconds=time.perf_counter() - started,
        result={
            **bench.facts(),
            "rows": rows,
            "curves": [_curve(one) for one in complete],
            "blocks": _blocks(complete),
            "reading": reading(rows),
            "saved": saved or None,
            "interrupted": interrupted,
        },
        version=__version__,
    )


def _try_all(
    bench: TransferBench,
    tried: list[_Tried],
    watch: Watch,
    saved: dict[str, Any],
    save: str | None,
) -> None:
    """Train every plan with every seed; `tried` and `saved` hold what is done at any time."""
    spec, plans = bench.spec, list(bench.plans())
    epochs = itertools.count(1)
    watch.stage(_("measuring the speed of {name}").format(name=bench.row.name), 1)
    seconds = bench.seconds(plans)
    what = _("{count} trainings (epochs)").format(count=len(plans) * spec.seeds)
    smaller = max(bench.row.small_images, 64)
    if seconds > _LONG and bench.image_size > smaller:
        hint = _("{what}; --image-size {size} is faster").format(what=what, size=smaller)
        watch.stage(hint, 0, seconds=seconds)
        seconds = 0.0  # it has been said
    watch.stage(what, len(plans) * spec.seeds * spec.epochs, seconds=seconds)
    for how, labels in plans:
        tried.append(_Tried(how=how, labels=labels))
        for seed in range(spec.seed, spec.seed + spec.seeds):
            learner, one, test = bench.train(how, labels, seed, lambda: watch.update(next(epochs)))
            tried[-1].runs.append(one)
            tried[-1].test.append(test)
            if save and not saved and how.name == _kept(spec):
                names = bench.target(labels, seed).classes
                saved |= saving.save(learner, names, spec, save, image_size=bench.image_size)


def _kept(spec: TransferSpec) -> str:
    """Return the strategy whose first network is saved."""
    return "finetune" if "finetune" in spec.strategies else spec.strategies[0]


def _slope(accuracy: Sequence[float]) -> float:
    """Return the mean rise an epoch from before training over the first epochs."""
    early = min(EARLY, len(accuracy) - 1)
    return (accuracy[early] - accuracy[0]) / early


def _row(one: _Tried) -> dict[str, Any]:
    runs = [
        {"start": run.accuracy[1], "slope": _slope(run.accuracy), "test_accuracy": test}
        for run, test in zip(one.runs, one.test, strict=True)
    ]
    return {
        "label": f"{one.how.name}, {one.labels}",
        "strategy": one.how.name,
        "labels_per_class": one.labels,
        "pretrained": one.how.pretrained,
        "first_frozen": one.how.first_frozen,
        **{name: interval([run[name] for run in runs]) for name in runs[0]},
        "validation_accuracy": interval([run.accuracy[-1] for run in one.runs]),
        "trainable_parameters": one.runs[0].trainable,
        "seconds": float(np.mean([run.seconds for run in one.runs])),
        "diverged": sum(not np.isfinite(run.loss).all() for run in one.runs),
        "runs": runs,
    }


def _with_gains(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each row what it gains on scratch with as many labels, where that was trained."""
    scratch = {row["labels_per_class"]: row for row in rows if row["strategy"] == "scratch"}
    return [
        {
            **row,
            "gain": None
            if row["strategy"] == "scratch" or row["labels_per_class"] not in scratch
            else gains(row, scratch[row["labels_per_class"]]),
        }
        for row in rows
    ]


def _curve(one: _Tried) -> dict[str, Any]:
    table = np.array([run.accuracy for run in one.runs])
    return {
        "strategy": one.how.name,
        "labels_per_class": one.labels,
        "accuracy": [interval(values) for values in table.T],
        "loss": [interval(values) for values in np.array([run.loss for run in one.runs]).T],
    }


def _blocks(tried: Sequence[_Tried]) -> list[dict[str, Any]]:
    """Return gradient norm and movement of each block for the strategies that free any."""
    return [
        {
            "strategy": one.how.name,
            "labels_per_class": one.labels,
            "block": name,
            "gradient_norm": interval([r.gradient[name] for r in one.runs], log=True),
            "moved": interval([r.moved[name] for r in one.runs], log=True),
        }
        for one in tried
        for name in one.runs[0].gradient
    ]
