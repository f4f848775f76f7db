"""Values wait on the device, in slots of one tensor, and come to the host together.

A value is written straight into its slot: thousands of small tensors that live from step to step
would split the heap of the host's allocator, and the model's own large tensors would then be mapped
and unmapped anew in each step (measured: 3000 page faults, 15 % of a step).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: Different sequences of keys that are remembered: steps usually repeat one.
MOST_LAYOUTS = 64
_CHUNK = 4096  # slots added at a time
#: The number of a slot, times `_POOLS`, plus the number of its pool: one for a device and type.
#: Pool 0 is the host's own and holds constants.
Address = int
ZERO: Address = 0
ONE: Address = 16
_POOLS = 16
_CONSTANTS = np.array([0.0, 1.0])
#: What a value is and where: the number of its key, shifted, plus its address. Thousands of tuples
#: that live until the next flush would keep Python's garbage collector busy; integers do not.
Entry = int
_SHIFT = 40
_SCRATCH = 1 << 18  # entries of the largest scratch tensor that is kept


class Key(NamedTuple):
    """What one value is.

    Attributes:
        kind: `sum`, `norm`, `saturated`, `off`, `alive`, `grad`, `weight_grad`, ...
        layer: place in the list of layers; -1 for the whole run (the loss).
        call: which call of the layer within the pass, from 0.
        size: entries behind a sum or a count.
        centre: what was subtracted from the entries before they were summed.
    """

    kind: str
    layer: int
    call: int = 0
    size: int = 1
    centre: float = 0.0


@dataclass(frozen=True)
class Row:
    """One recorded step on the host.

    Attributes:
        samples: the samples behind it.
        signature: equal for rows of equal keys.
        values: (N,), one a key.
    """

    step: int
    samples: int
    signature: bytes
    keys: tuple[Key, ...]
    values: np.ndarray


class Slots:
    """0-d tensors of one device and type, given out in order and taken back all at once."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._chunks: list[Tensor] = []
        self._views: list[Tensor] = []
        self.used = 0

    def take(self) -> tuple[int, Tensor]:
        """Return the number of a free slot and the slot."""
        number = self.used
        if number == len(self._views):
            chunk = torch.zeros(_CHUNK, device=self._device, dtype=self._dtype)
            self._chunks.append(chunk)
            self._views.extend(chunk.unbind())
        self.used = number + 1
        return number, self._views[number]

    def to_host(self) -> np.ndarray:
        """Return the used slots as (N,) float64 numbers: the only wait for the device."""
        chunks = self._chunks[: -(-self.used // _CHUNK)]
        return torch.cat([chunk.cpu().double() for chunk in chunks]).numpy()


class Buffer:
    """Collects recorded steps; `flush` transfers them in one go for each type of number."""

    def __init__(self) -> None:
        self._pools: list[Slots] = []
        self._pool_of: dict[tuple[torch.device, torch.dtype], int] = {}
        self._keys: list[Key] = []
        self._number_of: dict[Key, int] = {}
        self._known: dict[bytes, tuple[Key, ...]] = {}
        self._scratch: dict[tuple[torch.Size, torch.dtype, torch.device], Tensor] = {}
        self._pending: list[tuple[int, int, np.ndarray]] = []
        self._marks: list[int] = []

    def __len__(self) -> int:
        return len(self._pending)

    def slot(self, device: torch.device, dtype: torch.dtype) -> tuple[Address, Tensor]:
        """Return the address of a free slot and the 0-d tensor to write the value into."""
        pool = self._pool_of.get((device, dtype))
        if pool is None:
            self._pools.append(Slots(device, dtype))
            pool = self._pool_of[device, dtype] = len(self._pools)
        number, view = self._pools[pool - 1].take()
        return number * _POOLS + pool, view

    def entry(self, key: Key, address: Address) -> Entry:
        """Return a key and an address as one number."""
        number = self._number_of.get(key)
        if number is None:
            number = self._number_of[key] = len(self._keys)
            self._keys.append(key)
        return (number << _SHIFT) + address

    def split(self, entry: Entry) -> tuple[Key, Address]:
        """Return the key and the address of an entry."""
        return self._keys[entry >> _SHIFT], entry & ((1 << _SHIFT) - 1)

    def scratch(self, like: Tensor) -> Tensor:
        """Return a tensor of the same shape to compute in; the next call may give it out again."""
        if like.numel() > _SCRATCH:
            return torch.empty_like(like)
        key = (like.shape, like.dtype, like.device)
        if key not in self._scratch:
            self._scratch[key] = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        return self._scratch[key]

    def append(self, step: int, samples: int, entries: Iterable[Entry]) -> None:
        """Keep one step; nothing is transferred."""
        self._pending.append((step, samples, np.fromiter(entries, np.int64)))
        self._marks = [pool.used for pool in self._pools]

    def rewind(self) -> None:
        """Take back the slots given out since the last `append`: nobody wants their values."""
        for place, pool in enumerate(self._pools):
            pool.used = self._marks[place] if place < len(self._marks) else 0

    def flush(self) -> list[Row]:
        """Return the waiting steps as rows on the host, and forget them. Waits for the device."""
        hosts = [pool.to_host() if pool.used else np.zeros(0) for pool in self._pools]
        hosts.insert(0, _CONSTANTS)
        starts = np.cumsum([0, *[len(host) for host in hosts]])
        numbers = np.concatenate(hosts)
        rows = []
        for step, samples, entries in self._pending:
            address = entries & ((1 << _SHIFT) - 1)
            values = numbers[starts[address % _POOLS] + address // _POOLS]
            signature, keys = self._keys_of(entries >> _SHIFT)
            rows.append(Row(step, samples, signature, keys, values))
        self._pending.clear()
        for pool in self._pools:
            pool.used = 0
        self._marks = []
        return rows

    def _keys_of(self, numbers: np.ndarray) -> tuple[bytes, tuple[Key, ...]]:
        signature = numbers.tobytes()
        if signature not in self._known:
            if len(self._known) >= MOST_LAYOUTS:
                self._known.clear()
            self._known[signature] = tuple(self._keys[number] for number in numbers)
        return signature, self._known[signature]
