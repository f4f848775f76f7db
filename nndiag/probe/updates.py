"""Weights before a step and how far the step moves them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from nndiag.probe import statistics
from nndiag.probe.buffer import Address, Buffer
from nndiag.probe.layers import Layer


class Updates:
    """Addresses, by id of the weight, of its norm and of that of its change in one step.

    The copy of the weights lives in buffers that are kept from step to step. Of a weight with more
    than 262,144 entries the change is taken on a sub-sample unless `exact`. All weights go through
    each operation together: one call of torch, not one a weight.
    """

    def __init__(self, buffer: Buffer, *, exact: bool) -> None:
        self._buffer, self._exact = buffer, exact
        self._before: dict[int, Tensor] = {}
        self.norms: dict[int, Address] = {}
        self.changes: dict[int, Address] = {}

    def take_norms(self, layers: list[Layer]) -> None:
        """Record the norms of the weights as they are."""
        self.norms |= self._norms(
            (layer, weight, weight.detach())
            for layer in layers
            for weight in layer.weights
            if not isinstance(weight, UninitializedParameter)
        )

    def before(self, layers: list[Layer], held: Collection[int] | None = None) -> None:
        """Copy the weights: a step is about to change them (those with an id in `held`)."""
        copies, values = [], []
        for layer, weight in self._moving(layers, held):
            seen = self._seen(layer, weight)
            known = self._before.get(id(weight))
            if known is None or known.shape != seen.shape or known.device != seen.device:
                self._before[id(weight)] = seen.clone()
            else:
                copies.append(known)
                values.append(seen)
        if copies:
            torch._foreach_copy_(copies, values)

    def after(self, layers: list[Layer], held: Collection[int] | None = None) -> None:
        """Record how far the weights (those with an id in `held`) are from their copies."""
        moved = [
            (layer, weight, self._before[id(weight)])
            for layer, weight in self._moving(layers, held)
            if id(weight) in self._before and id(weight) not in self.changes
        ]
        if moved:
            copies = [before for _layer, _weight, before in moved]
            torch._foreach_sub_(copies, [self._seen(layer, weight) for layer, weight, _b in moved])
            self.changes |= self._norms(moved)

    @staticmethod
    def _moving(
        layers: list[Layer], held: Collection[int] | None
    ) -> Iterator[tuple[Layer, nn.Parameter]]:
        """Yield each weight once, also one that several layers share."""
        met: set[int] = set()
        for layer in layers:
            for weight in layer.weights:
                if id(weight) in met or (held is not None and id(weight) not in held):
                    continue
                met.add(id(weight))
                if weight.requires_grad and not isinstance(weight, UninitializedParameter):
                    yield layer, weight

    def _norms(self, given: Iterable[tuple[Layer, nn.Parameter, Tensor]]) -> dict[int, Address]:
        """Write the norms of tensors into slots; return their addresses by id of the weight."""
        alike: dict[tuple[torch.device, torch.dtype], tuple[list[int], list[Tensor]]] = {}
        for layer, weight, values in given:
            dtype = statistics.sum_type(values, exact=layer.exact or self._exact)
            keys, tensors = alike.setdefault((values.device, dtype), ([], []))
            keys.append(id(weight))
            tensors.append(values)
        found: dict[int, Address] = {}
        for (device, dtype), (keys, tensors) in alike.items():
            slots = [self._buffer.slot(device, dtype) for _tensor in tensors]
            norms = torch._foreach_norm(tensors, 2, dtype)
            torch._foreach_copy_([view for _address, view in slots], norms)
            found |= {key: address for key, (address, _view) in zip(keys, slots, strict=True)}
        return found

    def whole(self, weight: nn.Parameter) -> float:
        """Return how many entries of a weight stand behind one that is looked at."""
        return weight.numel() / self._before[id(weight)].numel()

    def _seen(self, layer: Layer, weight: nn.Parameter) -> Tensor:
        values = weight.detach()
        if self._exact:
            return values
        if isinstance(layer.module, nn.Embedding | nn.EmbeddingBag):  # a step moves few rows
            return statistics.sample(values)
        return statistics.sample_runs(values)

    def clear(self) -> None:
        """Forget the norms of the last step; the buffers stay."""
        self.norms, self.changes = {}, {}
