"""Weights before a step and how far the step moves them."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from nndiag.probe import statistics
from nndiag.probe.buffer import Address, Buffer
from nndiag.probe.layers import Layer


class Updates:
    """Addresses, by id of the weight, of its norm and of that of its change in one step.

    The copy of the weights lives in buffers that are kept from step to step. Of a weight with more
    than 262,144 entries the change is taken on a sub-sample (`statistics.sample`) unless `exact`.
    """

    def __init__(self, buffer: Buffer, *, exact: bool) -> None:
        self._buffer, self._exact = buffer, exact
        self._before: dict[int, Tensor] = {}
        self.norms: dict[int, Address] = {}
        self.changes: dict[int, Address] = {}

    def take_norms(self, layers: list[Layer]) -> None:
        """Record the norms of the weights as they are."""
        for layer in layers:
            for weight in layer.weights:
                if not isinstance(weight, UninitializedParameter):
                    self.norms[id(weight)] = self._norm(layer, weight.detach())

    def before(self, layers: list[Layer], held: Collection[int] | None = None) -> None:
        """Copy the weights: a step is about to change them (those with an id in `held`)."""
        for layer in layers:
            for weight in layer.weights:
                if held is not None and id(weight) not in held:
                    continue
                if weight.requires_grad and not isinstance(weight, UninitializedParameter):
                    self._copy(weight)

    def _copy(self, weight: nn.Parameter) -> None:
        values = self._seen(weight)
        known = self._before.get(id(weight))
        if known is None or known.shape != values.shape or known.device != values.device:
            self._before[id(weight)] = values.clone()
        else:
            known.copy_(values)

    def after(self, layers: list[Layer], held: Collection[int] | None = None) -> None:
        """Record how far the weights (those with an id in `held`) are from their copies."""
        for layer in layers:
            for weight in layer.weights:
                if held is not None and id(weight) not in held:
                    continue
                before = self._before.get(id(weight))
                if before is not None and id(weight) not in self.changes:
                    change = before.sub_(self._seen(weight))
                    self.changes[id(weight)] = self._norm(layer, change)

    def _norm(self, layer: Layer, values: Tensor) -> Address:
        dtype = statistics.sum_type(values, exact=layer.exact or self._exact)
        address, slot = self._buffer.slot(values.device, dtype)
        statistics.norm(values, slot)
        return address

    def whole(self, weight: nn.Parameter) -> float:
        """Return how many entries of a weight stand behind one that is looked at."""
        return weight.numel() / self._before[id(weight)].numel()

    def _seen(self, weight: nn.Parameter) -> Tensor:
        values = weight.detach()
        return values if self._exact else statistics.sample(values)

    def clear(self) -> None:
        """Forget the norms of the last step; the buffers stay."""
        self.norms, self.changes = {}, {}
