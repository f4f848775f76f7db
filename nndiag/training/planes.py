"""What each layer of a network makes of points in the plane.

Axes: N point, U unit of a layer, K class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The points after a weight layer and what follows it.

    Attributes:
        values: (N, U).
    """

    name: str
    values: Array


def layers(model: nn.Sequential, x: Array) -> list[Layer]:
    """Return the points after each weight layer with its activation; the last are the scores.

    Args:
        x: (N, 2).
    """
    found: list[Layer] = []
    with torch.no_grad():
        like = next(model.parameters())
        values = torch.from_numpy(np.asarray(x, dtype=np.float32)).to(like.device)
        for name, module in model.named_children():
            values = module(values)
            now = values.double().cpu().numpy()
            if isinstance(module, nn.Linear):
                found.append(Layer(name=name, values=now))
            elif found:
                found[-1] = Layer(name=found[-1].name, values=now)
    return found


def affine(model: nn.Sequential) -> tuple[Array, Array]:
    """Return W (K, 2) and b (K,) of the one affine map that the weight layers compose to.

    W = W_L ... W_1 and b = W_L (... (W_2 b_1 + b_2) ...) + b_L, in float64.
    """
    weight, bias = np.eye(2), np.zeros(2)
    for module in model:
        if isinstance(module, nn.Linear):
            own = module.weight.detach().double().cpu().numpy()
            weight, bias = own @ weight, own @ bias + module.bias.detach().double().cpu().numpy()
    return weight, bias


def straight(train: Array, y: Array, test: Array, test_y: Array) -> float:
    """Return the test accuracy of straight cuts: least squares on the classes, (N, U) inputs.

    For two classes of equal size the cut is Fisher's discriminant.
    """
    scores = _bordered(train)
    classes = np.eye(int(y.max()) + 1)[y]
    fitted = np.linalg.lstsq(scores, classes, rcond=None)[0]
    return float(((_bordered(test) @ fitted).argmax(axis=1) == test_y).mean())


def not_affine(x: Array, outputs: Array) -> float:
    """Return the share of the outputs' variance that no affine map of x explains, 0 to 1."""
    fitted = np.linalg.lstsq(_bordered(x), outputs, rcond=None)[0]
    rest = ((outputs - _bordered(x) @ fitted) ** 2).sum()
    spread = ((outputs - outputs.mean(axis=0)) ** 2).sum()
    return float(rest / spread) if spread else 0.0


def _bordered(values: Array) -> Array:
    return np.column_stack([values, np.ones(len(values))])


@dataclass(frozen=True, kw_only=True)
class View:
    """Two directions in which points of a layer are drawn.

    Attributes:
        centre: (U,); directions: (U, 2).
        shown: share of the points' variance that the drawing has.
    """

    centre: Array
    directions: Array
    shown: float

    def of(self, values: Array) -> Array:
        """Return (N, 2) places of (N, U) points."""
        return np.asarray((values - self.centre) @ self.directions)


def view(values: Array, before: Array | None = None) -> View:
    """Return the plane of two units as it is, of more along the two directions of most variance.

    Args:
        values: (N, U).
        before: (N, 2) where the points were in the picture before: the new one is turned so that
            they move as little as can be (Schoenemann 1966).
    """
    if values.shape[1] == 2:
        return View(centre=np.zeros(2), directions=np.eye(2), shown=1.0)
    centre = values.mean(axis=0)
    _left, lengths, rows = np.linalg.svd(values - centre, full_matrices=False)
    directions = rows[:2].T
    if before is not None:
        left, _sizes, right = np.linalg.svd(((values - centre) @ directions).T @ before)
        directions = directions @ left @ right
    power = lengths**2
    return View(
        centre=centre,
        directions=directions,
        shown=float(power[:2].sum() / power.sum()) if power.sum() else 1.0,
    )


def lattice(low: Sequence[float], high: Sequence[float], lines: int, points: int) -> Array:
    """Return straight lines over a rectangle, (2 lines, points, 2): they show how it is bent."""
    (x0, y0), (x1, y1) = low, high
    along = np.linspace(0, 1, points)
    across = np.linspace(0, 1, lines)
    upright = [
        np.stack([np.full(points, x0 + a * (x1 - x0)), y0 + along * (y1 - y0)], 1) for a in across
    ]
    level = [
        np.stack([x0 + along * (x1 - x0), np.full(points, y0 + a * (y1 - y0))], 1) for a in across
    ]
    return np.stack([*upright, *level])
