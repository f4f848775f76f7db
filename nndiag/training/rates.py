"""The learning rate of every member at every step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nndiag.training.members import Member
from nndiag.zoo import schedules

#: A validation loss has to fall by this share to count as better (as torch's ReduceLROnPlateau).
_THRESHOLD = 1e-4


class Rates:
    """The rates of M members, each under its own schedule.

    Attributes:
        vary: whether any member's rate changes while it trains.
        watch: whether some member's rate follows its validation loss.
    """

    def __init__(self, members: Sequence[Member], steps: int) -> None:
        base = np.array([member.lr for member in members])
        parsed = [schedules.parse(member.schedule) for member in members]
        constant = np.ones(steps)
        self._rates = np.stack(
            [
                rate * (constant if schedule.row.factor is None else schedule.factors(steps))
                for rate, schedule in zip(base, parsed, strict=True)
            ],
            axis=1,
        )  # (steps, M)
        follows = [schedule.row.factor is None for schedule in parsed]
        gamma, patience = np.array(
            [
                schedule.of(steps) if follow else (1, 0)
                for schedule, follow in zip(parsed, follows, strict=True)
            ]
        ).T
        self.watch = any(follows)
        self.vary = self.watch or bool((self._rates != self._rates[0]).any())
        self._gamma, self._patience, self._follows = gamma, patience, np.array(follows)
        self._factor = np.ones(len(members))
        self._best = np.full(len(members), np.inf)
        self._bad = np.zeros(len(members))

    def at(self, step: int) -> np.ndarray:
        """Return the (M,) rates of a step, counted from 0."""
        return np.asarray(self._rates[step] * self._factor)

    def observe(self, val_loss: np.ndarray) -> None:
        """Take the (M,) validation losses of an evaluation into account (`plateau`)."""
        better = val_loss < self._best * (1 - _THRESHOLD)
        self._best = np.where(better, val_loss, self._best)
        self._bad = np.where(better, 0, self._bad + 1)
        tired = self._follows & (self._bad > self._patience)
        self._factor = np.where(tired, self._factor * self._gamma, self._factor)
        self._bad = np.where(tired, 0, self._bad)
