"""Successive halving: short trainings for all, long ones for those that did best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec
from nndiag.store.summaries import Reached, ranked
from nndiag.training import configurations

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


def climb(
    spec: SweepSpec, outcomes_of: Callable[[Sequence[Run], str], list[Outcome]]
) -> Iterator[Reached]:
    """Yield each rung of a sweep, without halving the only one, up to the first that lacks runs.

    Args:
        outcomes_of: from runs and a rung's name, such as 2/4, to what is known of them.
    """
    asked = configurations.asked(spec)
    plan = [Rung(len(asked), 0)]
    if spec.halving:
        plan = rungs(len(asked), asked[0]["steps"])
    for place, rung in enumerate(plan, start=1):
        if rung.steps:
            asked = [{**one, "steps": rung.steps} for one in asked]
        runs = configurations.runs(spec, asked)
        outcomes = outcomes_of(runs, f"{place}/{len(plan)}")
        reached = Reached.of(outcomes, rung.steps)
        yield reached
        asked = [dict(one.configuration) for one in ranked(reached.tried, spec.metric)]
        asked = asked[: -(-rung.configurations // 2)]
        if len(outcomes) < len(runs) or not asked:
            return
