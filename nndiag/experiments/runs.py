"""`nndiag runs`: what the store knows. Trains nothing and never loads torch."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nndiag import __version__
from nndiag.diagnosis.sweep_reading import comparison
from nndiag.diagnosis.sweep_result import sweep_result
from nndiag.locales import _
from nndiag.schema.errors import RunError
from nndiag.schema.result import Result
from nndiag.schema.significance import paired_p_value
from nndiag.schema.spec_sweep import METRICS, Outcome
from nndiag.store import database, summaries
from nndiag.store.runs import Store, Sweep, no_sweeps
from nndiag.store.summaries import Reached, Tried


def listed(folder: Path | None = None) -> Result:
    """Return every sweep, the newest first."""
    started = time.perf_counter()
    folder = folder or database.home()
    sweeps: list[Sweep] = []
    if database.exists(folder):
        with Store(folder) as store:
            sweeps = store.sweeps()
    rows = [
        {
            "label": one.name,
            "axes": list(one.spec.axes),
            "metric": one.spec.metric,
            "done": one.done,
            "planned": one.planned,
            "failed": one.failed,
            "complete": one.complete,
            "created": one.created,
            "seconds": one.seconds,
            "version": one.version,
        }
        for one in sweeps
    ]
    found = {"store": str(folder.absolute()), "rows": rows, "reading": []}
    return _result("runs-list", {}, started, found)


def shown(name: str, folder: Path | None = None) -> Result:
    """Return the result of a stored sweep as far as it got, in the form that `sweep` gives.

    Raises:
        UsageError: there is none of that name.
        RunError: none of its runs is complete.
    """
    started = time.perf_counter()
    sweep, outcomes = _stored([name], folder)[0]
    found = {
        "sweep": sweep.name,
        "store": str((folder or database.home()).absolute()),
        **sweep_result(sweep.spec, _reached(sweep, outcomes), sweep.planned),
        "resumed": 0,
        "interrupted": not sweep.complete,
    }
    return _result("sweep", sweep.spec.to_dict(), started, found)


def compared(names: Sequence[str], metric: str | None = None, folder: Path | None = None) -> Result:
    """Return the best configuration of each sweep, and the first against each other.

    Sweeps are paired over the trainings that they share: the same settings, seed and fold.

    Args:
        metric: None for that of the first.

    Raises:
        UsageError: there is none of a name.
        RunError: none of the runs of one is complete.
    """
    started = time.perf_counter()
    sweeps = _stored(names, folder)
    metric = metric or sweeps[0][0].spec.metric
    tried = [_reached(sweep, outcomes)[-1].tried for sweep, outcomes in sweeps]
    rows = [
        _best(sweep, outcomes, configurations, metric)
        for (sweep, outcomes), configurations in zip(sweeps, tried, strict=True)
    ]
    found = {
        "metric": metric,
        "higher_is_better": METRICS[metric],
        "rows": rows,
        "pairs": [
            _pair(rows[0]["label"], row["label"], summaries.paired(tried[0], other, metric))
            for row, other in zip(rows[1:], tried[1:], strict=True)
        ],
    }
    spec = {"sweeps": [sweep.name for sweep, _outcomes in sweeps], "metric": metric}
    return _result("runs-compare", spec, started, {**found, "reading": comparison(found)})


def exported(name: str, folder: Path | None = None) -> list[dict[str, Any]]:
    """Return a row for each run that has ended, in the order in which they ended.

    Raises:
        UsageError: there is no sweep of that name.
    """
    sweep, outcomes = _stored([name], folder, even_empty=True)[0]
    return [
        {
            "sweep": sweep.name,
            **one.run.configuration,
            "seed": one.run.seed,
            "split": one.run.split,
            "fold": one.run.fold,
            "folds": one.run.folds,
            **{metric: one.metrics.get(metric) for metric in METRICS},
            "diverged": one.diverged,
            "seconds": one.seconds,
            "error": one.error,
        }
        for one in outcomes
    ]


def _stored(
    names: Sequence[str], folder: Path | None, *, even_empty: bool = False
) -> list[tuple[Sweep, list[Outcome]]]:
    folder = folder or database.home()
    if not database.exists(folder):
        raise no_sweeps(folder)
    with Store(folder) as store:
        sweeps = [store.get(name, _("sweep")) for name in names]
        found = [(sweep, list(store.outcomes(sweep).values())) for sweep in sweeps]
    for sweep, outcomes in found:
        if not even_empty and all(one.error for one in outcomes):
            raise RunError(
                _("none of the runs of '{name}' is complete yet").format(name=sweep.name)
            )
    return found


def _reached(sweep: Sweep, outcomes: Sequence[Outcome]) -> list[Reached]:
    """Return the rungs; each of successive halving has steps of its own."""
    if not sweep.spec.halving:
        return [Reached.of(outcomes)]
    steps = sorted({one.run.steps for one in outcomes})
    return [Reached.of([one for one in outcomes if one.run.steps == n], n) for n in steps]


def _best(
    sweep: Sweep, outcomes: Sequence[Outcome], tried: Sequence[Tried], metric: str
) -> dict[str, Any]:
    best = summaries.ranked(tried, metric)[0]
    names = sweep.spec.shown
    return {
        "label": sweep.name,
        "best": summaries.label(best.configuration, names),
        "configuration": dict(best.configuration),
        **{name: summaries.mean_of(best.by_unit(name).values()) for name in METRICS},
        "trainings": len(outcomes),
        "diverged": sum(one.diverged for one in outcomes),
        "seconds": sweep.seconds,
    }


def _pair(first: str, second: str, differences: Sequence[float]) -> dict[str, Any]:
    return {
        "label": second,
        "against": first,
        "shared": len(differences),
        "difference": summaries.mean_of(differences) if differences else None,
        "p_value": paired_p_value(differences),
    }


def _result(
    command: str, spec: Mapping[str, Any], started: float, found: Mapping[str, Any]
) -> Result:
    return Result(
        command=command,
        spec=spec,
        environment={"python": platform.python_version(), "platform": platform.platform()},
        seconds=time.perf_counter() - started,
        result=found,
        version=__version__,
    )
