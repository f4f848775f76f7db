"""Loss and gradient norm of every step, in memory that does not grow with the steps.

Axes: M member, R row.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: Rows at most; a longer training shares a row among neighbouring steps.
MOST_ROWS = 4096


class Curves:
    """Takes what every step gives and keeps at most `MOST_ROWS` rows.

    A row of several steps holds the mean of their losses and the largest of their gradient norms,
    so that neither an explosion nor a divergence gets lost between two rows. From the first step
    that is not finite on a member's entries are NaN.

    Args:
        steps: of the whole training.
        members: M.

    Attributes:
        finite: (M,) whether all that was taken is finite, as of the last `take`.
    """

    def __init__(self, steps: int, members: int) -> None:
        self._steps, self._every = steps, -(-steps // MOST_ROWS)
        rows = -(-steps // self._every)
        self._sums, self._most = np.zeros((rows, members)), np.zeros((rows, members))
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._taken = 0
        self.finite = np.ones(members, dtype=bool)

    def add(self, losses: Tensor, norms: Tensor) -> None:
        """Take the (M,) losses and gradient norms of the next step, on any device."""
        self._waiting.append((losses, norms))

    def take(self) -> np.ndarray:
        """Bring what was added to the host (waits for the device); return `finite`."""
        if self._waiting:
            losses, norms = (
                torch.stack(values).cpu().double().numpy()
                for values in zip(*self._waiting, strict=True)
            )
            rows = (self._taken + np.arange(len(losses))) // self._every
            good = np.isfinite(losses) & np.isfinite(norms)
            good = np.logical_and.accumulate(good, axis=0) & self.finite
            np.add.at(self._sums, rows, np.where(good, losses, np.nan))
            np.maximum.at(self._most, rows, np.where(good, norms, np.nan))
            self.finite = good[-1]
            self._taken += len(losses)
            self._waiting.clear()
        return self.finite

    def table(self, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (R,) the last step of each row, (R, M) losses and (R, M) gradient norms.

        Args:
            ended: (M,) the last step that counts, -1 for all: rows beyond it are NaN.
        """
        self.take()
        last = np.minimum((np.arange(len(self._sums)) + 1) * self._every, self._steps)
        counts = np.diff(last, prepend=0)
        missing = last[:, None] > np.where(ended < 0, self._taken, ended)
        losses = np.where(missing, np.nan, self._sums / counts[:, None])
        return last, losses, np.where(missing, np.nan, self._most)
