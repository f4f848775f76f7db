"""Updates that no torch optimizer makes, and weights that belong to no module.

A script may move its weights itself (`w -= lr * w.grad`), and compute with plain tensors instead of
modules. No hook tells of such a step: the weights do, when the next pass begins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nndiag.attach import graph
from nndiag.probe.layers import Matrix
from nndiag.probe.statistics import entries

_WATCHED = 1 << 16  # entries of the smallest weights that are compared
_HOST_LOOKS = 64  # times that a device is waited for to see whether they moved
_MOST_NODES = 20_000
_STEADY = 2  # backward passes, from the first on, that weights are all a part of
_WALKS = 8  # through graphs with the same leaves, after which the next ones are taken to have them
_MOST_FRAMES = 32


class ByHand:
    """Stands for updates that no torch optimizer makes."""

    def __init__(self, parameters: Iterable[Tensor] = ()) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": float("nan")}]

    def hold(self, parameters: Iterable[Tensor]) -> None:
        """Take these for what is updated."""
        self.param_groups[0]["params"] = list(parameters)


class HandUpdates:
    """Sees by the weights that were there after a backward pass whether they have moved since.

    Args:
        possible: whether the script may be moving its weights itself.
        look: takes a look at the weights of all models before they may move, and at gradients, by
            id of the weight, that stand in no `.grad`.
        step: counts a step that has been made.
        adopt: takes in weights that were moved.
        parameters: what is moved, where that is known beforehand.

    Attributes:
        stand_in: stands for the optimizer that there is none of.
    """

    def __init__(
        self,
        possible: Callable[[], bool],
        look: Callable[[Mapping[int, Tensor]], None],
        step: Callable[[], None],
        adopt: Callable[[Sequence[Tensor]], None],
        parameters: Iterable[Tensor] = (),
    ) -> None:
        self._possible, self._look, self._step, self._adopt = possible, look, step, adopt
        self.stand_in = ByHand(parameters)
        self._leaves: list[Tensor] = []
        self._same_leaves = 0
        self._walks: list[list[Tensor]] = []
        self._asked: set[int] = set()
        self._moving: list[Tensor] = []
        self._before: list[tuple[Tensor, Tensor]] = []
        self._looks = 0
        self._ever, self._always = False, True

    def asks(self, outputs: Any, inputs: Sequence[Any], create_graph: bool) -> Tensor | None:
        """Return the loss where `torch.autograd.grad` is asked for the gradient of weights."""
        if create_graph or not self._possible():  # a derivative that is a part of the loss
            if len(self._walks) < _STEADY:
                self._asked.update(id(one) for one in inputs)
            return None
        root = outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs
        leaves = all(isinstance(one, Tensor) and one.is_leaf for one in inputs)
        return root if isinstance(root, Tensor) and root.numel() == 1 and leaves else None

    def before_backward(self, root: Tensor) -> None:
        """Take in that a backward pass begins; a step before it is seen now at the latest."""
        self.see()
        leaves = self._leaves_of(root) if self._possible() else []
        if len(self._walks) < _STEADY:
            self._walks.append(leaves or leaves_of(root))
        if self._replaced(leaves):  # `w = (w - lr * w.grad).detach()...`
            self._count()
        self._leaves = leaves
        if leaves:
            self.stand_in.hold(leaves)

    def after_backward(self, gradients: Mapping[int, Tensor] | None = None) -> None:
        """Keep what the weights are as long as the script may be moving them itself.

        Args:
            gradients: by id of the weight, those that stand in no `.grad`.
        """
        if not self._leaves:
            return
        if self._moving:  # not before: a change to a model would come amid a pass
            self._adopt(self._moving)
            self._moving = []
        self._look(gradients or {})
        self._remember(gradients or {})

    def steady(self) -> list[Tensor]:
        """Return what the first backward passes all reached: weights, and no batches of inputs."""
        first, *others = self._walks or [[]]
        kept = [
            leaf
            for leaf in first
            if leaf.grad is not None
            and id(leaf) not in self._asked
            and all(any(leaf is one for one in other) for other in others)
        ]
        return kept if len(others) == _STEADY - 1 else []

    def see(self) -> None:
        """Count a step where the weights are no more what they were after the backward pass."""
        if self._leaves and self._possible() and self._moved():
            self._moving = self._leaves
            self._count()

    def forget(self) -> None:
        """Drop the copies: whatever moves the weights now is known."""
        self._before = []

    def _count(self) -> None:
        self.forget()
        self._step()

    def _leaves_of(self, root: Tensor) -> list[Tensor]:
        """Return what the backward pass reaches; walks the graph only until it stays the same."""
        if self._same_leaves >= _WALKS and all(leaf.requires_grad for leaf in self._leaves):
            return self._leaves
        leaves = leaves_of(root)
        same = [id(leaf) for leaf in leaves] == [id(leaf) for leaf in self._leaves]
        self._same_leaves = self._same_leaves + 1 if same else 0
        return leaves

    def _remember(self, gradients: Mapping[int, Tensor]) -> None:
        """Keep copies of the smallest leaves that have a gradient."""
        room, self._before = _WATCHED, []
        known = (one for one in self._leaves if one.grad is not None or id(one) in gradients)
        for leaf in sorted(known, key=Tensor.numel):
            room -= leaf.numel()
            if room < 0 and self._before:
                break
            self._before.append((leaf, leaf.detach().clone()))

    def _replaced(self, leaves: Sequence[Tensor]) -> bool:
        """Whether new tensors of the same shapes stand in the place of all the old ones."""
        old = [leaf for leaf, _before in self._before]
        if not old or any(leaf is other for leaf in old for other in leaves):
            return False
        shapes = [leaf.shape for leaf in leaves]
        return all(leaf.shape in shapes for leaf in old)

    def _moved(self) -> bool:
        """Whether a weight is not what it was.

        A training that has converged moves nothing any more: then a gradient that was cleared tells
        of the step.
        """
        if not self._before:
            return False
        on_device = self._before[0][0].device.type != "cpu"
        if on_device and self._looks >= _HOST_LOOKS:
            found = self._always
        else:
            self._looks += 1
            found = any(not torch.equal(leaf, before) for leaf, before in self._before) or (
                self._ever and not any(_has_gradient(leaf) for leaf, _before in self._before)
            )
            self._always = self._always and found
        self._ever = self._ever or found
        return found


class Tensors(nn.Module):
    """Weights that belong to no module, under the names that the script gives them.

    Each matrix or kernel is a layer of its own; a vector is a parameter without one.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        for tensor, name in zip(tensors, _names(tensors), strict=True):
            if tensor.ndim >= 2:
                self.add_module(name, Matrix(tensor))
            else:
                self._parameters[name] = tensor  # type: ignore[assignment]  # a plain tensor


def _has_gradient(leaf: Tensor) -> bool:
    return leaf.grad is not None and bool(entries(leaf.grad).any())


def leaves_of(loss: Tensor) -> list[Tensor]:
    """Return the tensors that a backward pass gives a gradient to, those near the input first."""
    found = [getattr(node, "variable", None) for node in graph.walk(loss, _MOST_NODES)]
    return [leaf for leaf in reversed(found) if isinstance(leaf, Tensor)]


def _names(tensors: Sequence[Tensor]) -> list[str]:
    """Return the names of variables that hold the tensors, in the functions that are running.

    Others are called tensor_1, tensor_2, ...
    """
    known: dict[int, str] = {}
    frame = sys._getframe()
    for _hop in range(_MOST_FRAMES):
        for name, value in frame.f_locals.items():
            if isinstance(value, Tensor) and value.is_leaf:
                known.setdefault(id(value), name)
            elif name == "self" and not isinstance(value, nn.Module):
                for key, inner in getattr(value, "__dict__", {}).items():
                    if isinstance(inner, Tensor):
                        known.setdefault(id(inner), key)
        if frame.f_back is None:
            break
        frame = frame.f_back
    names: list[str] = []
    for place, tensor in enumerate(tensors, start=1):
        name = known.get(id(tensor), "").strip("_")
        taken = not name or name in names or hasattr(nn.Module, name)
        names.append(f"tensor_{place}" if taken else name)
    return names
