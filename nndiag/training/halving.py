"""Successive halving: short trainings for all, long ones for those that did best."""

from __future__ import annotations

from dataclasses import dataclass

#: The longest training over the shortest: below that a training says little about its end.
_SPAN = 16


@dataclass(frozen=True)
class Rung:
    """How many configurations train, and for how many steps."""

    configurations: int
    steps: int


def rungs(configurations: int, steps: int) -> list[Rung]:
    """Return the rungs of successive halving (Jamieson & Talwalkar 2016, section 2).

    Each keeps the better half of the one before (rounded up) and trains it for twice the steps,
    so that every rung costs about the same; there are ceil(log2 n) of them, fewer where the first
    would train for less than 1/16 of `steps`. The last trains for `steps`.

    Where the paper goes on with a training, a rung begins anew: schedules keep their meaning and
    each training can be repeated alone, at no more than twice the cost.
    """
    count = max(1, (configurations - 1).bit_length())
    while count > 1 and (2 ** (count - 1) > _SPAN or 2 ** (count - 1) > steps):
        count -= 1
    found = []
    for place in range(count):
        found.append(Rung(configurations, -(-steps // 2 ** (count - 1 - place))))
        configurations = -(-configurations // 2)
    return found
