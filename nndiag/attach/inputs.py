"""The floating-point input of a model, and which samples training has seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nndiag.attach.series import on_host
from nndiag.schema.observation import InputRecord

_BATCHES = 16  # looked at whole, from the start
_FEATURES = 4096
_MARKED = 100_000  # samples remembered
_MARKED_ENTRIES = 64
_FAMILIAR, _SELDOM = 64, 8


class InputWatch:
    """Moments of the first batches; finiteness of every batch that is recorded."""

    def __init__(self) -> None:
        self._batches: list[tuple[int, Tensor, Tensor]] = []
        self._shape: tuple[int, ...] = ()
        self._equal: list[Tensor] = []
        self._first: Tensor | None = None
        self._broken: list[tuple[int, Tensor]] = []
        self._broken_at: int | None = None
        self._features: list[tuple[Tensor, Tensor, Tensor]] = []

    def note(self, x: Tensor, step: int) -> None:
        """Take in one training batch (B, ...)."""
        with torch.no_grad():
            x = x.detach()
            self._broken.append((step, torch.isfinite(x.sum(dtype=torch.float32)).logical_not()))
            if len(self._broken) >= 64:
                self._settle()
            if len(self._batches) < _BATCHES and x.numel():
                self._look(x, step)

    def record(self) -> InputRecord | None:
        """Return what was seen (waits for the device)."""
        self._settle()
        if not self._batches:
            return None
        samples = sum(count for count, _one, _two in self._batches)
        summary = torch.stack([numbers.cpu() for _count, numbers, _share in self._batches])
        size, mean, square, low, high = summary.double().unbind(1)
        whole = float((size * mean).sum() / size.sum())
        second = float((size * square).sum() / size.sum())
        means, stds = self._by_feature()
        shares = on_host([share for _count, _numbers, share in self._batches])
        return InputRecord(
            batches=len(self._batches),
            samples=samples,
            shape=self._shape,
            mean=whole,
            std=max(second - whole**2, 0.0) ** 0.5,
            low=float(low.min()),
            high=float(high.max()),
            feature_means=means,
            feature_stds=stds,
            constant=samples > 1 and all(value > 0 for value in on_host(list(self._equal))),
            non_finite=float(np.mean(shares)),
            first_non_finite=self._broken_at,
        )

    def _look(self, x: Tensor, step: int) -> None:
        finite = torch.isfinite(x)
        share = 1 - finite.float().mean()
        wide = torch.where(finite, x, torch.zeros_like(x)).float()
        size = finite.sum().float()
        numbers = torch.stack(
            [
                size,
                wide.sum() / size.clamp(min=1),
                wide.square().sum() / size.clamp(min=1),
                wide.min(),
                wide.max(),
            ]
        )
        self._batches.append((x.shape[0], numbers, share))
        self._shape = tuple(x.shape[1:])
        rows = wide.transpose(1, -1) if 2 < x.ndim <= 5 and _is_image(x) else wide
        rows = rows.reshape(-1, rows.shape[-1])[:, :_FEATURES]
        count = torch.tensor(float(len(rows)))
        self._features.append((count, rows.sum(0), rows.square().sum(0)))
        if self._first is None:
            self._first = x[0].clone()
        same = x.shape[1:] == self._first.shape
        self._equal.append((x == self._first).all() if same else torch.zeros(()))

    def _by_feature(self) -> tuple[np.ndarray, np.ndarray]:
        width = self._features[0][1].shape
        rows = [row for row in self._features if row[1].shape == width]
        count = sum(float(row[0]) for row in rows)
        mean = torch.stack([row[1].cpu() for row in rows]).double().sum(0).numpy() / count
        square = torch.stack([row[2].cpu() for row in rows]).double().sum(0).numpy() / count
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def _settle(self) -> None:
        if self._broken_at is None:
            values = on_host([value for _step, value in self._broken])
            broken = [step for (step, _v), value in zip(self._broken, values, strict=True) if value]
            self._broken_at = broken[0] if broken else None
        self._broken.clear()


def _is_image(x: Tensor) -> bool:
    """Whether axis 1 holds channels: (B, C, H, W)."""
    return x.ndim == 4 and x.shape[1] <= 16


def first_float(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Return the first floating-point tensor with a batch axis among a call's arguments."""
    for value in _tensors((*args, *kwargs.values())):
        if value.is_floating_point() and value.ndim >= 2:
            return value
    return None


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())


class Seen:
    """Remembers training samples by a checksum of a few entries each."""

    def __init__(self) -> None:
        self._marks: set[float] = set()
        self._batches = self._known = 0

    def learn(self, x: Tensor) -> None:
        """Remember the samples of a training batch (on the host only: no device is waited for).

        After so many batches without a new one only some are looked at.
        """
        self._batches += 1
        if x.device.type != "cpu" or len(self._marks) >= _MARKED:
            return
        if self._known >= _FAMILIAR and self._batches % _SELDOM:
            return
        before = len(self._marks)
        self._marks.update(_marks(x))
        self._known = self._known + 1 if len(self._marks) == before else 0

    @property
    def count(self) -> int | None:
        """Distinct samples met; None where they were not counted, or are too many."""
        return len(self._marks) if 0 < len(self._marks) < _MARKED else None

    def share(self, x: Tensor) -> float:
        """Return the share of samples that training has met; NaN where that is unknown."""
        if x.device.type != "cpu" or not self._marks or not len(x):
            return float("nan")
        marks = _marks(x)
        return sum(mark in self._marks for mark in marks) / len(marks)


def _marks(x: Tensor) -> list[float]:
    flat = x.detach().reshape(len(x), -1)
    flat = flat[:, :: max(1, flat.shape[1] // _MARKED_ENTRIES)][:, :_MARKED_ENTRIES].double()
    weights = torch.linspace(1.0, 2.0, flat.shape[1], dtype=torch.float64)
    found: list[float] = (flat * weights).sum(1).tolist()
    return found
