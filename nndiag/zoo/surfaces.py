"""Functions of two variables on which the paths of optimizers can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nndiag.schema.errors import unknown_name

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """One function.

    Attributes:
        value: f(x, y) for floats, numpy arrays or tensors.
        minima: where it is smallest; empty for one without a minimum.
        start: where paths begin.
        window: (x from, x to, y from, y to) of the picture.
        level: values at or below it count as arrived.
        reference: where it comes from.
        largest_rate: beyond it a first step leaps out of the picture.
    """

    name: str
    value: Callable[[Any, Any], Any]
    minima: tuple[Point, ...]
    start: Point
    window: tuple[float, float, float, float]
    level: float
    reference: str
    largest_rate: float = 10.0


#: Curvatures of the ravine: 1 along it and 100 across it.
RAVINE = (1.0, 100.0)

SURFACES = {
    row.name: row
    for row in (
        Surface(
            name="ravine",
            value=lambda x, y: 0.5 * (RAVINE[0] * x**2 + RAVINE[1] * y**2),
            minima=((0.0, 0.0),),
            start=(-4.0, 0.8),
            window=(-4.6, 1.6, -1.2, 1.2),
            level=1e-3,
            reference="Polyak 1964",
        ),
        Surface(
            name="rosenbrock",
            value=lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
            minima=((1.0, 1.0),),
            start=(-1.2, 1.0),
            window=(-1.8, 1.6, -0.6, 1.9),
            level=1e-3,
            reference="Rosenbrock 1960",
        ),
        Surface(
            name="beale",
            value=lambda x, y: (
                (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
            ),
            minima=((3.0, 0.5),),
            start=(1.0, 1.5),
            window=(-0.5, 4.5, -1.5, 2.0),
            level=1e-3,
            reference="Beale 1958",
        ),
        Surface(
            name="himmelblau",
            value=lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
            minima=(
                *((3.0, 2.0), (-2.805118, 3.131312)),
                *((-3.779310, -3.283186), (3.584428, -1.848126)),
            ),
            start=(0.0, 0.0),
            window=(-5.5, 5.5, -5.0, 5.0),
            level=1e-3,
            reference="Himmelblau 1972",
        ),
        Surface(
            name="saddle",
            value=lambda x, y: x**2 - y**2,
            minima=(),
            start=(1.5, 1e-3),
            window=(-1.8, 1.8, -1.6, 1.6),
            level=-1.0,
            reference="Dauphin et al. 2014",
            largest_rate=0.1,
        ),
    )
}


def parse(name: str) -> Surface:
    """Return the surface of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SURFACES:
        raise unknown_name("--surface", name, SURFACES)
    return SURFACES[name]
