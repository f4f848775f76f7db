"""Learning-rate schedules: by what factor the rate of each step is multiplied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nndiag.zoo.registry import Registry, parameters

Array = NDArray[np.float64]
Factor = Callable[[Array, int, tuple[float, ...]], Array]

_OPTION = "--schedule"


@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """One schedule.

    Attributes:
        factor: from the (T,) step numbers (from 0), the number of steps of the training, and the
            parameters to the (T,) factors; None where the factors depend on the training itself.
        usage: how it is written, with its parameters.
        defaults: of the parameters, from the number of steps.
        valid: whether parameters are right in range; their count is checked beside it.
        formula: in terms of the step t of T.
        paper: where it was proposed or studied.
    """

    name: str
    factor: Factor | None
    usage: str
    formula: str
    paper: str = ""
    defaults: Callable[[int], tuple[float, ...]] = lambda steps: ()
    valid: Callable[[tuple[float, ...]], bool] = lambda given: True


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A row with its parameters, as `parse` read it; those not given follow the run's length."""

    row: ScheduleRow
    given: tuple[float, ...] = ()

    def of(self, steps: int) -> tuple[float, ...]:
        """Return all parameters for a training of so many steps."""
        return (*self.given, *self.row.defaults(steps)[len(self.given) :])

    def factors(self, steps: int) -> Array:
        """Return the (steps,) factors.

        Raises:
            ValueError: they depend on the training (`plateau`).
        """
        if self.row.factor is None:
            raise ValueError(f"the factors of {self.row.name} depend on the training")
        return self.row.factor(np.arange(steps, dtype=float), steps, self.of(steps))


def _one_cycle(t: Array, steps: int, given: tuple[float, ...]) -> Array:
    """Rise from 1/25 by half a cosine over 30 % of the steps, then fall to 1/250,000."""
    peak = given[0] * steps - 1
    start, end = 1 / 25, 1 / 25e4
    rise = _half_cosine(start, 1.0, t / max(peak, 1e-9))
    return np.where(t <= peak, rise, _half_cosine(1.0, end, (t - peak) / (steps - 1 - peak)))


def _half_cosine(start: float, end: float, share: Array) -> Array:
    return end + (start - end) / 2 * (1 + np.cos(np.pi * np.clip(share, 0, 1)))


def _warm(t: Array, share: float, steps: int) -> Array:
    return np.minimum(1.0, (t + 1) / max(1.0, share * steps))


def _cosine(t: Array, steps: int) -> Array:
    return 0.5 * (1 + np.cos(np.pi * t / steps))


def _shares(given: tuple[float, ...]) -> bool:
    return all(0 < share < 1 for share in given)


SCHEDULES = Registry(
    (
        ScheduleRow(
            name="constant",
            usage="constant",
            formula="eta0",
            factor=lambda t, steps, given: np.ones_like(t),
        ),
        ScheduleRow(
            name="step",
            usage="step[:EVERY[:GAMMA]]",
            formula="eta0 gamma^floor(t / every)",
            defaults=lambda steps: (max(1, steps // 3), 0.1),
            valid=lambda given: given[0] >= 1 and all(0 < g <= 1 for g in given[1:]),
            factor=lambda t, steps, given: given[1] ** (t // given[0]),
        ),
        ScheduleRow(
            name="halving",
            usage="halving[:EVERY]",
            formula="eta0 2^-floor(t / every)",
            defaults=lambda steps: (max(1, steps // 4),),
            valid=lambda given: given[0] >= 1,
            factor=lambda t, steps, given: 0.5 ** (t // given[0]),
        ),
        ScheduleRow(
            name="exponential",
            usage="exponential[:K]",
            formula="eta0 exp(-k t)",
            defaults=lambda steps: (4 / steps,),
            valid=lambda given: given[0] >= 0,
            factor=lambda t, steps, given: np.exp(-given[0] * t),
        ),
        ScheduleRow(
            name="inverse",
            usage="inverse[:K]",
            formula="eta0 / (1 + k t)",
            paper="Robbins & Monro 1951",
            defaults=lambda steps: (20 / steps,),
            valid=lambda given: given[0] >= 0,
            factor=lambda t, steps, given: 1 / (1 + given[0] * t),
        ),
        ScheduleRow(
            name="rise",
            usage="rise[:RATIO]",
            formula="eta0 ratio^(t / (T - 1)), the range test",
            paper="Smith 2015",
            defaults=lambda steps: (1e6,),
            valid=lambda given: given[0] > 0,
            factor=lambda t, steps, given: given[0] ** (t / max(1, steps - 1)),
        ),
        ScheduleRow(
            name="cosine",
            usage="cosine",
            formula="eta0 (1 + cos(pi t / T)) / 2",
            paper="Loshchilov & Hutter 2017",
            factor=lambda t, steps, given: _cosine(t, steps),
        ),
        ScheduleRow(
            name="one_cycle",
            usage="one_cycle[:RISE]",
            formula="eta0/25 up to eta0 over the first RISE of the steps, then down to eta0/250000",
            paper="Smith & Topin 2018",
            defaults=lambda steps: (0.3,),
            valid=_shares,
            factor=_one_cycle,
        ),
        ScheduleRow(
            name="warmup",
            usage="warmup[:SHARE]",
            formula="eta0 min(1, (t + 1) / (share T))",
            paper="Goyal et al. 2017",
            defaults=lambda steps: (0.1,),
            valid=_shares,
            factor=lambda t, steps, given: _warm(t, given[0], steps),
        ),
        ScheduleRow(
            name="warmup_cosine",
            usage="warmup_cosine[:SHARE]",
            formula="warmup times cosine",
            paper="Loshchilov & Hutter 2017; Goyal et al. 2017",
            defaults=lambda steps: (0.1,),
            valid=_shares,
            factor=lambda t, steps, given: _warm(t, given[0], steps) * _cosine(t, steps),
        ),
        ScheduleRow(
            name="plateau",
            usage="plateau[:GAMMA[:PATIENCE]]",
            formula="eta0 gamma^(times that the validation loss stopped falling)",
            defaults=lambda steps: (0.5, 2),
            valid=lambda given: 0 < given[0] < 1 and all(p >= 0 for p in given[1:]),
            factor=None,
        ),
    )
)


def parse(text: str, option: str = _OPTION) -> Schedule:
    """Return the schedule that `text` names: `cosine`, `step:100:0.5`.

    Raises:
        UsageError: unknown name, or parameters that are too many or out of range.
    """
    row = SCHEDULES.get(text.partition(":")[0], option)
    most = len(row.defaults(1000))
    given = parameters(
        text,
        option,
        row.usage,
        lambda numbers: len(numbers) <= most and (not numbers or row.valid(numbers)),
    )
    return Schedule(row=row, given=given)


def describe() -> str:
    """Return how every schedule is written, joined by commas."""
    return ", ".join(row.usage for row in SCHEDULES.rows)
