"""`nndiag learning-curve`: accuracy against training-set size, and what would help more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis.growth_reading import power_law, reading
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec_generalisation import LearningCurveSpec
from nndiag.training import devices, presets
from nndiag.training.comparing import Trainer, Tuned, rows, summary


def run(spec: LearningCurveSpec, *, watch: Watch | None = None) -> Result:
    """Train on every size at its own best rate, then a wider network on the largest.

    Ctrl-C keeps the sizes that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    variants = presets.planned(spec)
    trainer = Trainer(variants, watch or Silent(), eval_train=True)
    tuned, interrupted = trainer.until_interrupted(variants)
    curve, wider = tuned[: len(variants) - 1], tuned[len(variants) - 1 :]
    found = {
        **_summary(tuned, curve, spec, interrupted),
        "rows": _rows(curve, spec),
        "wider": _rows(wider, spec),
        "wider_factor": spec.wider,
        "data_gain": _gain(curve[-2:]),
        "width_gain": _gain([*curve[-1:], *wider]) if wider else None,
    }
    found["power_law"] = power_law(found["rows"])
    return Result(
        command="learning-curve",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, **reading(found)},
        version=__version__,
    )


def _summary(
    tuned: Sequence[Tuned], curve: Sequence[Tuned], spec: LearningCurveSpec, interrupted: bool
) -> dict[str, Any]:
    """Return what every preset has; the trainings are all of them, the data the largest size."""
    return {
        **summary(curve, spec, interrupted),
        "data": summary(curve[-1:], spec, interrupted)["data"],
        "trainings": sum(len(one.diverged) for one in tuned),
    }


def _rows(tuned: Sequence[Tuned], spec: LearningCurveSpec) -> list[dict[str, Any]]:
    """Return the rows of a comparison with what a learning curve adds to them."""
    return [
        {
            **row,
            "train_accuracy": interval(_trained(one)),
            "gap": interval(_trained(one) - _validated(one)),
            "train_loss": interval(one.members.train_loss[-1]),
        }
        for row, one in zip(rows(tuned, spec), tuned, strict=True)
    ]


def _trained(one: Tuned) -> np.ndarray:
    """Return the (S,) accuracies on the samples trained on; what diverged counts 0."""
    return np.where(one.members.diverged, 0.0, one.members.train_accuracy[-1])


def _validated(one: Tuned) -> np.ndarray:
    return np.where(one.members.diverged, 0.0, one.members.val_accuracy[-1])


def _gain(pair: Sequence[Tuned]) -> Interval | None:
    """Return what the second has more of validation accuracy than the first, paired by seed."""
    if len(pair) < 2:
        return None
    return interval(_validated(pair[1]) - _validated(pair[0]))
