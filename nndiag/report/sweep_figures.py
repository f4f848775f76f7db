"""What `--plot` draws for a sweep: the best, each axis, two axes, and all of them in parallel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report.metrics import level_text, metric_title, metric_value, scaled, setting_text
from nndiag.report.panels import Heat, Line, Panel
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]

_MOST_ROWS = 20
#: Configurations of one colour in the parallel coordinates; more hide each other.
_MOST_PATHS = 60
#: Values of an axis that are all named; of more the ends are.
_MOST_NAMES = 10
#: Names of three digits that stand beside each other.
_FEW_TICKS = 6
#: A numeric axis whose ends differ by this factor is divided by ratios.
_WIDE = 50


def sweep(result: Result) -> Iterator[Panel]:
    """Yield the panels of a sweep."""
    found = result.result
    if not found["rows"]:
        return
    yield _best(found)
    if found["heat"] is not None:
        yield _heat(found)
    if len(found["marginals"]) > 1:
        yield _parallel(found)
    for effect in found["marginals"]:
        yield _effect(effect, found["metric"])


def _intervals(numbers: Sequence[Interval], metric: str) -> list[list[float]]:
    """Return means and edges in the unit of the axis; no accuracy is shown above 100 %."""
    most = 1.0 if metric.endswith("accuracy") else math.inf
    return [
        [scaled(value, metric) for value in (one.mean, max(0.0, one.low), min(most, one.high))]
        for one in numbers
    ]


def _best(found: Row) -> Panel:
    rows, metric = found["rows"][:_MOST_ROWS], found["metric"]
    mean, low, high = zip(*_intervals([row[metric] for row in rows], metric), strict=True)
    places = list(range(1, len(rows) + 1))
    names = [axis["name"] for axis in found["axes"] if axis["name"] in rows[0]]
    return Panel(
        title=_("The best ({axes})").format(axes=", ".join(names)),
        lines=[Line(x=mean, y=places, low=low, high=high, dots=True)],
        down=[", ".join(setting_text(row[name]) for name in names) for row in rows],
        x_name=_("{metric}, 95 % interval").format(metric=metric_title(metric)),
    )


def _effect(effect: Row, metric: str) -> Panel:
    rows = effect["rows"]
    mean, low, high = zip(*_intervals([row[metric] for row in rows], metric), strict=True)
    return Panel(
        title=_("{axis}, mean over the rest").format(axis=effect["axis"]),
        lines=[Line(x=list(range(1, len(rows) + 1)), y=mean, low=low, high=high, dots=True)],
        ticks=_ticks([row["label"] for row in rows]),
        x_name=effect["axis"],
        y_name=metric_title(metric),
    )


def _ticks(labels: Sequence[str]) -> list[str]:
    return [level_text(label, 3 if len(labels) <= _FEW_TICKS else 2) for label in labels]


def _heat(found: Row) -> Panel:
    heat, metric = found["heat"], found["metric"]
    across, down = (_ticks(heat[f"{name}_labels"]) for name in "xy")
    cells = heat[metric]
    return Panel(
        title=_("{metric} by {y} and {x}").format(
            metric=metric_title(metric), x=heat["x"], y=heat["y"]
        ),
        heat=Heat(
            steps=list(range(1, len(across) + 1)),
            across=across,
            names=down,
            z=[
                [None if row[x] is None else scaled(row[x], metric) for row in cells]
                for x in range(len(across))
            ],
        ),
        x_name=heat["x"],
        y_name=heat["y"],
    )


def _parallel(found: Row) -> Panel:
    """Return an axis a setting, the metric last, and a line through them a configuration."""
    metric, rows = found["metric"], found["rows"]
    names = [effect["axis"] for effect in reversed(found["marginals"])]
    columns = [
        *(_column([row[name] for row in rows], setting_text) for name in names),
        _column([row[metric].mean for row in rows], lambda value: metric_value(value, metric)),
    ]
    paths = list(zip(*(heights for heights, _marks in columns), strict=True))
    return Panel(
        title=_("All configurations in parallel"),
        lines=[
            *_paths(paths),
            *(_named(place, marks) for place, (_heights, marks) in enumerate(columns, start=1)),
        ],
        ticks=[*names, metric_title(metric)],
        x_limits=(0.8, len(names) + 2.4),  # room for the legend
        y_limits=(-0.08, 1.12),
        y_name=_("from the smallest to the largest"),
    )


def _column(
    values: Sequence[Any], write: Callable[[Any], str]
) -> tuple[list[float], dict[float, str]]:
    """Return the height of each value, 0 to 1, and the heights that have a name."""
    numbers = [value for value in values if _is_number(value)]
    if len(numbers) < len(values) or not any(map(math.isfinite, numbers)):
        order = {value: place for place, value in enumerate(dict.fromkeys(values))}
        heights = [order[value] / max(1, len(order) - 1) for value in values]
    else:
        heights = _spread(numbers)
    named = {height: write(value) for height, value in zip(heights, values, strict=True)}
    if len(named) > _MOST_NAMES:
        named = {end: named[end] for end in (min(named), max(named))}
    return heights, named


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spread(numbers: Sequence[float]) -> list[float]:
    """Return heights in proportion, by ratios where the ends are far apart; infinity on top."""
    finite = [number for number in numbers if math.isfinite(number)]
    low, high = min(finite), max(finite)
    if low > 0 and high / low > _WIDE:
        return _spread([math.log(number) for number in numbers])
    if low == high:
        return [0.5 if math.isfinite(number) else 1.0 for number in numbers]
    return [min(1.0, (number - low) / (high - low)) for number in numbers]


def _paths(paths: Sequence[Sequence[float]]) -> Iterator[Line]:
    """Yield the configurations in three colours, the best on top.

    A colour is one curve: to and fro, so that its turns lie upon the outer axes.
    """
    quarter = -(-len(paths) // 4)
    classes = (
        (_("worst quarter"), 1, paths[-quarter:]),
        (_("middle half"), 5, paths[quarter:-quarter]),
        (_("best quarter"), 2, paths[:quarter]),
    )
    for name, colour, members in classes if len(paths) > 3 else ((_("all"), 0, paths),):
        x: list[float] = []
        y: list[float] = []
        for place, path in enumerate(members[:_MOST_PATHS]):
            turn = 1 if place % 2 == 0 else -1
            x += list(range(1, len(path) + 1))[::turn]
            y += list(path)[::turn]
        if x:
            yield Line(x=x, y=y, name=name, colour=colour)


def _named(place: int, marks: Mapping[float, str]) -> Line:
    """Return the names of values beside their axis."""
    return Line(
        x=[place] * len(marks),
        y=list(marks),
        labels=list(marks.values()),
        dots=True,
        colour=None,
        marker=0,
    )
