"""`nndiag perceptron`: one neuron's value and boundary, and what the perceptron rule can learn."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import repeat
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec_principles import PerceptronSpec, truth, written
from nndiag.theory.activations import Function
from nndiag.zoo import formulas

Array = np.ndarray

#: The four inputs of a truth table, with the 1 that the bias multiplies.
CORNERS = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=float)
#: Linear dependence of the four: they lie in a plane of three dimensions (x1, x2, 1).
_DEPENDENCE = np.array([1.0, -1.0, -1.0, 1.0])
#: A table that no line separates, from tables that lines do: outer(first, second).
_LAYERED = {"0110": ("and", "or", "nand"), "1001": ("or", "and", "nor")}
#: Hidden units, steps and rate of the networks trained by gradient descent.
HIDDEN, _STEPS, _RATE = (2, 3, 4, 8), 2000, 1.0
#: Points a side of the drawn plane.
_COLUMNS, _ROWS = 61, 21


def run(spec: PerceptronSpec, *, watch: Watch | None = None) -> Result:
    """Evaluate the neuron, learn the tables, and solve by two layers what one cannot."""
    started = time.perf_counter()
    watch = watch or Silent()
    neuron = formulas.step() if spec.act == "step" else formulas.formula(spec.act)
    points = [_point(spec, neuron, number, at) for number, at in enumerate(spec.at, start=1)]
    rows = []
    watch.stage(_("learning truth tables"), len(spec.tables))
    for done, name in enumerate(spec.tables, start=1):
        rows.append(_row(name, spec))
        watch.update(done)
    layered = [_layered(row, spec) for row in rows if not row["separable"]]
    return Result(
        command="perceptron",
        spec=spec.to_dict(),
        environment={
            "device": "cpu",
            "torch": version("torch"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={
            "points": points,
            "boundary": _boundary(spec),
            "plane": _plane(spec, neuron) if len(spec.weights) == 2 else None,
            "rows": rows,
            "layered": layered,
            "reading": [*_neuron_reading(spec, points), *_reading(rows, layered)],
        },
        version=__version__,
    )


def _point(
    spec: PerceptronSpec, neuron: Function, number: int, at: tuple[float, ...]
) -> dict[str, Any]:
    terms = np.array(spec.weights) * np.array(at)
    score = float(terms.sum() + spec.bias)
    length = float(np.linalg.norm(spec.weights))
    return {
        "label": str(number),
        "x": list(at),
        "terms": terms.tolist(),
        "score": score,
        "output": float(neuron.phi(np.array(score))),
        "side": int(np.sign(score)),
        "distance": score / length if length else math.nan,
    }


def _boundary(spec: PerceptronSpec) -> dict[str, Any]:
    """Return the hyperplane w . x + b = 0: normal, distance to the origin, and for two inputs
    the line x2 = slope x1 + intercept."""
    weights = np.array(spec.weights)
    length = float(np.linalg.norm(weights))
    sloped = len(weights) == 2 and weights[1] != 0
    return {
        "normal": (weights / length).tolist() if length else None,
        "origin_distance": spec.bias / length if length else math.nan,
        "slope": float(-weights[0] / weights[1]) if sloped else None,
        "intercept": float(-spec.bias / weights[1]) if sloped else None,
    }


def _plane(spec: PerceptronSpec, neuron: Function) -> dict[str, Any]:
    """Return the neuron's value over a square that holds the points and a margin."""
    places = np.array([*spec.at, (0.0, 0.0)])
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    half = float(np.ptp(places, axis=0).max()) / 2 + 1.0
    x = np.linspace(middle[0] - half, middle[0] + half, _COLUMNS)
    y = np.linspace(middle[1] - half, middle[1] + half, _ROWS)
    score = spec.weights[0] * x[None, :] + spec.weights[1] * y[:, None] + spec.bias
    value = neuron.phi(score)
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "value": value.tolist(),
        "low": float(value.min()),
        "high": float(value.max()),
        "border": 0.5 if spec.act == "step" else float(neuron.phi(np.array(0.0))),
    }


def learn(targets: Array, orders: Iterator[Array], epochs: int) -> tuple[list[Array], list[int]]:
    """Return the weights after each epoch of the perceptron rule, from zero, and its updates.

    Rosenblatt 1958: at a sample on the wrong side, or on the line, w <- w + y x.

    Args:
        targets: (4,) of -1 and +1 for CORNERS.
        orders: a permutation of the samples for each epoch.
        epochs: at most so many; an epoch without an update is the last.
    """
    weights, history, updates = np.zeros(3), [np.zeros(3)], []
    for _epoch, order in zip(range(epochs), orders, strict=False):
        wrong = 0
        for place in order:
            if targets[place] * (CORNERS[place] @ weights) <= 0:
                weights = weights + targets[place] * CORNERS[place]
                wrong += 1
        history.append(weights)
        updates.append(wrong)
        if wrong == 0:
            break
    return history, updates


def margin(targets: Array) -> float:
    """Return the largest margin of a separating (w, b) of length 1 over CORNERS, 0 if none.

    The support vectors are tried out: w = sum a_i y_i x_i with y_i w . x_i = 1 on them, a_i >= 0.
    """
    signed = targets[:, None] * CORNERS
    best = 0.0
    for mask in range(1, 16):
        chosen = signed[[place for place in range(4) if mask >> place & 1]]
        shares = np.linalg.lstsq(chosen @ chosen.T, np.ones(len(chosen)), rcond=None)[0]
        weights = shares @ chosen
        if (shares >= -1e-9).all() and (signed @ weights >= 1 - 1e-9).all():
            best = max(best, 1 / float(np.linalg.norm(weights)))
    return best


def cycle(targets: Array, epochs: int) -> tuple[int, int] | None:
    """Return two epochs after which the rule, in fixed order, holds the same weights.

    From there on it repeats itself for ever. None: it converged, or ran out of epochs.
    """
    fixed = repeat(np.arange(4))
    history, updates = learn(targets, fixed, epochs)
    seen: dict[tuple[float, ...], int] = {}
    for epoch, weights in enumerate(history):
        if tuple(weights) in seen and updates[epoch - 1]:
            return seen[tuple(weights)], epoch
        seen[tuple(weights)] = epoch
    return None


def _orders(seed: int) -> Iterator[Array]:
    generator = np.random.default_rng(seed)
    while True:
        yield generator.permutation(4)


def _row(name: str, spec: PerceptronSpec) -> dict[str, Any]:
    started = time.perf_counter()
    targets = 2.0 * np.array(truth(name)) - 1
    against = _DEPENDENCE * targets
    separable = not (np.all(against > 0) or np.all(against < 0))
    runs = [learn(targets, _orders(spec.seed + k), spec.epochs) for k in range(spec.seeds)]
    done = [updates for _history, updates in runs if updates[-1] == 0]
    widest = margin(targets)
    first_history, first_updates = runs[0]
    return {
        "label": name,
        "table": "".join(map(str, truth(name))),
        "separable": separable,
        "converged": len(done),
        "diverged": spec.seeds - len(done),
        "epochs": interval(len(updates) for updates in done) if done else None,
        "updates": interval(sum(updates) for updates in done) if done else None,
        "most_updates": max((sum(updates) for updates in done), default=None),
        "bound": 3 / widest**2 if widest else None,
        "margin": widest,
        "weights": first_history[-1].tolist(),
        "errors": first_updates,
        "certificate": None if separable else np.abs(against).tolist(),
        "cycle": None if separable else cycle(targets, 1000),
        "seconds": time.perf_counter() - started,
    }


def _layered(row: dict[str, Any], spec: PerceptronSpec) -> dict[str, Any]:
    """Return two networks of two layers for a table that one neuron cannot hold: units learnt by
    the rule one by one, and networks trained by gradient descent from random starts."""
    outer, *inner = _LAYERED[row["table"]]
    weights = {}
    for name in (*inner, outer):
        targets = 2.0 * np.array(truth(name)) - 1
        weights[name] = learn(targets, _orders(spec.seed), 1000)[0][-1]
    hidden = np.stack([(CORNERS @ weights[name] > 0).astype(float) for name in inner], axis=1)
    output = np.column_stack([hidden, np.ones(4)]) @ weights[outer] > 0
    trained = []
    for units in HIDDEN:
        solved = descend(np.array(truth(row["label"]), dtype=float), units, spec)
        trained.append({"label": str(units), "hidden": units, "solved": share(solved)})
    return {
        "label": row["label"],
        "units": [
            {"name": name, "table": "".join(map(str, truth(name))), "weights": w.tolist()}
            for name, w in weights.items()
        ],
        "hidden": hidden.astype(int).tolist(),
        "output": output.astype(int).tolist(),
        "correct": output.astype(int).tolist() == list(truth(row["label"])),
        "rows": trained,
    }


def descend(wanted: Array, units: int, spec: PerceptronSpec) -> Array:
    """Return (S,) whether full-batch gradient descent on tanh units and a sigmoid learns (4,).

    All S starts are trained at once; weights start from N(0, 1).
    """
    draws = [np.random.default_rng([spec.seed + k, units]) for k in range(spec.seeds)]
    first = np.stack([draw.normal(size=(3, units)) for draw in draws])
    second = np.stack([draw.normal(size=(units + 1, 1)) for draw in draws])
    ones = np.ones((spec.seeds, 4, 1))
    for _step in range(_STEPS):
        hidden = np.tanh(CORNERS @ first)
        tall = np.concatenate([hidden, ones], axis=2)
        error = (1 / (1 + np.exp(-(tall @ second))) - wanted[:, None]) / 4
        back = error @ second[:, :-1].transpose(0, 2, 1) * (1 - hidden**2)
        second = second - _RATE * tall.transpose(0, 2, 1) @ error
        first = first - _RATE * CORNERS.T @ back
    tall = np.concatenate([np.tanh(CORNERS @ first), ones], axis=2)
    right = ((tall @ second)[..., 0] > 0) == (wanted > 0.5)
    return np.asarray(right.all(axis=1))


def share(successes: Array) -> Interval:
    """Return a share with Wilson's 95 % interval (Wilson 1927), which stays inside 0 to 1."""
    count, z = len(successes), 1.959964
    mean = float(np.mean(successes))
    middle = (mean + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(mean * (1 - mean) / count + z**2 / (4 * count**2))
    return Interval(mean, max(middle - half, 0.0), min(middle + half, 1.0))


def _neuron_reading(spec: PerceptronSpec, points: list[dict[str, Any]]) -> list[str]:
    said = []
    if not any(spec.weights):
        return [_("All weights are 0: the neuron answers the same everywhere.")]
    if points:
        near = min(points, key=lambda point: abs(point["distance"]))
        text = _(
            "The boundary is where the weighted sum is 0; ({x}) lies nearest to it, {distance} "
            "away."
        )
        said.append(text.format(x=written(near["x"]), distance=f"{abs(near['distance']):.3g}"))
    if spec.act == "sigmoid":
        said.append(
            _(
                "The sigmoid is 0.5 on the boundary and turns a score of +-{score} into {low} % "
                "and {high} %: the length of the weights ({length}) sets how sharp the change is, "
                "their direction where it runs."
            ).format(
                score=3,
                low=f"{100 / (1 + math.exp(3)):.1f}",
                high=f"{100 / (1 + math.exp(-3)):.1f}",
                length=f"{float(np.linalg.norm(spec.weights)):.3g}",
            )
        )
    return said


def _reading(rows: list[dict[str, Any]], layered: list[dict[str, Any]]) -> list[str]:
    """Return what follows from the rows, table by table."""
    said = []
    for row in rows:
        if row["separable"] and row["diverged"] == 0:
            said.append(
                _(
                    "{name}: learnt in each of {count} random orders, with at most {most} updates; "
                    "no order can need more than {bound} (Novikoff 1962: R^2 / margin^2)."
                ).format(
                    name=row["label"],
                    count=row["converged"],
                    most=row["most_updates"],
                    bound=f"{row['bound']:.0f}",
                )
            )
        elif row["separable"]:
            said.append(
                _("{name}: {count} orders need more epochs than were allowed.").format(
                    name=row["label"], count=row["diverged"]
                )
            )
        else:
            said.extend(_never(row))
    for one in layered:
        solved = [row for row in one["rows"] if row["hidden"] in (2, HIDDEN[-1])]
        text = _(
            "{name} with two layers: {outer}({first}, {second}), each learnt by the same rule, "
            "answers all four. Gradient descent arrives there within {steps} steps from {few} % "
            "of the starts with 2 hidden units, and from {many} % with {units}."
        )
        units = [unit["name"] for unit in one["units"]]
        said.append(
            text.format(
                name=one["label"],
                first=units[0],
                second=units[1],
                outer=units[2],
                few=f"{100 * solved[0]['solved'].mean:.0f}",
                many=f"{100 * solved[-1]['solved'].mean:.0f}",
                units=HIDDEN[-1],
                steps=_STEPS,
            )
        )
    return said


def _never(row: dict[str, Any]) -> Iterator[str]:
    table = row["table"]
    ones = [corner for corner, digit in zip(_NAMES, table, strict=True) if digit == "1"]
    zeros = [corner for corner, digit in zip(_NAMES, table, strict=True) if digit == "0"]
    yield _(
        "{name}: no line separates it. The scores at {ones} would have to be positive and those at "
        "{zeros} negative or 0, yet both pairs add up to the same, w1 + w2 + 2b (Minsky and "
        "Papert 1969)."
    ).format(name=row["label"], ones=_(" and ").join(ones), zeros=_(" and ").join(zeros))
    if row["cycle"]:
        first, again = row["cycle"]
        yield _(
            "So the rule never ends: taken in fixed order, the weights after epoch {again} are "
            "those after epoch {first}, and what follows repeats for ever."
        ).format(first=first, again=again)


_NAMES = ("(0,0)", "(0,1)", "(1,0)", "(1,1)")
