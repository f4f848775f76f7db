"""The result of a sweep from the runs that are known, as it ends or as the store has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nndiag.diagnosis.sweep_reading import reading
from nndiag.schema.spec_sweep import METRICS, SweepSpec, key
from nndiag.store import summaries
from nndiag.store.summaries import Reached, Tried


def sweep_result(spec: SweepSpec, reached: Sequence[Reached], planned: int) -> dict[str, Any]:
    """Return rows, effects of the axes, rungs and the reading.

    Args:
        reached: the rungs, the first one first; at least one.
        planned: trainings that they ask for.
    """
    first = reached[0].tried
    effects = summaries.marginals(spec, first) if first else []
    found = {
        "metric": spec.metric,
        "higher_is_better": METRICS[spec.metric],
        "axes": [
            {"name": axis.name, "values": list(axis.values), "text": axis.text}
            for axis in spec.parsed
        ],
        "data": sorted({one.configuration["data"] for one in first}),
        "shared": _shared(spec, first),
        "trainings": sum(rung.done for rung in reached),
        "planned": planned,
        "rows": _rows(spec, reached),
        "marginals": effects,
        "heat": summaries.heat_map(spec, first, effects),
        "rungs": [_rung(spec, rung) for rung in reached if spec.halving],
        "samples": _samples(first),
        "failed": [
            {
                "label": summaries.label(one.run.configuration, spec.shown),
                "seed": one.run.seed,
                "fold": one.run.fold,
                "error": one.error,
            }
            for rung in reached
            for one in rung.failed
        ],
    }
    return {**found, "reading": reading(found, spec)}


def _shared(spec: SweepSpec, configurations: Sequence[Tried]) -> dict[str, Any]:
    """Return the settings that are the same in all, those that are left out apart."""
    if not configurations:
        return {}
    first = configurations[0].configuration
    return {
        name: value
        for name, value in first.items()
        if value is not None
        and name not in spec.shown
        and not (name == "steps" and spec.halving)
        and all(one.configuration[name] == value for one in configurations)
    }


def _rows(spec: SweepSpec, reached: Sequence[Reached]) -> list[dict[str, Any]]:
    """Return a row a configuration, of the last rung that it was in."""
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for place, rung in reversed(list(enumerate(reached, start=1))):
        chosen = [one for one in rung.tried if _identity(one) not in seen]
        seen |= {_identity(one) for one in chosen}
        own = summaries.rows(spec, chosen)
        if found:  # out before the end: not comparable with those that trained longer
            own = [{**row, "p_value": None, "tied": False} for row in own]
        found += [{**row, "rung": place} if spec.halving else row for row in own]
    return found


def _identity(one: Tried) -> str:
    """Return what a configuration is, whatever the steps of its rung."""
    return key({**one.configuration, "steps": 0}, "")


def _rung(spec: SweepSpec, rung: Reached) -> dict[str, Any]:
    ordered = summaries.ranked(rung.tried, spec.metric)
    return {
        "steps": rung.steps,
        "configurations": len(rung.tried),
        "best": summaries.label(ordered[0].configuration, spec.shown) if ordered else None,
        spec.metric: ordered[0].mean(spec.metric) if ordered else None,
    }


def _samples(configurations: Sequence[Tried]) -> int:
    """Return how many samples the test score of a configuration rests on."""
    for one in configurations:
        sizes = {outcome.run.fold: outcome.metrics["samples"] for outcome in one.outcomes}
        return int(sum(sizes.values()))
    return 0
