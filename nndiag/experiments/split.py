"""`nndiag split`: training, validation and test, their distributions compared, and what leaks.

Axes: S division, N sample, F feature, K class, P part of the division.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from nndiag import __version__, datasets
from nndiag.datasets import csv_file, leaks
from nndiag.datasets.splits import Splits, stratified
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.significance import chi_square_tail, holm, kolmogorov_tail
from nndiag.schema.spec_generalisation import SplitSpec

Array = np.ndarray

#: The rule of thumb below which chi-square is not to be trusted (Cochran 1954).
_FEWEST_EXPECTED = 5
#: Numbers up to which every feature is compared; of larger data an even choice of features is.
_MOST_NUMBERS = 20_000_000
_LEVEL = 0.05
_PARTS = ("train", "validation", "test")


def run(spec: SplitSpec, *, watch: Watch | None = None) -> Result:
    """Divide by class and at random, compare the distributions, and look for leaks."""
    started = time.perf_counter()
    watch = watch or Silent()
    splits = datasets.load(spec.data, seed=spec.seed, progress=watch)
    x, y = _joined(splits)
    names = _PARTS if len(spec.fractions) == 3 else (_PARTS[0], _PARTS[2])
    watch.stage(_("dividing"), 2 * spec.seeds)
    rows = [
        _row(kind, [_divided(kind, y, spec, k) for k in range(spec.seeds)], y, spec, done, watch)
        for done, kind in enumerate(("stratified", "random"))
    ]
    parts = stratified(y, spec.fractions, spec.seed)
    found = {
        "data": splits.name,
        "samples": len(y),
        "input_shape": list(splits.input_shape),
        "parts": [
            {"name": name, "samples": len(part), "fraction": fraction}
            for name, part, fraction in zip(names, parts, spec.fractions, strict=True)
        ],
        "classes": _classes(splits, y, parts),
        "largest_class": float(np.bincount(y).max() / len(y)),
        "rows": rows,
        "features": _features(x, parts, names),
        "leaks": _leaks(spec, x, y, parts),
    }
    return Result(
        command="split",
        spec=spec.to_dict(),
        environment={
            "device": "cpu",
            "torch": version("torch"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={**found, "reading": _reading(found)},
        version=__version__,
    )


def _joined(splits: Splits) -> tuple[Array, Array]:
    parts = splits.train, splits.validation, splits.test
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y"))
    return x.reshape(len(x), -1), y


def _divided(kind: str, y: Array, spec: SplitSpec, place: int) -> Sequence[Array]:
    if kind == "stratified":
        return stratified(y, spec.fractions, spec.seed + place)
    order = np.random.default_rng([spec.seed + place, 9]).permutation(len(y))
    ends = np.round(np.cumsum(spec.fractions[:-1]) * len(y)).astype(int)
    return np.split(order, ends)


def _classes(splits: Splits, y: Array, parts: Sequence[Array]) -> list[dict[str, Any]]:
    table = counts(y, parts)
    return [
        {"label": name, "samples": int(table[k].sum()), "parts": table[k].tolist()}
        for k, name in enumerate(splits.classes)
    ]


def counts(y: Array, parts: Sequence[Array]) -> Array:
    """Return (K, P) how many samples of each class each part has."""
    classes = int(y.max()) + 1
    return np.stack([np.bincount(y[part], minlength=classes) for part in parts], axis=1)


def chi_square(table: Array) -> tuple[float, int, float]:
    """Return Pearson's statistic of a table (K, P), its degrees of freedom and its p-value.

    The sum of (observed - expected)^2 / expected, expected being what independence gives. Classes
    without samples are left out.
    """
    table = table[table.sum(axis=1) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return value, freedom, chi_square_tail(value, freedom) if freedom else 1.0


def _row(
    kind: str,
    divisions: Sequence[Sequence[Array]],
    y: Array,
    spec: SplitSpec,
    done: int,
    watch: Watch,
) -> dict[str, Any]:
    started = time.perf_counter()
    shares = np.bincount(y) / len(y)
    off, found = [], []
    for place, parts in enumerate(divisions, start=1):
        table = counts(y, parts)
        off.append(float(np.abs(table / table.sum(axis=0) - shares[:, None]).max()))
        found.append(chi_square(table))
        watch.update(done * spec.seeds + place)
    p_values = [p for _value, _freedom, p in found]
    return {
        "label": kind,
        "largest_deviation": interval(off),
        "chi_square": interval([value for value, _freedom, _p in found]),
        "freedom": found[0][1],
        "p_value": interval(p_values),
        "rejected": sum(p < _LEVEL for p in p_values),
        "divisions": len(divisions),
        "fewest_expected": float(shares[shares > 0].min() * min(map(len, divisions[0]))),
        "diverged": 0,
        "seconds": time.perf_counter() - started,
    }


def _features(x: Array, parts: Sequence[Array], names: Sequence[str]) -> dict[str, Any]:
    """Compare each feature's distribution between every two parts (Kolmogorov and Smirnov)."""
    step = -(-x.size // _MOST_NUMBERS)
    chosen = range(0, x.shape[1], step)
    compared = []
    for (a, first), (b, second) in combinations(zip(names, parts, strict=True), 2):
        distances = [largest_distance(x[first, place], x[second, place]) for place in chosen]
        p_values = holm([kolmogorov_tail(d, len(first), len(second)) for d in distances])
        compared.append(
            {
                "parts": [a, b],
                "largest_distance": max(distances),
                "feature": int(chosen[int(np.argmax(distances))]),
                "p_value": min(p_values),
                "differing": sum(p < _LEVEL for p in p_values),
            }
        )
    return {"compared": compared, "count": len(chosen), "of": x.shape[1]}


def largest_distance(first: Array, second: Array) -> float:
    """Return the largest difference of two empirical distribution functions."""
    places = np.concatenate([first, second])
    steps = [
        np.searchsorted(np.sort(values), places, side="right") / len(values)
        for values in (first, second)
    ]
    return float(np.abs(steps[0] - steps[1]).max())


def _leaks(spec: SplitSpec, x: Array, y: Array, parts: Sequence[Array]) -> dict[str, Any]:
    identity = leaks.identities(x)
    same = leaks.duplicates(identity, y)
    path = Path(spec.data.name).expanduser()
    named = csv_file.features(path, spec.data.target) if path.suffix.lower() == ".csv" else None
    return {
        **vars(same),
        "in_test_and_before": leaks.shared(identity, parts),
        "telling_features": [
            named[place] if named else str(place + 1) for place in leaks.telling(x, y)
        ],
    }


def _reading(found: dict[str, Any]) -> list[str]:
    by_class, at_random = found["rows"]
    said = [
        _(
            "By class, shares differ from those of the whole by at most {stratified} points, which "
            "is rounding; at random by {random} on average over {count} divisions."
        ).format(
            stratified=f"{100 * by_class['largest_deviation'].high:.2g}",
            random=f"{100 * at_random['largest_deviation'].mean:.2g}",
            count=at_random["divisions"],
        ),
        _(
            "Chi-square takes {rejected} of {count} random divisions for uneven at 5 % (by chance "
            "one in twenty), of those by class {by_class}."
        ).format(
            rejected=at_random["rejected"],
            count=at_random["divisions"],
            by_class=by_class["rejected"],
        ),
    ]
    if at_random["fewest_expected"] < _FEWEST_EXPECTED:
        said.append(
            _(
                "The smallest class has only {expected} samples expected in the smallest part: too "
                "few for chi-square (fewer than 5) and for a score of that class."
            ).format(expected=f"{at_random['fewest_expected']:.2g}")
        )
    said += _imbalance(found)
    differing = sum(one["differing"] for one in found["features"]["compared"])
    said.append(
        _(
            "Features: {differing} of {count} comparisons of their distributions differ at 5 % "
            "(Kolmogorov and Smirnov, Holm's correction)."
        ).format(
            differing=differing,
            count=found["features"]["count"] * len(found["features"]["compared"]),
        )
    )
    return [*said, *_leak_reading(found["leaks"])]


def _imbalance(found: dict[str, Any]) -> list[str]:
    fair = 1 / len(found["classes"])
    if found["largest_class"] < 1.5 * fair:
        return []
    return [
        _(
            "The largest class is {share} % of the data: answering it always is as accurate as "
            "that. Compare with it, and look at each class by itself."
        ).format(share=f"{100 * found['largest_class']:.0f}")
    ]


def _leak_reading(leak: dict[str, Any]) -> list[str]:
    said = []
    if leak["in_test_and_before"]:
        said.append(
            _(
                "Leak: {count} samples of the test part are in an earlier part, too: what is "
                "learnt by heart looks known. Remove duplicates before dividing."
            ).format(count=leak["in_test_and_before"])
        )
    elif leak["groups"]:
        said.append(_("Duplicates are there, but none is in the test part and in another."))
    if leak["contradicting"]:
        said.append(
            _(
                "{count} groups of equal inputs have different labels: no model can be right."
            ).format(count=leak["contradicting"])
        )
    said += [
        _(
            "Leak: feature {name} tells the class by itself, each of its values belongs to one "
            "class. Is it known before the answer is?"
        ).format(name=name)
        for name in leak["telling_features"]
    ]
    if not said:
        said.append(_("No leak seen: no equal inputs, no feature that is the answer."))
    said.append(
        _(
            "Not checked: nearly equal inputs, samples of one person or place in two parts, a test "
            "older than its training."
        )
    )
    return said
