"""`nndiag compare-optimizers --trajectory`: paths on functions of two variables."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from nndiag import __version__
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_compare import TrajectorySpec
from nndiag.training.members import Member
from nndiag.training.stepping import Stepper
from nndiag.zoo import optimizers, surfaces
from nndiag.zoo.surfaces import Surface

#: Rates tried: four a decade.
RATES = tuple(float(rate) for rate in np.logspace(-4, 1, 21))
#: Spread of the starts around the surface's own, as a share of the window.
_SPREAD = 0.02
#: Points of a path that the result keeps.
_MOST_POINTS = 400


def run(spec: TrajectorySpec, *, watch: Watch | None = None) -> Result:
    """Tune the rate of each optimizer on each surface and follow its path from several starts."""
    started = time.perf_counter()
    watch = watch or Silent()
    rows: list[dict[str, Any]] = []
    watch.stage(_("following paths"), len(spec.surfaces) * len(spec.optimizers))
    interrupted = False
    try:
        for name in spec.surfaces:
            for optimizer in spec.optimizers:
                rows.append(_row(surfaces.parse(name), optimizer, spec))
                watch.update(len(rows))
    except KeyboardInterrupt:
        interrupted = True
    return Result(
        command="trajectory",
        spec=asdict(spec),
        environment={
            "device": "cpu",
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={"rows": rows, "reading": _reading(rows), "interrupted": interrupted},
        version=__version__,
    )


def starts(surface: Surface, spec: TrajectorySpec) -> np.ndarray:
    """Return (K, 2) starts: the surface's own first, then others near it."""
    generator = np.random.default_rng(spec.seed)
    left, right, low, high = surface.window
    spread = _SPREAD * np.array([right - left, high - low])
    if not surface.minima:  # off the ridge by a hair, or nothing happens
        spread[1] = abs(surface.start[1])
    around = generator.uniform(-1, 1, (spec.starts - 1, 2)) * spread
    return np.array(surface.start) + np.vstack([np.zeros((1, 2)), around])


def follow(
    surface: Surface, optimizer: str, rates: np.ndarray, begin: np.ndarray, steps: int
) -> np.ndarray:
    """Return the (S + 1, M, 2) paths of M starts (M, 2), each at its own rate (M,).

    All move at once: the update of each coordinate depends on itself alone.
    """
    points = torch.tensor(begin, dtype=torch.float64, requires_grad=True)
    members = [Member(seed=0, lr=float(rate)) for rate in rates]
    row = optimizers.parse(optimizer)
    together = row.linear_in_lr and not row.needs_closure
    if not together:
        parts = [
            _alone(surface, optimizer, float(r), b, steps)
            for r, b in zip(rates, begin, strict=True)
        ]
        return np.stack(parts, axis=1)
    stepper = Stepper([points], members, optimizer)
    path = [points.detach().clone()]
    for _step in range(steps):
        stepper.zero_grad()
        surface.value(points[:, 0], points[:, 1]).sum().backward()
        stepper.step()
        path.append(points.detach().clone())
    return torch.stack(path).numpy()


def _alone(
    surface: Surface, optimizer: str, rate: float, begin: np.ndarray, steps: int
) -> np.ndarray:
    """Return the (S + 1, 2) path of an optimizer that cannot step several at once."""
    from nndiag.schema.spec import OptimizerSpec

    point = torch.nn.Parameter(torch.tensor(begin, dtype=torch.float64))
    stepping = optimizers.build([point], OptimizerSpec(name=optimizer, lr=rate))
    path = [point.detach().clone()]

    def closure() -> float:
        stepping.zero_grad()
        value = surface.value(point[0], point[1])
        value.backward()
        return float(value)

    for _step in range(steps):
        stepping.step(closure)
        path.append(point.detach().clone())
    return torch.stack(path).numpy()


def _row(surface: Surface, optimizer: str, spec: TrajectorySpec) -> dict[str, Any]:
    begin = starts(surface, spec)
    tried = [rate for rate in RATES if rate <= surface.largest_rate * 1.001]
    rates = np.repeat(tried, len(begin))
    path = follow(surface, optimizer, rates, np.tile(begin, (len(tried), 1)), spec.steps)
    arrived = _arrival(surface, path).reshape(len(tried), len(begin))
    cost = np.where(arrived < 0, 10.0 * spec.steps, arrived).mean(axis=1)
    best = int(np.argmin(cost))
    chosen = path.reshape(len(path), len(tried), len(begin), 2)[:, best]
    steps = arrived[best]
    reached = steps[steps >= 0]
    ends = np.where(steps < 0, len(path) - 1, steps)
    shapes = [_shape(chosen[: end + 1, k], surface) for k, end in enumerate(ends)]
    diverged = ~np.isfinite(path[-1]).all(axis=1).reshape(len(tried), len(begin))
    return {
        "label": optimizer,
        "surface": surface.name,
        "optimizer": optimizer,
        "best_lr": tried[best],
        "steps": interval(reached) if reached.size else None,
        "reached": float((steps >= 0).mean()),
        "detour": interval([shape["detour"] for shape in shapes]),
        "reversals": interval([shape["reversals"] for shape in shapes]),
        "diverged": int(diverged.any(axis=1).sum()),
        "path": _thinned(chosen[: ends[0] + 1, 0]),
    }


def _arrival(surface: Surface, path: np.ndarray) -> np.ndarray:
    """Return the (M,) first steps from which on the value stays at or below the level, or -1.

    To pass through a minimum by chance is no arrival; to have left a saddle once is enough.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        there = surface.value(path[..., 0], path[..., 1]) <= surface.level
    if surface.minima:
        there = np.logical_and.accumulate(there[::-1], axis=0)[::-1]
    return np.where(there.any(axis=0), there.argmax(axis=0), -1)


def _shape(path: np.ndarray, surface: Surface) -> Mapping[str, float]:
    """Return how winding a path is.

    `detour`: its length over the straight distance between its ends. `reversals`: how often its
    motion across the steepest axis of the start turns round (oscillation).
    """
    moves = np.diff(path, axis=0)
    straight = float(np.linalg.norm(path[-1] - path[0]))
    length = float(np.linalg.norm(moves, axis=1).sum())
    x, y = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in path[0])
    gradient = torch.autograd.grad(surface.value(x, y), (x, y))
    axis = int(abs(float(gradient[1])) > abs(float(gradient[0])))
    across = moves[:, axis]
    across = across[np.abs(across) > 1e-9]
    return {
        "detour": length / straight if straight > 0 else 1.0,
        "reversals": float((np.sign(across[1:]) != np.sign(across[:-1])).sum()),
    }


def _thinned(path: np.ndarray) -> list[list[float]]:
    places = np.unique(np.linspace(0, len(path) - 1, min(len(path), _MOST_POINTS)).astype(int))
    return path[places].tolist()


def _reading(rows: list[dict[str, Any]]) -> list[str]:
    """Return a sentence or two a surface, each following from the rows."""
    said = []
    for name in dict.fromkeys(row["surface"] for row in rows):
        own = [row for row in rows if row["surface"] == name]
        arrived = [row for row in own if row["reached"] == 1]
        if not arrived:
            said.append(_("{surface}: no optimizer arrives from every start.").format(surface=name))
            continue
        first = min(arrived, key=lambda row: row["steps"].mean)
        winding = max(arrived, key=lambda row: row["reversals"].mean)
        text = _("{surface}: {first} arrives first, in {steps} steps").format(
            surface=name, first=first["label"], steps=round(first["steps"].mean)
        )
        plain = next((row for row in arrived if row["label"] == "sgd"), None)
        if plain is not None and plain is not first:
            times = plain["steps"].mean / first["steps"].mean
            text += _(" ({times} times sooner than sgd)").format(times=f"{times:.2g}")
        if winding["reversals"].mean >= 1:
            text += _("; {winding} swings most, {count} times to and fro").format(
                winding=winding["label"], count=math.ceil(winding["reversals"].mean)
            )
        said.append(text + ".")
    return said
