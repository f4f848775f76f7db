"""Tasks whose models are trained over and over, each time on another training set.

Axes: S repetition, D training set of a repetition, M = S x D model, N sample, P test point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.polynomial import legendre

from nndiag import datasets
from nndiag.datasets.scarcity import mislabelled
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.spec_generalisation import BiasVarianceSpec
from nndiag.theory import decomposition
from nndiag.training import resampling
from nndiag.training.population import Progress
from nndiag.training.resampling import Sets, Trained

Array = np.ndarray
Numbers = Mapping[str, Array]

#: Test points of the regression, evenly spaced like the training inputs.
_POINTS = 101
_DEPTH, _RATE = 3, 0.01


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the models of one value say.

    Attributes:
        at_test: (M, P) values or classes.
        train_error: (M,) of each on its own training set, in the unit of the error.
        diverged: (M,).
    """

    at_test: Array
    train_error: Array
    diverged: Array


class Task(Protocol):
    """What is learnt, and how an error on it is taken apart.

    Attributes:
        names: of the error and of the three parts that add up to it: bias, variance, noise.
        about: what is learnt, in a line.
        curve: test inputs and truth, (P,) each, where both can be drawn.
    """

    @property
    def names(self) -> tuple[str, str, str, str]: ...

    @property
    def about(self) -> str: ...

    @property
    def curve(self) -> tuple[Array, Array] | None: ...

    def steps(self, value: int) -> int:
        """Return the member-steps that a value of the axis takes."""

    def answers(self, value: int, progress: Progress) -> Answers:
        """Train the models of a value of the axis."""

    def numbers(self, answers: Answers) -> Numbers:
        """Return the (S,) numbers of each repetition, averaged over the test points."""

    def predicted(self, value: int) -> dict[str, float]:
        """Return what a closed form says."""


class _Networks:
    """Networks along the axis of the spec."""

    def __init__(
        self, spec: BiasVarianceSpec, device: torch.device, usual: int, batch: int
    ) -> None:
        self._spec, self._device, self._batch = spec, device, batch
        self._epochs = spec.epochs or usual

    def _plan(self, value: int) -> tuple[int, int]:
        """Return width and epochs at a value of the axis."""
        wide = self._spec.axis == "width"
        return (value, self._epochs) if wide else (self._spec.width, value)

    def steps(self, value: int) -> int:
        _width, epochs = self._plan(value)
        models = self._spec.seeds * self._spec.sets
        return models * resampling.steps(self._spec.samples, epochs, self._batch)

    def trained(self, sets: Sets, value: int, act: str, progress: Progress) -> Trained:
        width, epochs = self._plan(value)
        return resampling.trained(
            NetworkSpec(depth=_DEPTH, width=width, act=act, init="xavier_uniform"),
            sets,
            epochs=epochs,
            batch_size=self._batch,
            lr=_RATE,
            seed=self._spec.seed,
            device=self._device,
            progress=progress,
        )


class Regression:
    """A known curve from noisy values at fixed, evenly spaced inputs."""

    names = ("mse", "bias_squared", "variance", "noise")

    def __init__(self, spec: BiasVarianceSpec, device: torch.device) -> None:
        self._spec = spec
        self._networks = _Networks(spec, device, usual=1000, batch=spec.samples)
        self._x, test = np.linspace(-1, 1, spec.samples), np.linspace(-1, 1, _POINTS)
        self.curve = test, truth(test)
        self.about = _("sin(pi x) + x / 2 from {samples} values with noise {noise}").format(
            samples=spec.samples, noise=f"{spec.noise:g}"
        )
        draws = [np.random.default_rng([spec.seed + k, 7]) for k in range(spec.seeds)]
        self._y = truth(self._x) + spec.noise * np.concatenate(
            [draw.normal(size=(spec.sets, spec.samples)) for draw in draws]
        )
        self._noise = spec.noise * np.stack([draw.normal(size=_POINTS) for draw in draws])

    def steps(self, value: int) -> int:
        return 1 if self._spec.axis == "degree" else self._networks.steps(value)

    def answers(self, value: int, progress: Progress) -> Answers:
        test, _truth = self.curve
        if self._spec.axis == "degree":
            train = legendre.legvander(self._x, value)
            fitted = np.linalg.lstsq(train, self._y.T, rcond=None)[0]
            progress(1)
            return Answers(
                at_test=(legendre.legvander(test, value) @ fitted).T,
                train_error=(((train @ fitted).T - self._y) ** 2).mean(axis=1),
                diverged=np.zeros(len(self._y), dtype=bool),
            )
        inputs = np.broadcast_to(self._x[:, None], (*self._y.shape, 1))
        sets = Sets(
            x=inputs.astype(np.float32),
            y=self._y.astype(np.float32),
            test=test[:, None].astype(np.float32),
            outputs=1,
        )
        found = self._networks.trained(sets, value, "tanh", progress)
        return Answers(
            at_test=found.outputs[..., 0], train_error=found.train_loss, diverged=found.diverged
        )

    def numbers(self, answers: Answers) -> Numbers:
        _test, values = self.curve
        parts = [
            decomposition.squared(some, values, noise)
            for some, noise in zip(
                np.split(answers.at_test, self._spec.seeds), self._noise, strict=True
            )
        ]
        found = {
            name: np.array([getattr(one, part).mean() for one in parts])
            for name, part in zip(self.names, ("loss", "bias", "variance", "noise"), strict=True)
        }
        return found | {"train_error": _by_repetition(answers.train_error, self._spec)}

    def predicted(self, value: int) -> dict[str, float]:
        if self._spec.axis != "degree":
            return {}
        test, values = self.curve
        bias, variance = decomposition.least_squares(
            legendre.legvander(self._x, value),
            legendre.legvander(test, value),
            truth(self._x),
            values,
            self._spec.noise,
        )
        return {
            "predicted_bias_squared": float(bias.mean()),
            "predicted_variance": float(variance.mean()),
        }


def _by_repetition(values: Array, spec: BiasVarianceSpec) -> Array:
    return values.reshape(spec.seeds, spec.sets).mean(axis=1)


def truth(x: Array) -> Array:
    """Return the curve that the regression is to find, on [-1, 1]."""
    return np.asarray(np.sin(np.pi * x) + x / 2)


class Classification:
    """A data set from random parts of its training split, tested on its test split."""

    names = ("error", "bias", "net_variance", "net_noise")
    curve = None

    def __init__(self, spec: BiasVarianceSpec, device: torch.device) -> None:
        self._spec = spec
        self._networks = _Networks(spec, device, usual=60, batch=min(32, spec.samples))
        splits = datasets.load(spec.data, seed=spec.seed)
        pool, self._test, self._classes = splits.train, splits.test, len(splits.classes)
        if spec.samples > len(pool.y):
            raise UsageError(
                _("--samples: got {samples}; the training split has {count}").format(
                    samples=spec.samples, count=len(pool.y)
                )
            )
        self.about = _("{data} from {samples} of its {count} training samples").format(
            data=splits.name, samples=spec.samples, count=len(pool.y)
        )
        rows, labels = [], []
        for k in range(spec.seeds * spec.sets):
            repetition, place = divmod(k, spec.sets)
            draw = np.random.default_rng([spec.seed + repetition, 8, place])
            chosen = draw.permutation(len(pool.y))[: spec.samples]
            rows.append(chosen)
            seed = int(draw.integers(2**31))
            labels.append(mislabelled(pool.y[chosen], spec.noise, self._classes, seed))
        self._sets = Sets(
            x=pool.x[np.stack(rows)],
            y=np.stack(labels),
            test=self._test.x,
            outputs=self._classes,
        )

    def steps(self, value: int) -> int:
        return self._networks.steps(value)

    def answers(self, value: int, progress: Progress) -> Answers:
        found = self._networks.trained(self._sets, value, "relu", progress)
        return Answers(
            at_test=found.outputs.argmax(axis=2),
            train_error=1 - found.train_accuracy,
            diverged=found.diverged,
        )

    def numbers(self, answers: Answers) -> Numbers:
        found: dict[str, list[float]] = {}
        for some in np.split(answers.at_test, self._spec.seeds):
            parts = decomposition.zero_one(some, self._test.y, self._classes, self._spec.noise)
            noise, variance = decomposition.factors(some, self._test.y, self._classes)
            for name, value in (
                ("error", parts.loss),
                ("bias", parts.bias),
                ("net_variance", variance * parts.variance),
                ("net_noise", noise * parts.noise),
                ("variance", parts.variance),
                ("noise", parts.noise),
            ):
                found.setdefault(name, []).append(float(value.mean()))
        numbers = {name: np.array(values) for name, values in found.items()}
        return numbers | {"train_error": _by_repetition(answers.train_error, self._spec)}

    def predicted(self, value: int) -> dict[str, float]:
        return {}
