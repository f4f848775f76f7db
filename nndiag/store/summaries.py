"""What the runs of a sweep say together: a row a configuration, the effect of each axis.

Axes: C configuration, U unit of repetition (a seed; under cross-validation a fold).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nndiag.schema.axes import KINDS, Axis
from nndiag.schema.result import Interval, interval
from nndiag.schema.significance import holm, paired_p_value
from nndiag.schema.spec_sweep import METRICS, Configuration, Outcome, SweepSpec

#: Of a numeric axis with more values than this, the values stand together in quarters.
_MOST_VALUES = 9
_BINS = 4
_LEVEL = 0.05


@dataclass(frozen=True)
class Tried:
    """A configuration with its runs, by fold and seed; those that failed are left out."""

    configuration: Configuration
    outcomes: tuple[Outcome, ...]

    def by_unit(self, metric: str) -> dict[int, float]:
        """Return the metric a seed, or a fold (the mean over its seeds)."""
        units: dict[int, list[float]] = {}
        for one in self.outcomes:
            unit = one.run.seed if one.run.fold is None else one.run.fold
            units.setdefault(unit, []).append(one.score(metric))
        return {unit: float(np.mean(values)) for unit, values in sorted(units.items())}

    def mean(self, metric: str) -> float:
        return float(np.mean(list(self.by_unit(metric).values())))

    def pooled(self, metric: str) -> float:
        """Return the metric over all samples: folds weighted by how many they hold out."""
        weights = [one.metrics["samples"] for one in self.outcomes]
        return float(np.average([one.score(metric) for one in self.outcomes], weights=weights))

    def order(self, metric: str) -> tuple[float, float, str]:
        """Return what sorts configurations, best first: the metric, then the validation loss."""
        sign = -1.0 if METRICS[metric] else 1.0
        return sign * self.mean(metric), self.mean("val_loss"), _text(self.configuration)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A rung of successive halving as far as it got; without halving the whole sweep.

    Attributes:
        steps: of its trainings; 0 without halving.
        failed: runs that ended with an error.
    """

    steps: int
    tried: Sequence[Tried]
    failed: Sequence[Outcome]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], steps: int = 0) -> Reached:
        """Gather runs, in whatever order they ended."""
        return cls(
            steps=steps,
            tried=tried([one for one in outcomes if not one.error]),
            failed=[one for one in outcomes if one.error],
        )

    @property
    def done(self) -> int:
        """Runs that have ended well."""
        return sum(len(one.outcomes) for one in self.tried)


def tried(outcomes: Sequence[Outcome]) -> list[Tried]:
    """Return the configurations of runs that did not fail; the order of the runs has no say."""
    found: dict[str, list[Outcome]] = {}
    for one in outcomes:
        found.setdefault(_text(one.run.configuration), []).append(one)
    return [
        Tried(runs[0].run.configuration, tuple(sorted(runs, key=_unit)))
        for _name, runs in sorted(found.items())
    ]


def _text(configuration: Configuration) -> str:
    return repr(sorted(configuration.items()))


def _unit(one: Outcome) -> tuple[int, int]:
    return one.run.fold or 0, one.run.seed


def ranked(configurations: Sequence[Tried], metric: str) -> list[Tried]:
    """Return the configurations, the best first."""
    return sorted(configurations, key=lambda one: one.order(metric))


def rows(spec: SweepSpec, configurations: Sequence[Tried]) -> list[dict[str, Any]]:
    """Return a row for each configuration, the best first, compared with the best one.

    `p_value` is that of a paired t-test over the units against the best configuration, corrected
    for all of them (Holm 1979); `tied` says that it shows no difference.
    """
    ordered = ranked(configurations, spec.metric)
    names = spec.shown
    p_values = _against_best(ordered, spec.metric)
    return [_row(one, names, p_value, spec) for one, p_value in zip(ordered, p_values, strict=True)]


def _row(one: Tried, names: Sequence[str], p_value: float, spec: SweepSpec) -> dict[str, Any]:
    row: dict[str, Any] = {
        "label": label(one.configuration, names),
        **{name: one.configuration[name] for name in names},
        "steps": one.configuration["steps"],
        **{metric: mean_of(one.by_unit(metric).values()) for metric in METRICS},
        "diverged": sum(outcome.diverged for outcome in one.outcomes),
        "runs": len(one.outcomes),
        "seconds": float(np.mean([outcome.seconds for outcome in one.outcomes])),
        "p_value": p_value,
        "tied": p_value >= _LEVEL,
        "configuration": dict(one.configuration),
    }
    if spec.folds is not None:
        row["fold_spread"] = _spread(one.by_unit(spec.metric).values())
        row["pooled_accuracy"] = one.pooled("test_accuracy")
        row["pooled_loss"] = one.pooled("test_loss")
    return row


def _against_best(ordered: Sequence[Tried], metric: str) -> list[float]:
    if not ordered:
        return []
    best = ordered[0].by_unit(metric)
    raw = []
    for one in ordered[1:]:
        own = one.by_unit(metric)
        shared = [unit for unit in best if unit in own]
        differences = [best[unit] - own[unit] for unit in shared]
        infinite = any(math.isinf(difference) for difference in differences)
        raw.append(0.0 if infinite else paired_p_value(differences))
    return [1.0, *holm(raw)]


def mean_of(values: Iterable[float]) -> Interval:
    """Return the mean with its 95 % interval; infinite where a run diverged."""
    array = np.asarray(list(values), dtype=float)
    if np.isinf(array).any():
        return Interval(math.inf, math.inf, math.inf)
    return interval(array)


def _spread(values: Any) -> float:
    array = np.asarray(list(values), dtype=float)
    return float(array.std(ddof=1)) if array.size > 1 and np.isfinite(array).all() else math.nan


def label(configuration: Configuration, names: Sequence[str]) -> str:
    """Return what tells a configuration from the others: `act=relu lr=0.1`."""
    return " ".join(f"{name}={value_text(configuration[name])}" for name in names)


def value_text(value: Any) -> str:
    """Return a setting as it can be typed again."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class _Level:
    """A value of an axis, or a quarter of its values, with the configurations that have it."""

    label: str
    value: Any
    members: tuple[Tried, ...]


def marginals(spec: SweepSpec, configurations: Sequence[Tried]) -> list[dict[str, Any]]:
    """Return the effect of each axis that varies, the strongest first.

    The marginal mean of a value is the mean over every configuration that has it, all other axes
    averaged over; its interval is over the units. `share` is the part of the variance of the
    configurations' means that lies between the values: of a grid exactly (first-order functional
    ANOVA; with those of the interactions the shares add up to 1), of a random sample without what
    chance alone would put there (Kelley's epsilon squared).

    Configurations whose runs are not all known are left out; of a grid also those that an axis's
    other values lack, lest values be compared in different company.
    """
    found = []
    for axis in spec.parsed:
        members = _comparable(spec, axis, configurations)
        if axis.varies and members:
            found.append(_marginal(axis, _levels(spec, axis, members), members, spec))
    shares = [-one["share"] if math.isfinite(one["share"]) else 0.0 for one in found]
    return [found[place] for place in np.argsort(shares, kind="stable")]


def _comparable(spec: SweepSpec, axis: Axis, configurations: Sequence[Tried]) -> list[Tried]:
    runs = spec.seeds * (spec.folds or 1)
    whole = [one for one in configurations if len(one.outcomes) == runs]
    if spec.samples is not None:
        return whole
    company: dict[str, list[Tried]] = {}
    for one in whole:
        rest = {name: value for name, value in one.configuration.items() if name in spec.shown}
        rest.pop(axis.name, None)
        company.setdefault(_text(rest), []).append(one)
    return [one for some in company.values() if len(some) == len(axis.values) for one in some]


def _levels(spec: SweepSpec, axis: Axis, configurations: Sequence[Tried]) -> list[_Level]:
    groups: dict[Any, list[Tried]] = {}
    for one in configurations:
        groups.setdefault(one.configuration[axis.name], []).append(one)
    numeric = KINDS[axis.name].form in ("integer", "number") and None not in groups
    order = sorted(groups) if numeric else [value for value in axis.values if value in groups]
    drawn = spec.samples is not None and axis.continuous
    if not numeric or (len(groups) <= _MOST_VALUES and not drawn):
        return [_Level(value_text(value), value, tuple(groups[value])) for value in order]
    ordered = [one for value in order for one in groups[value]]
    return [_bin(axis, part) for part in _parts(axis, ordered)]


def _parts(axis: Axis, ordered: Sequence[Tried]) -> list[list[Tried]]:
    """Divide into quarters; configurations of one value stay together."""
    parts: dict[int, list[Tried]] = {}
    place_of: dict[Any, int] = {}
    for place, one in enumerate(ordered):
        value = one.configuration[axis.name]
        place_of.setdefault(value, place * _BINS // len(ordered))
        parts.setdefault(place_of[value], []).append(one)
    return list(parts.values())


def _bin(axis: Axis, members: Sequence[Tried]) -> _Level:
    values = [one.configuration[axis.name] for one in members]
    low, high = min(values), max(values)
    middle = math.sqrt(low * high) if axis.scale == "log" else (low + high) / 2
    return _Level(f"{value_text(low)}..{value_text(high)}", middle, tuple(members))


def _marginal(
    axis: Axis, levels: Sequence[_Level], configurations: Sequence[Tried], spec: SweepSpec
) -> dict[str, Any]:
    metric = spec.metric
    values = [_by_unit(level.members, metric) for level in levels]
    means = [float(np.mean(list(one.values()))) for one in values]
    best, worst = _ends(means, metric)
    shared = [unit for unit in values[best] if unit in values[worst]]
    effect = mean_of([_gap(values[best][unit], values[worst][unit], metric) for unit in shared])
    return {
        "axis": axis.name,
        "share": _share(levels, configurations, spec),
        "effect": effect,
        "best": levels[best].label,
        "worst": levels[worst].label,
        "rows": [
            {
                "label": level.label,
                axis.name: level.value,
                metric: mean_of(one.values()),
                "configurations": len(level.members),
                "diverged": sum(o.diverged for member in level.members for o in member.outcomes),
                "runs": sum(len(member.outcomes) for member in level.members),
            }
            for level, one in zip(levels, values, strict=True)
        ],
    }


def _gap(best: float, worst: float, metric: str) -> float:
    """Return by how much better `best` is; nothing where both are infinitely bad."""
    if best == worst:
        return 0.0
    return best - worst if METRICS[metric] else worst - best


def _ends(means: Sequence[float], metric: str) -> tuple[int, int]:
    order = np.argsort(means, kind="stable")
    first, last = int(order[0]), int(order[-1])
    return (last, first) if METRICS[metric] else (first, last)


def _by_unit(members: Sequence[Tried], metric: str) -> dict[int, float]:
    units: dict[int, list[float]] = {}
    for one in members:
        for unit, value in one.by_unit(metric).items():
            units.setdefault(unit, []).append(value)
    return {unit: float(np.mean(values)) for unit, values in sorted(units.items())}


def _share(levels: Sequence[_Level], configurations: Sequence[Tried], spec: SweepSpec) -> float:
    everything = np.array([one.mean(spec.metric) for one in configurations])
    if not np.isfinite(everything).all() or everything.var() == 0:
        return math.nan
    means = np.array([np.mean([o.mean(spec.metric) for o in level.members]) for level in levels])
    weights = np.array([len(level.members) for level in levels])
    between = float(np.average((means - everything.mean()) ** 2, weights=weights))
    share = between / float(everything.var())
    if spec.samples is None:
        return share
    free = len(everything) - len(levels)
    return max(0.0, 1 - (1 - share) * (len(everything) - 1) / free) if free else math.nan


def heat_map(
    spec: SweepSpec, configurations: Sequence[Tried], effects: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return the mean metric over the two axes that matter most; None with fewer than two."""
    if len(effects) < 2:
        return None
    by_name = {axis.name: axis for axis in spec.parsed}
    first, second = (by_name[one["axis"]] for one in effects[:2])
    across, down = (_levels(spec, axis, configurations) for axis in (first, second))
    table = [[_cell(row, column, spec.metric) for column in across] for row in down]
    return {
        "x": first.name,
        "y": second.name,
        "x_labels": [level.label for level in across],
        "y_labels": [level.label for level in down],
        spec.metric: table,
    }


def _cell(row: _Level, column: _Level, metric: str) -> float | None:
    inside = {id(one) for one in row.members}
    values = [one.mean(metric) for one in column.members if id(one) in inside]
    return float(np.mean(values)) if values else None


def paired(first: Sequence[Tried], second: Sequence[Tried], metric: str) -> list[float]:
    """Return the differences second - first over the configurations and units in both."""
    known = {_text(one.configuration): one.by_unit(metric) for one in first}
    found = []
    for one in second:
        own = known.get(_text(one.configuration), {})
        found += [value - own[unit] for unit, value in one.by_unit(metric).items() if unit in own]
    return found
