"""`nndiag lr-find`: the range test, what it suggests, and whether fixed rates agree."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis.rate_reading import reading
from nndiag.locales import _
from nndiag.schema.errors import RunError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_presets import LrFindSpec
from nndiag.training import devices, presets
from nndiag.training.comparing import Trainer, Tuned, accuracies, summary
from nndiag.training.range_test import RangeTest, rates, read


def run(spec: LrFindSpec, *, watch: Watch | None = None) -> Result:
    """Let the rate rise, read the losses, then train with fixed rates to see.

    Every training has a network of its own: no model, optimizer or random state of the caller's is
    touched. Ctrl-C keeps what is complete (`result.interrupted` is then True).

    Raises:
        RunError: the loss is not finite from the start.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    rising = presets.rising(spec)
    found, interrupted = Trainer([rising], watch).until_interrupted([rising])
    tests = _read(found[0], spec) if found else []
    tuned: list[Tuned] = []
    fixed: list[Tuned] = []
    if tests:
        three, grid = presets.fixed_rates(spec, *_rates(tests))
        trainer = Trainer([*three, grid], watch)
        tuned, interrupted = trainer.until_interrupted(three)
        if not interrupted:
            fixed, interrupted = trainer.until_interrupted([grid])
    base = summary(tuned, spec, interrupted, reference="good")
    result = {
        **base,
        "range": _range(found[0], tests, spec) if tests else None,
        "suggestion": _suggestion(tests) if tests else None,
        "fixed": _fixed(fixed[0]) if fixed else [],
        "trainings": base["trainings"] + sum(len(one.diverged) for one in (*found, *fixed)),
    }
    return Result(
        command="lr-find",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**result, "reading": reading(result)},
        version=__version__,
    )


def _read(one: Tuned, spec: LrFindSpec) -> list[RangeTest]:
    losses = one.members.loss
    rising = rates(spec.low, spec.high / spec.low, len(losses))
    if not np.isfinite(losses[:2]).all():
        raise RunError(_("lr-find: the loss is not finite from the first steps on"))
    return [read(column, rising) for column in losses.T]


def _middle(values: list[float]) -> float:
    """Return the geometric mean of rates, with as many digits as are typed."""
    return float(f"{np.exp(np.mean(np.log(values))):.3g}")


def _rates(tests: list[RangeTest]) -> tuple[float, float, float]:
    """Return the steepest, the suggested and the too large rate over the seeds."""
    return (
        _middle([one.steepest for one in tests]),
        _middle([one.suggested for one in tests]),
        _middle([one.too_large for one in tests]),
    )


def _suggestion(tests: list[RangeTest]) -> dict[str, Any]:
    return {
        "lr": interval([one.suggested for one in tests], log=True),
        "low": interval([one.steepest for one in tests], log=True),
        "high": interval([one.lowest for one in tests], log=True),
        "too_large": interval([one.too_large for one in tests], log=True),
    }


def _range(one: Tuned, tests: list[RangeTest], spec: LrFindSpec) -> dict[str, Any]:
    """Return the curve: rates, smoothed losses over the seeds, and one seed's as it was."""
    losses = one.members.loss
    smooth = np.stack([test.smooth for test in tests], axis=1)
    kept = np.isfinite(smooth).all(axis=1)
    rising = rates(spec.low, spec.high / spec.low, len(losses))
    return {
        "rates": rising[kept].tolist(),
        "loss": [interval(values) for values in smooth[kept]],
        "raw": losses[kept, 0].tolist(),
    }


def _fixed(one: Tuned) -> list[dict[str, Any]]:
    """Return accuracy by fixed rate."""
    return [
        {
            "lr": configuration["lr"],
            "val_accuracy": interval(np.where(record.diverged, 0.0, record.val_accuracy[-1])),
            "test_accuracy": interval(accuracies(record)),
            "diverged": int(record.diverged.sum()),
        }
        for configuration, record in zip(one.configurations, one.records, strict=True)
    ]
