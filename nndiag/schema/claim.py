"""Published claims as checks: what a claim says, what was measured, what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nndiag.locales import _
from nndiag.schema.progress import Watch

#: What one seed gave, by the names of the claim's figures.
Figures = Mapping[str, float]


class Verdict(StrEnum):
    """What the seeds say of a claim."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that a claim rests on.

    Attributes:
        text: what it is; `_` translates it when it is shown.
        paper: its value in the paper or by the paper's formula, None where only a bound is known
            or where the paper's scale is another.
    """

    name: str
    text: str
    paper: float | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper and the experiment that checks it at laptop scale.

    Attributes:
        paper: authors, year, title and place.
        says: the claim, in one sentence.
        published: what the paper measured, with its scale.
        criterion: what `holds` asks of one seed, in words.
        figures: the numbers, the most telling first.
        measure: from seeds to what each gave, in the same order.
        holds: whether one seed's figures meet the criterion; NaN never does.
    """

    name: str
    paper: str
    says: str
    published: str
    criterion: str
    figures: tuple[Figure, ...]
    measure: Callable[[Sequence[int], Watch], list[Figures]]
    holds: Callable[[Figures], bool]


def verdict(held: Sequence[bool]) -> Verdict:
    """Return PASS where every seed holds, FAIL where none does, INCONCLUSIVE where they disagree.

    Raises:
        ValueError: no seed.
    """
    if not held:
        raise ValueError("a verdict needs at least one seed")
    if all(held):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if any(held) else Verdict.FAIL


def each_seed(
    measure: Callable[[int], Figures],
) -> Callable[[Sequence[int], Watch], list[Figures]]:
    """Return the measurement of many seeds, one after the other, from that of one."""

    def measured(seeds: Sequence[int], watch: Watch) -> list[Figures]:
        watch.stage(_("seeds"), len(seeds))
        found = []
        for seed in seeds:
            found.append(measure(seed))
            watch.update(len(found))
        return found

    return measured
