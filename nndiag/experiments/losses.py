"""`nndiag losses`: losses and their gradients at the score, and why MSE with a sigmoid stalls."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_principles import LossesSpec
from nndiag.theory import activations as theory

Array = np.ndarray

SCORES = (-10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0)
ERRORS = (-3.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 3.0)
#: Scores and class of the softmax example.
SOFTMAX, LABEL = (2.0, 1.0, -1.0), 2
#: Samples of a class, half the distance of the classes (in standard deviations), goal.
SAMPLES, DISTANCE, GOAL = 100, 2.5, 0.95
#: Rates to choose from, as multiples of the common one.
RATES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
#: Trained at their best rate, too.
TUNED = ("bce", "mse")
#: A single unit is followed for at most so many steps.
_LONGEST = 100_000
#: Points of a drawn curve, and steps that it begins with.
_POINTS, _FIRST = 40, 20
#: A drawn gradient below this is drawn there.
_NOTHING = 1e-30


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss of one sigmoid unit, by its score z and its class y (0 or 1).

    Attributes:
        value, slope: loss and its derivative by the score.
        formula: of the derivative, with p = sigmoid(z).
    """

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    formula: str


def table(delta: float) -> Mapping[str, Loss]:
    """Return the losses by name; `delta` is Huber's."""
    unit = theory.function("sigmoid")
    assert unit is not None
    p, bend = unit.phi, unit.derivative

    def huber(error: Array) -> Array:
        line = delta * (np.abs(error) - delta / 2)
        return np.where(np.abs(error) <= delta, error**2 / 2, line)

    return {
        "bce": Loss(
            value=lambda z, y: np.logaddexp(0.0, z) - y * z,
            slope=lambda z, y: p(z) - y,
            formula="p - y",
        ),
        "mse": Loss(
            value=lambda z, y: (p(z) - y) ** 2,
            slope=lambda z, y: 2 * (p(z) - y) * bend(z),
            formula="2 (p - y) p (1 - p)",
        ),
        "mae": Loss(
            value=lambda z, y: np.abs(p(z) - y),
            slope=lambda z, y: np.sign(p(z) - y) * bend(z),
            formula="sign(p - y) p (1 - p)",
        ),
        "huber": Loss(
            value=lambda z, y: huber(p(z) - y),
            slope=lambda z, y: np.clip(p(z) - y, -delta, delta) * bend(z),
            formula="clip(p - y) p (1 - p)",
        ),
    }


def run(spec: LossesSpec, *, watch: Watch | None = None) -> Result:
    """Tabulate the gradients, check them, and train one unit from a confidently wrong start."""
    started = time.perf_counter()
    watch = watch or Silent()
    losses = table(spec.delta)
    data = _data(spec)
    rows, curves = [], []
    watch.stage(_("training from a wrong start"), len(losses))
    for done, (name, loss) in enumerate(losses.items(), start=1):
        row, curve = _row(name, loss, data, spec, spec.lr)
        rows.append(row)
        curves.append(curve)
        watch.update(done)
    for name in TUNED:
        row, curve = _tuned(name, losses[name], data, spec)
        rows.append(row)
        curves.append(curve)
    escape = {name: _escape(name, losses[name], spec) for name in PRIMITIVES}
    check = _deviation(losses)
    return Result(
        command="losses",
        spec=spec.to_dict(),
        environment={
            "device": "cpu",
            "torch": version("torch"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={
            "formulas": {name: loss.formula for name, loss in losses.items()},
            "gradients": [_at(score, losses) for score in SCORES],
            "curve": [_at(score, losses) for score in np.linspace(-10, 10, 81).tolist()],
            "residuals": _residuals(spec.delta),
            "softmax": _softmax(),
            "deviation": check,
            "largest_mse": 8 / 27,
            "escape": escape,
            "rows": rows,
            "curves": curves,
            "goal": GOAL,
            "reading": _reading(spec, losses, escape, rows, check),
        },
        version=__version__,
    )


def _at(score: float, losses: Mapping[str, Loss]) -> dict[str, Any]:
    """Return loss and derivative at a score for a sample of class 1."""
    z, one = np.array(score), np.array(1.0)
    return {
        "score": score,
        "p": 1 / (1 + math.exp(-score)),
        "value": {name: float(loss.value(z, one)) for name, loss in losses.items()},
        "slope": {name: float(loss.slope(z, one)) for name, loss in losses.items()},
    }


def _residuals(delta: float) -> list[dict[str, float]]:
    """Return the derivatives by a linear output at each error e = output - target."""
    return [
        {
            "error": error,
            "mse": 2 * error,
            "mae": float(np.sign(error)),
            "huber": float(np.clip(error, -delta, delta)),
        }
        for error in ERRORS
    ]


def _softmax() -> dict[str, Any]:
    """Return cross-entropy and its derivative, p - onehot, at an example of three classes."""
    scores = np.array(SOFTMAX)
    p = np.exp(scores - scores.max())
    p = p / p.sum()
    slope = p - np.eye(len(p))[LABEL]
    return {
        "scores": list(SOFTMAX),
        "label": LABEL,
        "p": p.tolist(),
        "loss": float(-np.log(p[LABEL])),
        "slope": slope.tolist(),
    }


def _deviation(losses: Mapping[str, Loss]) -> float:
    """Return the largest deviation of a formula from central differences."""
    z, step, largest = np.array(SCORES), 6e-6, 0.0
    for y in (np.zeros(len(z)), np.ones(len(z))):
        for loss in losses.values():
            near = (loss.value(z + step, y) - loss.value(z - step, y)) / (2 * step)
            largest = max(largest, float(np.abs(near - loss.slope(z, y)).max()))
    return largest


#: Integral of dz / |slope| over p = sigmoid(z), for a sample of class 1: the time of gradient flow.
PRIMITIVES: Mapping[str, Callable[[float], float]] = {
    "bce": lambda p: math.log(p / (1 - p)) + 1 / (1 - p),
    "mse": lambda p: (3 * math.log(p / (1 - p)) - 1 / p + 2 / (1 - p) + 1 / (2 * (1 - p) ** 2)) / 2,
    "mae": lambda p: 2 * math.log(p / (1 - p)) - 1 / p + 1 / (1 - p),
}


def _escape(name: str, loss: Loss, spec: LossesSpec) -> dict[str, Any]:
    """Return the steps in which a single unit of class 1 climbs from `start` to 0.

    Predicted by gradient flow in closed form, measured by gradient descent on its score.
    """
    time_at, one = PRIMITIVES[name], np.array(1.0)
    predicted = (time_at(0.5) - time_at(1 / (1 + math.exp(-spec.start)))) / spec.lr
    if predicted > _LONGEST / 2:
        return {"predicted": predicted, "measured": None}
    z, steps = spec.start, 0
    while z < 0 and steps < _LONGEST:
        z -= spec.lr * float(loss.slope(np.array(z), one))
        steps += 1
    return {"predicted": predicted, "measured": steps}


def _data(spec: LossesSpec) -> tuple[Array, Array, Array]:
    """Return inputs (S, N, 3) with a 1 for the bias, classes (N,) and wrong weights (S, 3, 1)."""
    classes = np.repeat([0.0, 1.0], SAMPLES)
    centre = DISTANCE * np.array([0.6, 0.8])
    inputs, weights = [], []
    for k in range(spec.seeds):
        draw = np.random.default_rng([spec.seed + k, 3])
        points = (2 * classes[:, None] - 1) * centre + draw.normal(size=(2 * SAMPLES, 2))
        inputs.append(np.column_stack([points, np.ones(2 * SAMPLES)]))
        wrong = spec.start * centre / DISTANCE**2
        weights.append(np.append(wrong + 0.1 * draw.normal(size=2), 0.0)[:, None])
    return np.stack(inputs), classes, np.stack(weights)


def train(
    loss: Loss, data: tuple[Array, Array, Array], lr: float, steps: int
) -> tuple[Array, Array, Array]:
    """Return accuracy (T + 1, S), loss (T + 1, S) and gradient norm (T + 1, S) of full-batch
    gradient descent from the wrong weights, all seeds at once."""
    x, y, weights = data
    tall = y[None, :, None]
    accuracies, values, norms = [], [], []
    for step in range(steps + 1):
        z = x @ weights
        slope = x.transpose(0, 2, 1) @ loss.slope(z, tall) / x.shape[1]
        accuracies.append(((z > 0) == (tall > 0.5)).mean(axis=(1, 2)))
        values.append(loss.value(z, tall).mean(axis=(1, 2)))
        norms.append(np.sqrt((slope**2).sum(axis=(1, 2))))
        if step < steps:
            weights = weights - lr * slope
    return np.stack(accuracies), np.stack(values), np.stack(norms)


def _row(
    name: str, loss: Loss, data: tuple[Array, Array, Array], spec: LossesSpec, lr: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    started = time.perf_counter()
    accuracy, value, norm = train(loss, data, lr, spec.steps)
    arrived = accuracy >= GOAL
    first = np.where(arrived.any(axis=0), arrived.argmax(axis=0), -1)
    there = first[first >= 0]
    row = {
        "label": name,
        "loss": name,
        "lr": lr,
        "gradient_at_start": interval(np.maximum(norm[0], _NOTHING), log=True),
        "steps": interval(there) if there.size == len(first) else None,
        "reached": int((first >= 0).sum()),
        "accuracy": interval(accuracy[-1]),
        "diverged": int((~np.isfinite(value[-1])).sum()),
        "seconds": time.perf_counter() - started,
    }
    even = np.linspace(0, spec.steps, min(_POINTS, spec.steps + 1)).astype(int)
    places = np.unique(np.concatenate([np.arange(min(_FIRST, spec.steps + 1)), even]))
    curve = {
        "label": name,
        "steps": places.tolist(),
        "accuracy": [interval(accuracy[place]) for place in places],
        "gradient": [interval(np.maximum(norm[place], _NOTHING), log=True) for place in places],
    }
    return row, curve


def _tuned(
    name: str, loss: Loss, data: tuple[Array, Array, Array], spec: LossesSpec
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a loss at the rate of the grid with which most units arrive, and soonest."""
    tried = [_row(name, loss, data, spec, factor * spec.lr) for factor in RATES]

    def merit(pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple[int, float, float]:
        row = pair[0]
        steps = row["steps"].mean if row["steps"] is not None else math.inf
        return row["reached"], -steps, row["accuracy"].mean

    row, curve = max(tried, key=merit)
    label = _("{name}, best rate").format(name=name)
    return row | {"label": label}, curve | {"label": label}


def _reading(
    spec: LossesSpec,
    losses: Mapping[str, Loss],
    escape: dict[str, dict[str, Any]],
    rows: list[dict[str, Any]],
    check: float,
) -> list[str]:
    at, one = np.array(spec.start), np.array(1.0)
    pull = {name: abs(float(loss.slope(at, one))) for name, loss in losses.items()}
    said = [
        _(
            "At score {start} a unit of class 1 feels {bce} from cross-entropy and {mse} from MSE: "
            "MSE's gradient carries the factor p (1 - p), which vanishes wherever the sigmoid is "
            "flat, right or wrong; it never exceeds 8/27 = 0.296 (at p = 1/3)."
        ).format(
            start=f"{spec.start:g}",
            bce=f"{pull['bce']:.3g}",
            mse=f"{pull['mse']:.2g}",
        )
    ]
    if spec.start < -2:
        said.append(
            _(
                "To climb back to 0 at rate {lr}, one unit needs {bce} steps with cross-entropy "
                "and {mse} with MSE: about |start| / rate against e^|start| / (2 rate)."
            ).format(
                lr=f"{spec.lr:g}",
                bce=f"{escape['bce']['predicted']:,.0f}",
                mse=f"{escape['mse']['predicted']:,.0f}",
            )
        )
    said += [_arrival(row, spec) for row in rows]
    plain, tuned = (row for row in rows if row["loss"] == "mse")
    if tuned["reached"] > plain["reached"]:
        said.append(
            _(
                "MSE needs {factor} times the rate: what stalls is the size of its gradient. One "
                "unit can be given such a rate; in a network the layers that are not saturated "
                "would take the same step."
            ).format(factor=f"{tuned['lr'] / plain['lr']:g}")
        )
    said.append(
        _("All formulas agree with central differences to {deviation}.").format(
            deviation=f"{check:.0e}"
        )
    )
    return said


def _arrival(row: dict[str, Any], spec: LossesSpec) -> str:
    if row["steps"] is not None:
        return _(
            "{name} (rate {lr}): all {seeds} units at {goal} % accuracy, after {steps} steps."
        ).format(
            name=row["label"],
            lr=f"{row['lr']:g}",
            seeds=spec.seeds,
            goal=f"{100 * GOAL:.0f}",
            steps=f"{row['steps'].mean:.1f}",
        )
    return _(
        "{name} (rate {lr}): {reached} of {seeds} units at {goal} % accuracy within {budget} steps."
    ).format(
        name=row["label"],
        lr=f"{row['lr']:g}",
        reached=row["reached"],
        seeds=spec.seeds,
        goal=f"{100 * GOAL:.0f}",
        budget=spec.steps,
    )
