"""Early stopping, a member each: when the validation loss no longer falls, the training ends.

Prechelt 1998; the conventions are those of Keras: `patience` evaluations in a row that are not
better than the best one by more than `min_delta` end it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nndiag.training.members import Member


class Stopping:
    """Watches M members and keeps the weights that each is to end with.

    Args:
        members: those without `patience` are left alone.
        tensors: parameters and buffers by name, (M, ...), which change in place.

    Attributes:
        watch: whether some member may be stopped.
        stopped: (M,) the step at which each was, -1 for not (yet).
    """

    def __init__(self, members: Sequence[Member], tensors: Mapping[str, Tensor]) -> None:
        self._patience = np.array(
            [np.inf if m.patience is None else float(m.patience) for m in members]
        )
        self.watch = bool(np.isfinite(self._patience).any())
        self._watched = np.isfinite(self._patience)
        self._delta = np.array([member.min_delta for member in members])
        self._restores = self._watched & np.array([member.restore_best for member in members])
        self._best = np.full(len(members), np.inf)
        self._bad = np.zeros(len(members))
        self._tensors = tensors
        kept = tensors if self.watch else {}
        self._kept = {name: value.detach().clone() for name, value in kept.items()}
        self.stopped = np.full(len(members), -1)

    def observe(self, step: int, val_loss: np.ndarray, *, last: bool) -> np.ndarray:
        """Judge an evaluation of (M,) losses; return (M,) which members end here.

        A member that restores its best ends with the weights of its best evaluation, also when it
        was never stopped (`last`).
        """
        running = self._watched & (self.stopped < 0)
        better = running & (val_loss < self._best - self._delta)
        self._best = np.where(better, val_loss, self._best)
        self._bad = np.where(better, 0, self._bad + 1)
        tired = running & (self._bad >= self._patience)
        self.stopped[tired] = step
        ends = tired | (running & last)
        self._keep(better | (ends & ~self._restores))
        self._load(ends)
        return ends

    def hold(self) -> None:
        """Put members that were stopped back to where they ended (batch statistics move on)."""
        self._load(self.stopped >= 0)

    def _keep(self, chosen: np.ndarray) -> None:
        _copy(self._tensors, self._kept, chosen)

    def _load(self, chosen: np.ndarray) -> None:
        _copy(self._kept, self._tensors, chosen)


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor], chosen: np.ndarray) -> None:
    if not chosen.any():
        return
    with torch.no_grad():
        for name, value in target.items():
            index = torch.from_numpy(np.flatnonzero(chosen)).to(value.device)
            value[index] = source[name].detach()[index]
