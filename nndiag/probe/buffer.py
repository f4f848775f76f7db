"""Values wait on the device and come to the host together.

A recorded step is a list of 0-d tensors and, for each, a `Key` that says what it is. Steps usually
repeat the same keys, so the host turns a whole block of them into columns at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Key(NamedTuple):
    """What one value is.

    Attributes:
        kind: `sum`, `norm`, `saturated`, `off`, `dead`, `grad`, `weight_grad`, ...
        layer: place in the list of layers; -1 for the whole run (the loss).
        call: which call of the layer within the pass, from 0.
        size: entries behind a sum or a count.
    """

    kind: str
    layer: int
    call: int = 0
    size: int = 1


@dataclass(frozen=True)
class Row:
    """One recorded step on the host: the step, the samples behind it, and (N,) values by key."""

    step: int
    samples: int
    keys: tuple[Key, ...]
    values: np.ndarray


class Buffer:
    """Collects recorded steps; `flush` transfers them in one go for each type of number."""

    def __init__(self) -> None:
        self._pending: list[tuple[int, int, tuple[Key, ...], list[Tensor]]] = []

    def __len__(self) -> int:
        return len(self._pending)

    def append(self, step: int, samples: int, keys: Sequence[Key], values: list[Tensor]) -> None:
        """Keep one step; nothing is transferred."""
        self._pending.append((step, samples, tuple(keys), values))

    def flush(self) -> list[Row]:
        """Return the waiting steps as rows on the host, and forget them. Waits for the device."""
        flat = [value for *_step, values in self._pending for value in values]
        numbers = _to_host(flat)
        rows, start = [], 0
        for step, samples, keys, values in self._pending:
            rows.append(Row(step, samples, keys, numbers[start : start + len(values)]))
            start += len(values)
        self._pending.clear()
        return rows


def _to_host(values: list[Tensor]) -> np.ndarray:
    """Return (N,) float64 numbers: one stack and one transfer for each device and type."""
    numbers = np.empty(len(values))
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, value in enumerate(values):
        groups.setdefault((value.device, value.dtype), []).append(place)
    for places in groups.values():
        stacked = torch.stack([values[place] for place in places])
        host = stacked.cpu()  # the only wait for the device
        numbers[places] = host.double().numpy()
    return numbers
