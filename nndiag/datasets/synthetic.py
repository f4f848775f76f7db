"""Point clouds in the plane, where a network's boundary can be drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from nndiag.datasets.splits import Array, Splits, divide
from nndiag.locales import _

SAMPLES = 1500
_NOISE = 0.1


def load(name: str, *, seed: int = 0, samples: int = SAMPLES) -> Splits:
    """Draw a synthetic set: `samples` points of shape (2,), equally many a class.

    Args:
        name: moons, circles, spirals, xor or blobs.
        seed: draws the points and the splits.
    """
    draw, classes = _SETS[name]
    generator = np.random.default_rng((seed, samples))
    y = np.arange(samples) % len(classes)
    x = np.empty((samples, 2))
    for index in range(len(classes)):
        x[y == index] = draw(index, int((y == index).sum()), generator)
    source = _("drawn by nndiag with seed {seed}").format(seed=seed)
    return divide(x, y, name=name, classes=classes, source=source, seed=seed)


def _arc(angle: Array, radius: Array | float = 1.0) -> Array:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _moons(index: int, count: int, generator: Generator) -> Array:
    """Draw one of two half circles that hook into each other."""
    points = _arc(generator.uniform(0, np.pi, count))
    if index == 1:
        points = np.array([1.0, 0.5]) - points
    return points + generator.normal(0, _NOISE, (count, 2))


def _circles(index: int, count: int, generator: Generator) -> Array:
    """Draw one of two concentric circles, of radius 1/2 and 1."""
    points = _arc(generator.uniform(0, 2 * np.pi, count), 0.5 * (index + 1))
    return points + generator.normal(0, 0.06, (count, 2))


def _spirals(index: int, count: int, generator: Generator) -> Array:
    """Draw one of two arms of one and a half turns; equally dense along their length."""
    turn = 3 * np.pi * np.sqrt(generator.uniform(0.02, 1, count))
    points = _arc(turn + np.pi * index, turn / np.pi)
    return points + generator.normal(0, 0.08, (count, 2))


def _xor(index: int, count: int, generator: Generator) -> Array:
    """Draw from the two quadrants where the coordinates' signs agree (0) or differ (1)."""
    signs = generator.choice([-1.0, 1.0], (count, 1)) * np.array([1.0, 1.0 - 2.0 * index])
    points: Array = generator.uniform(0.05, 1, (count, 2)) * signs
    return points


def _blobs(index: int, count: int, generator: Generator) -> Array:
    """Draw a round Gaussian cloud around one of four corners of a square of side 4."""
    centre = ((-2.0, -2.0), (-2.0, 2.0), (2.0, -2.0), (2.0, 2.0))[index]
    return generator.normal(centre, 0.6, (count, 2))


_SETS: dict[str, tuple[Callable[[int, int, Generator], Array], tuple[str, ...]]] = {
    "moons": (_moons, ("upper moon", "lower moon")),
    "circles": (_circles, ("inner circle", "outer circle")),
    "spirals": (_spirals, ("first arm", "second arm")),
    "xor": (_xor, ("same signs", "different signs")),
    "blobs": (_blobs, ("south-west", "north-west", "south-east", "north-east")),
}
