"""Numbers by step, transferred in blocks and thinned so that memory stays bounded."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nndiag.schema.observation import Series

_BLOCK = 64  # values between two transfers


class Recorder:
    """Collects one quantity; a value may still be under way on the device.

    Args:
        capacity: when more values are held only each second step is kept from then on, and so
            forth. Kept whatever their place: the first, the last, the extremes and the first that
            is not finite.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._stride = 1
        self._steps: list[int] = []
        self._values: list[float] = []
        self._pending: list[tuple[int, Tensor | float]] = []

    def add(self, step: int, value: Tensor | float) -> None:
        """Keep a number, or a tensor of one entry, without waiting for it."""
        if isinstance(value, Tensor):
            value = value.detach().reshape(()).clone()
        self._pending.append((step, value))
        if len(self._pending) >= _BLOCK:
            self._flush()

    @property
    def newest(self) -> float:
        """The newest value on the host; never waits."""
        return self._values[-1] if self._values else float("nan")

    def series(self) -> Series:
        """Return everything kept (waits for the device)."""
        self._flush()
        return Series(steps=np.array(self._steps, int), values=np.array(self._values, float))

    def _flush(self) -> None:
        self._steps.extend(step for step, _value in self._pending)
        self._values.extend(on_host([value for _step, value in self._pending]))
        self._pending.clear()
        while len(self._steps) > self._capacity:
            self._stride *= 2
            kept = sorted({*self._on_grid(), *self._extremes(), 0, len(self._steps) - 1})
            self._steps = [self._steps[place] for place in kept]
            self._values = [self._values[place] for place in kept]

    def _on_grid(self) -> list[int]:
        return [place for place, step in enumerate(self._steps) if step % self._stride == 0]

    def _extremes(self) -> set[int]:
        values = np.array(self._values)
        finite = np.isfinite(values)
        places = set(np.flatnonzero(~finite)[:1].tolist())
        if finite.any():
            places.add(int(np.argmax(np.where(finite, values, -np.inf))))
            places.add(int(np.argmin(np.where(finite, values, np.inf))))
        return places


def on_host(values: list[Tensor | float]) -> list[float]:
    """Return numbers, tensors among them brought over in one transfer a device."""
    found: list[float] = [0.0] * len(values)
    by_device: dict[torch.device, list[int]] = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            by_device.setdefault(value.device, []).append(place)
        else:
            found[place] = float(value)
    for places in by_device.values():
        stacked = torch.stack([_single(values[place]) for place in places]).tolist()
        for place, number in zip(places, stacked, strict=True):
            found[place] = number
    return found


def _single(value: Tensor | float) -> Tensor:
    assert isinstance(value, Tensor)
    wide = torch.float32 if value.device.type == "mps" else torch.float64
    return value.detach().reshape(()).to(wide)
