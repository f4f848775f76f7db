"""Activations that a forward pass calls as functions, found in the autograd graph of its loss.

`torch.relu(self.fc1(x))` calls no module. The graph shows that a ReluBackward0 takes what fc1 made;
from then on the activation statistics of fc1 are computed from its output, as for a module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from nndiag.probe.layers import Layer
from nndiag.probe.passes import Pass

#: Nodes looked at in one graph (an RNN of a few hundred time steps).
_MOST = 50_000
_SAME = ("View", "UnsafeView", "Squeeze", "Unsqueeze", "Transpose", "Permute", "T", "Clone")


class Source(NamedTuple):
    """What a module made: perhaps the input of an activation.

    Attributes:
        version: of z when it was made; an in-place activation changes it.
    """

    module: nn.Module
    layer: Layer
    current: Pass
    call: int
    z: Tensor
    version: int


def may_be_followed(module: nn.Module) -> bool:
    """Whether the module may stand between a layer and its activation: a normalisation."""
    return isinstance(
        module, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    )


def followed(loss: Tensor, sources: Mapping[Any, Source]) -> Iterator[tuple[Source, nn.Module]]:
    """Yield each source that one activation, and nothing else, takes; with that activation."""
    takers: dict[Any, list[Any]] = {}
    for node in _nodes(loss):
        for child, _place in node.next_functions:
            if child is not None:
                takers.setdefault(child, []).append(node)
    kinds: dict[nn.Module, set[str]] = {}
    found = []
    for origin, source in sources.items():
        activation = _activation(_only_taker(origin, takers))
        kinds.setdefault(source.module, set()).add(repr(activation))
        if activation is not None:
            found.append((source, activation))
    for source, activation in found:
        if len(kinds[source.module]) == 1:
            yield source, activation


def _only_taker(origin: Any, takers: Mapping[Any, list[Any]]) -> Any:
    """Return the one node that computes with what `origin` made, or None."""
    node = origin
    for _hop in range(8):
        users = takers.get(node, [])
        if len(users) != 1:
            return None
        node = users[0]
        if _name(node) not in _SAME:
            return node
    return None


def _nodes(loss: Tensor) -> Iterator[Any]:
    if loss.grad_fn is None:
        return
    seen, waiting = {loss.grad_fn}, [loss.grad_fn]
    while waiting and len(seen) < _MOST:
        node = waiting.pop()
        yield node
        for child, _place in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)


def _name(node: Any) -> str:
    name: str = node.name()
    return name.rpartition("::")[2].partition("Backward")[0]


def _activation(node: Any) -> nn.Module | None:
    build = None if node is None else _MODULES.get(_name(node))
    return None if build is None else build(node)


def _elu(node: Any) -> nn.Module | None:
    if math.isclose(node._saved_scale, 1.0507009873554805):
        return nn.SELU()
    return nn.ELU(node._saved_alpha) if node._saved_scale == 1 else None


_MODULES: dict[str, Callable[[Any], nn.Module | None]] = {
    "Relu": lambda node: nn.ReLU(),
    "Tanh": lambda node: nn.Tanh(),
    "Sigmoid": lambda node: nn.Sigmoid(),
    "LogSigmoid": lambda node: nn.LogSigmoid(),
    "Elu": _elu,
    "LeakyRelu": lambda node: nn.LeakyReLU(node._saved_negative_slope),
    "Gelu": lambda node: nn.GELU(node._saved_approximate),
    "Silu": lambda node: nn.SiLU(),
    "Mish": lambda node: nn.Mish(),
    "Softplus": lambda node: nn.Softplus(node._saved_beta, node._saved_threshold),
    "Hardtanh": lambda node: nn.Hardtanh(node._saved_min_val, node._saved_max_val),
    "Hardswish": lambda node: nn.Hardswish(),
    "Hardsigmoid": lambda node: nn.Hardsigmoid(),
}
