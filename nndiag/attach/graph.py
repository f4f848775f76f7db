"""What the autograd graph of a loss tells about how it was computed.

Only names and shapes of nodes are read; no tensor is kept alive and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

#: Nodes that hand a tensor on in another shape, type or place.
_PASSING = (
    *("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Permute", "T"),
    *("Clone", "Alias", "ToCopy", "Select", "Slice", "Expand", "Contiguous"),
)
_PRODUCERS = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "LogSigmoid": "log_sigmoid",
    "Tanh": "tanh",
    "Relu": "relu",
    "Clamp": "clamp",
    "Hardtanh": "clamp",
    "Addmm": "linear",
    "Mm": "linear",
    "Bmm": "linear",
    "Linear": "linear",
    "UnsafeMm": "linear",
    "Convolution": "linear",
}
#: Losses that no scores can bring below zero.
_NON_NEGATIVE = (
    *("NllLoss", "MseLoss", "BinaryCrossEntropy", "L1Loss", "SmoothL1Loss", "HuberLoss"),
    *("KlDiv", "SoftMarginLoss"),
)
#: Logarithms of probabilities, and what picks those of the labels.
_NON_POSITIVE = ("LogSoftmax", "LogSigmoid")
_PICKING = ("Gather", "Index", "IndexSelect")
_REDUCING = ("Mean", "Sum", "Div", "Mul", "Add")
#: What a loss written by hand is made of besides.
_BENDING = ("Neg", "Rsub", "Sub", "Log", "Pow", "Clamp", "Where", "MaskedFill")


def name_of(node: Any) -> str:
    """Return `Relu` for a node ReluBackward0."""
    name: str = node.name()
    return name.rpartition("::")[2].partition("Backward")[0]


def producer(scores: Tensor) -> str:
    """Return what made the scores: a name of LossRecord.producer."""
    node = scores.grad_fn
    for _hop in range(8):
        if node is None:
            return "other"
        name = name_of(node)
        if name in _PRODUCERS:
            return _PRODUCERS[name]
        if name not in _PASSING or not node.next_functions:
            return "other"
        node = node.next_functions[0][0]
    return "other"


def negated(loss: Tensor) -> bool:
    """Whether the loss is minus (a mean of) what is never negative: an error, or -log(p)."""
    return loss.grad_fn is not None and _sign(loss.grad_fn, 12) == -1


def _sign(node: Any, hops: int) -> int | None:
    """Return 1 for an error, -1 for minus an error, None where the graph does not tell."""
    name = name_of(node)
    if name.startswith(_NON_NEGATIVE):
        return 1
    if name in _NON_POSITIVE:
        return -1
    children = [(child, at) for at, (child, _i) in enumerate(node.next_functions) if child]
    if not children or not hops:
        return None
    signs = [_sign(child, hops - 1) for child, _at in children]
    factor = -1 if name in ("Neg", "Rsub") else 1  # -loss, 0 - loss
    if name == "Sub" and len(signs) == 2:
        signs[1] = None if signs[1] is None else -signs[1]
    elif name == "Mul":
        factor = _weight_sign(node, children[0][1]) if len(children) == 1 else 0
    elif factor == 1 and name not in (*_PASSING, *_REDUCING, *_PICKING):
        return None
    if signs[0] is None or not factor or any(sign != signs[0] for sign in signs):
        return None
    return factor * signs[0]


def _weight_sign(node: Any, place: int) -> int:
    """Return the sign of what the operand at `place` is multiplied by; 0 where it is mixed."""
    weight = getattr(node, "_saved_self" if place == 1 else "_saved_other", None)
    if not isinstance(weight, Tensor) or not weight.numel():
        return 0
    low, high = float(weight.min()), float(weight.max())
    return 1 if low >= 0 else -1 if high <= 0 else 0


def broadcast_difference(loss: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return (shape of a difference, shape of its operand) where scores were spread over targets.

    `((scores - target) ** 2).mean()` with scores (N, 1) and targets (N,) becomes (N, N).
    """
    for node in walk(loss, 16):
        if name_of(node) not in ("Sub", "Rsub"):
            continue
        whole = shape_of(node)
        for child, _place in node.next_functions:
            part = None if child is None else shape_of(child)
            if whole is None or part is None or len(whole) != 2 or whole[0] != whole[1]:
                continue
            if whole[0] > 1 and part in ((whole[0], 1), (1, whole[0]), (whole[0],)):
                return whole, part
    return None


def across_samples(loss: Tensor) -> tuple[int, ...] | None:
    """Return the shape of scores that a softmax near the loss normalises along axis 0.

    None where there is none, or where axis 0 may be right: scores of one sample, a column of them,
    or a square of similarities, which is normalised both ways (Radford et al. 2021, CLIP).
    """
    waiting = [] if loss.grad_fn is None else [loss.grad_fn]
    for _hop in range(64):
        if not waiting:
            return None
        node = waiting.pop()
        name = name_of(node)
        if name in ("Softmax", "LogSoftmax"):
            shape = shape_of(node)
            axis = getattr(node, "_saved_dim", None)
            if shape is None or len(shape) != 2 or axis not in (0, 2**64 - 2, -2):
                return None
            return shape if shape[1] > 1 and shape[0] != shape[1] else None
        if name in (*_PASSING, *_REDUCING, *_PICKING, *_BENDING) or name.startswith("NllLoss"):
            waiting += [child for child, _place in node.next_functions if child is not None]
    return None


def shape_of(node: Any) -> tuple[int, ...] | None:
    """Return the shape of what the node made in the forward pass, None where it is not known."""
    metadata = getattr(node, "_input_metadata", None)
    if not metadata:
        return None
    return tuple(metadata[0].shape)


def walk(loss: Tensor, most: int) -> Iterator[Any]:
    """Yield at most so many nodes of the graph, breadth first from the loss."""
    if loss.grad_fn is None:
        return
    seen = {loss.grad_fn}
    waiting = [loss.grad_fn]
    for place in range(most):
        if place >= len(waiting):
            return
        node = waiting[place]
        yield node
        for child, _input in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
