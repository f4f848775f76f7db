"""`nndiag compare-schedules`: every schedule at its own best rate, and 'first without decay'."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis.schedule_reading import reading
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_presets import SchedulesSpec
from nndiag.training import devices, presets
from nndiag.training.comparing import Trainer, Tuned, accuracies, summary
from nndiag.training.members import Member
from nndiag.training.rates import Rates
from nndiag.zoo import schedules

_POINTS = 100


def run(spec: SchedulesSpec, *, watch: Watch | None = None) -> Result:
    """Tune the rate of every schedule, repeat over seeds, and judge the advice.

    Ctrl-C keeps the schedules that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    variants = presets.schedules(spec)
    trainer = Trainer(variants, watch or Silent())
    tuned, interrupted = trainer.until_interrupted(variants)
    found = {
        **summary(tuned, spec, interrupted, reference="constant"),
        "shapes": [_shape(one) for one in tuned],
        "advice": _advice(tuned),
    }
    return Result(
        command="compare-schedules",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, "reading": reading(found)},
        version=__version__,
    )


def _shape(one: Tuned) -> dict[str, Any]:
    """Return the factor of the rate over the steps; of `plateau`, the mean over seeds."""
    steps, label = one.chosen["steps"], one.variant.label
    schedule = schedules.parse(label)
    if schedule.row.factor is None:
        factors = _followed(one).mean(axis=1)
    else:
        factors = schedule.factors(steps)
    every = max(1, steps // _POINTS)
    return {
        "label": label,
        "formula": schedule.row.formula,
        "steps": list(range(1, steps + 1, every)),
        "factor": factors[::every].tolist(),
    }


def _followed(one: Tuned) -> np.ndarray:
    """Return the (steps, S) factors that followed the validation losses."""
    record, steps = one.members, one.chosen["steps"]
    seeds = record.val_loss.shape[1]
    members = [Member(seed=0, lr=1.0, schedule=one.variant.label)] * seeds
    rates = Rates(members, steps)
    losses = dict(zip(record.evaluated.tolist(), record.val_loss, strict=True))
    factors = []
    for step in range(steps):
        factors.append(rates.at(step))
        if step + 1 in losses:
            rates.observe(losses[step + 1])
    return np.stack(factors)


def _advice(tuned: Sequence[Tuned]) -> dict[str, Any] | None:
    """Return what 'first without, then with decay' gives, beside tuning every schedule anew."""
    if len(tuned) < 2 or tuned[0].variant.label != "constant":
        return None
    first, lr = tuned[0], tuned[0].chosen["lr"]
    decayed = [(one, one.at(lr=lr)) for one in tuned[1:]]
    second, place = max(decayed, key=lambda pair: pair[0].score(pair[1]))
    then = accuracies(second.of(place))
    anew = max(tuned, key=lambda one: one.score(one.best))
    seeds = len(then)
    return {
        "lr": lr,
        "first": interval(accuracies(first.members)),
        "schedule": second.variant.label,
        "then": interval(then),
        "gain": interval(then - accuracies(first.members)),
        "anew": {"label": anew.variant.label, "lr": anew.chosen["lr"]},
        "rest": interval(accuracies(anew.members) - then),
        "trainings": (len(first.configurations) + len(tuned) - 1) * seeds,
        "trainings_all": sum(len(one.configurations) for one in tuned) * seeds,
        "rows": [
            {"label": one.variant.label, "test_accuracy": interval(accuracies(one.of(place)))}
            for one, place in decayed
        ],
    }
