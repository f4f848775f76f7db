"""`nndiag descent`: batch, mini-batch and stochastic gradient descent on one surface."""

from __future__ import annotations

import math
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.datasets import embedded
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_principles import DescentSpec
from nndiag.theory import activations as theory

Array = np.ndarray

#: Batches drawn for each seed to measure the noise of a gradient.
DRAWS = 100
#: Share of the first excess loss at which a descent has arrived.
GOAL = 0.01
#: Steps of all batch sizes together; points of a drawn curve, and steps that it begins with.
_MOST_STEPS, _POINTS, _FIRST = 300_000, 200, 30
#: A loss that has grown by this factor has left for infinity.
_EXPLODED = 1e9
#: Displacement of the start from the minimum, in standard deviations of the surface's axes.
_AWAY = np.array([-3.0, 2.5])
_GRID = 41


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The mean loss over the samples as a function of two weights.

    Attributes:
        x: (N, 2).
        y: (N,).
        minimum: (2,).
    """

    model: str
    x: Array
    y: Array
    minimum: Array

    def values(self, weights: Array) -> Array:
        """Return the mean loss at weights (..., 2)."""
        return np.asarray(_losses(self.model, weights @ self.x.T, self.y).mean(axis=-1))

    def gradients(self, weights: Array) -> Array:
        """Return the gradient of each sample's loss, (N, 2), at weights (2,)."""
        return np.asarray(_errors(self.model, self.x @ weights, self.y)[:, None] * self.x)

    def largest_rate(self) -> float:
        """Return 2 / the largest curvature at the minimum: beyond, full-batch descent leaves it."""
        bend = np.ones(len(self.x))
        if self.model == "logistic":
            p = _sigmoid(self.x @ self.minimum)
            bend = p * (1 - p)
        curvature = (self.x * bend[:, None]).T @ self.x / len(self.x)
        return 2 / float(np.linalg.eigvalsh(curvature)[-1])


def _losses(model: str, scores: Array, y: Array) -> Array:
    if model == "linear":
        return (scores - y) ** 2 / 2
    return np.logaddexp(0.0, scores) - y * scores


def _errors(model: str, scores: Array, y: Array) -> Array:
    """Return the derivative of a sample's loss by its score."""
    return scores - y if model == "linear" else _sigmoid(scores) - y


def _sigmoid(scores: Array) -> Array:
    unit = theory.function("sigmoid")
    assert unit is not None
    return unit.phi(scores)


def run(spec: DescentSpec, *, watch: Watch | None = None) -> Result:
    """Descend with every batch size, and measure the noise of its gradients against theory."""
    started = time.perf_counter()
    watch = watch or Silent()
    x, y, names = data(spec)
    sizes = tuple(dict.fromkeys(size or len(x) for size in spec.batch_sizes))
    _check(spec, sizes, len(x))
    surface = Surface(model=spec.model, x=x, y=y, minimum=minimum(spec.model, x, y))
    begin = surface.minimum + _AWAY
    rows, curves = [], []
    watch.stage(_("descending"), len(sizes))
    for done, size in enumerate(sizes, start=1):
        row, curve = _row(surface, begin, size, spec)
        rows.append(row)
        curves.append(curve)
        watch.update(done)
    return Result(
        command="descent",
        spec=spec.to_dict(),
        environment={
            "device": "cpu",
            "torch": version("torch"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={
            "data": names,
            "samples": len(x),
            "start": begin.tolist(),
            "minimum": surface.minimum.tolist(),
            "largest_rate": surface.largest_rate(),
            "least": float(surface.values(surface.minimum)),
            "surface": _drawn(surface, begin, curves),
            "rows": rows,
            "curves": curves,
            "goal": GOAL,
            "reading": _reading(rows, spec, len(x), surface.largest_rate()),
        },
        version=__version__,
    )


def data(spec: DescentSpec) -> tuple[Array, Array, str]:
    """Return inputs (N, 2), targets (N,) and what they are.

    Raises:
        UsageError: more samples than there are.
    """
    draw = np.random.default_rng([spec.seed, 4])
    if spec.data == "digits":
        x, y, names = _digits(spec.model)
        if spec.samples > len(x):
            raise UsageError(
                _("--samples: got {given}; accepted: at most {most} with this data").format(
                    given=spec.samples, most=len(x)
                )
            )
        chosen = draw.permutation(len(x))[: spec.samples]
        return x[chosen], y[chosen], names
    x = draw.normal(size=(spec.samples, 2)) @ np.array([[1.0, 0.3], [0.0, 0.5]])
    if spec.model == "linear":
        noise = 0.5 * draw.normal(size=spec.samples)
        return x, x @ np.array([1.5, -1.0]) + noise, _("drawn: y = 1.5 x1 - x2 + noise")
    odds = _sigmoid(x @ np.array([2.0, -1.5]))
    y = (draw.random(spec.samples) < odds).astype(float)
    return x, y, _("drawn: P(y = 1) = sigmoid(2 x1 - 1.5 x2)")


def _digits(model: str) -> tuple[Array, Array, str]:
    """Return measurements of the real images, standardised."""
    images, labels = embedded.read()
    ink = images.astype(float)
    if model == "linear":
        x = np.stack([ink[:, :4].mean(axis=(1, 2)), ink[:, :, :4].mean(axis=(1, 2))], axis=1)
        y = _standard(ink[:, 4:, 4:].mean(axis=(1, 2)))
        names = _("digits: ink of the lower right from that of the upper and of the left half")
        return _standard(x), y, names
    chosen = np.isin(labels, (3, 8))
    ink, digits = ink[chosen], labels[chosen]
    x = np.stack([ink[:, :, :4].mean(axis=(1, 2)), ink[:, :, 4:].mean(axis=(1, 2))], axis=1)
    names = _("digits: 8 or 3, from the ink of the left and of the right half")
    return _standard(x), (digits == 8).astype(float), names


def _standard(values: Array) -> Array:
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def minimum(model: str, x: Array, y: Array) -> Array:
    """Return the weights of least loss, (2,): least squares, or Newton's method with halving.

    Raises:
        UsageError: a line separates the classes, so that the loss has no minimum.
    """
    if model == "linear":
        return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0])
    weights = np.zeros(2)
    for _step in range(50):
        p = _sigmoid(x @ weights)
        gradient = x.T @ (p - y) / len(x)
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x)
        if np.abs(gradient).max() < 1e-13:
            break
        move = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        before = _losses(model, x @ weights, y).mean()
        while _losses(model, x @ (weights - move), y).mean() > before + 1e-15:
            move = move / 2
        weights = weights - move
    if ((x @ weights > 0) == (y > 0.5)).all():
        raise UsageError(
            _(
                "--samples: got {count}; a line separates so few, and the loss has no minimum; "
                "take more"
            ).format(count=len(x))
        )
    return weights


def _check(spec: DescentSpec, sizes: tuple[int, ...], count: int) -> None:
    steps = sum(spec.epochs * math.ceil(count / size) for size in sizes)
    if steps > _MOST_STEPS:
        raise UsageError(
            _("--epochs: got {epochs}, which makes {steps} steps; accepted: at most {most}").format(
                epochs=spec.epochs, steps=steps, most=_MOST_STEPS
            )
        )


def descend(surface: Surface, begin: Array, size: int, spec: DescentSpec) -> tuple[Array, Array]:
    """Return the paths (T + 1, S, 2) of all seeds, and the loss (T, S) of each batch.

    Each epoch takes the samples in a new order, in ceil(N / size) batches.
    """
    draws = [np.random.default_rng([spec.seed + k, 5]) for k in range(spec.seeds)]
    weights = np.tile(begin, (spec.seeds, 1))
    path, losses = [weights], []
    for _epoch in range(spec.epochs):
        orders = np.stack([draw.permutation(len(surface.x)) for draw in draws])
        for first in range(0, len(surface.x), size):
            chosen = orders[:, first : first + size]
            x, y = surface.x[chosen], surface.y[chosen]
            scores = (x @ weights[:, :, None])[..., 0]
            losses.append(_losses(surface.model, scores, y).mean(axis=1))
            slope = _errors(surface.model, scores, y)[:, None, :] @ x / chosen.shape[1]
            weights = weights - spec.lr * slope[:, 0]
            path.append(weights)
    return np.stack(path), np.stack(losses)


def noise(surface: Surface, weights: Array, size: int, spec: DescentSpec) -> tuple[Array, float]:
    """Return E|g_B - g|^2 measured (S,), and predicted for batches without replacement:
    S^2 / B (1 - B / N), S^2 the summed variance of the samples' gradients (divisor N - 1)."""
    gradients = surface.gradients(weights)
    if size == len(gradients):
        return np.zeros(spec.seeds), 0.0
    count, mean = len(gradients), gradients.mean(axis=0)
    measured = []
    for k in range(spec.seeds):
        draw = np.random.default_rng([spec.seed + k, 6])
        chosen = np.argsort(draw.random((DRAWS, count)), axis=1)[:, :size]
        off = gradients[chosen].mean(axis=1) - mean
        measured.append(float((off**2).sum(axis=1).mean()))
    variance = float(gradients.var(axis=0, ddof=1).sum())
    return np.array(measured), variance / size * (1 - size / count)


def _row(
    surface: Surface, begin: Array, size: int, spec: DescentSpec
) -> tuple[dict[str, Any], dict[str, Any]]:
    started = time.perf_counter()
    with np.errstate(over="ignore", invalid="ignore"):
        path, losses = descend(surface, begin, size, spec)
        seconds = time.perf_counter() - started
        steps = len(path) - 1
        places = _places(steps)
        excess = surface.values(path[places]) - surface.values(surface.minimum)
    excess = _bounded(excess, float(excess[0, 0]))
    epochs = places * spec.epochs / steps
    bad = ~np.isfinite(excess).all(axis=0) | (excess[-1] > excess[0])
    arrived = (excess <= GOAL * excess[0]) & ~bad
    first = np.where(arrived.any(axis=0), epochs[arrived.argmax(axis=0)], np.inf)
    late = excess[epochs > spec.epochs - 1 + 1e-9]
    row: dict[str, Any] = {
        "label": str(size),
        "batch_size": size,
        "steps": steps,
        "epochs_to_goal": interval(first) if np.isfinite(first).all() else None,
        "reached": int(np.isfinite(first).sum()),
        "last_excess": interval(late.mean(axis=0)),
        "diverged": int(bad.sum()),
        "seconds": seconds / spec.seeds,
    }
    for name, weights in (("start", begin), ("minimum", surface.minimum)):
        measured, predicted = noise(surface, weights, size, spec)
        row |= {f"noise_{name}": interval(measured), f"predicted_noise_{name}": predicted}
    seen = losses[np.maximum(places - 1, 0), 0]
    curve = {
        "label": str(size),
        "epochs": epochs.tolist(),
        "excess": [interval(line) for line in excess],
        "batch_loss": _bounded(seen, float(seen[0])).tolist(),
        "path": [point for point in path[places, 0].tolist() if max(map(abs, point)) < 1e3],
    }
    return row, curve


def _places(steps: int) -> Array:
    """Return the steps of a drawn curve: every one at first, then evenly spaced."""
    even = np.linspace(0, steps, min(_POINTS, steps + 1)).astype(int)
    return np.unique(np.concatenate([np.arange(min(_FIRST, steps + 1)), even]))


def _bounded(values: Array, first: float) -> Array:
    """Return infinity for what has exploded: its number teaches nothing, its square overflows."""
    return np.where(np.isfinite(values) & (values < _EXPLODED * first), values, np.inf)


def _drawn(surface: Surface, begin: Array, curves: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the excess loss on a grid around start and minimum."""
    ends = np.stack([begin, surface.minimum])
    margin = 0.25 * np.abs(_AWAY)
    low, high = ends.min(axis=0) - margin, ends.max(axis=0) + margin
    x, y = (np.linspace(low[axis], high[axis], _GRID) for axis in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    excess = surface.values(grid) - surface.values(surface.minimum)
    return {"x": x.tolist(), "y": y.tolist(), "excess": excess.tolist()}


def _reading(rows: list[dict[str, Any]], spec: DescentSpec, count: int, limit: float) -> list[str]:
    said = []
    ordered = sorted(rows, key=lambda row: row["batch_size"])
    sampled = [row for row in ordered if row["batch_size"] < count]
    if sampled:
        worst = max(
            abs(row[f"noise_{place}"].mean / row[f"predicted_noise_{place}"] - 1)
            for row in sampled
            for place in ("start", "minimum")
            if row[f"predicted_noise_{place}"] > 0
        )
        said.append(
            _(
                "The noise of a batch's gradient is S^2 / B (1 - B / N): measured and predicted "
                "differ by {worst} % at most. The whole set has none."
            ).format(worst=f"{100 * worst:.2g}")
        )
    arrived = [row for row in ordered if row["epochs_to_goal"] is not None]
    if arrived:
        first = min(arrived, key=lambda row: row["epochs_to_goal"].mean)
        said.append(
            _(
                "Per pass over the data, batches of {size} get soonest to 1 % of the first excess "
                "loss, in {epochs} epochs ({updates} steps an epoch)."
            ).format(
                size=first["batch_size"],
                epochs=f"{first['epochs_to_goal'].mean:.2g}",
                updates=math.ceil(count / first["batch_size"]),
            )
        )
    said += [
        _("Batches of {size}: {reached} of {seeds} arrive within {epochs} epochs.").format(
            size=row["batch_size"], reached=row["reached"], seeds=spec.seeds, epochs=spec.epochs
        )
        for row in ordered
        if row["reached"] < spec.seeds
    ]
    said += _floors(ordered, arrived)
    wild = [row for row in ordered if row["diverged"]]
    said += [
        _("Batches of {size}: {count} of {seeds} diverge at rate {lr}.").format(
            size=row["batch_size"], count=row["diverged"], seeds=spec.seeds, lr=f"{spec.lr:g}"
        )
        for row in wild
    ]
    if wild:
        said.append(
            _(
                "The whole set is stable below rate 2 / largest curvature = {limit}; noise lowers "
                "that."
            ).format(limit=f"{limit:.3g}")
        )
    return said


def _floors(ordered: list[dict[str, Any]], arrived: list[dict[str, Any]]) -> list[str]:
    """Say what noise remains at the end, from those that arrived."""
    if len(arrived) < 2:
        return []
    small = arrived[0]
    large = min(arrived[1:], key=lambda row: row["last_excess"].mean)
    if small["last_excess"].low <= large["last_excess"].high:
        return [_("At the end no batch size is shown to be nearer to the minimum than another.")]
    return [
        _(
            "In the last epoch batches of {small} still miss the least loss by {high} on average, "
            "those of {large} by {low}: at a constant rate, noise keeps small batches moving."
        ).format(
            small=small["batch_size"],
            large=large["batch_size"],
            high=f"{small['last_excess'].mean:.2g}",
            low=f"{large['last_excess'].mean:.2g}",
        )
    ]
