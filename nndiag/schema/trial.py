"""What short re-runs of a script showed about changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nndiag.schema.result import Interval


class Verdict(StrEnum):
    """What the runs say of a change; `control` is the script as it is."""

    CONTROL = "control"
    VERIFIED = "verified"
    NO_EFFECT = "no effect"
    WORSE = "worse"
    CRASHED = "crashed"


class Measure(StrEnum):
    """The one number by which all runs are compared."""

    VALIDATION_ACCURACY = "validation_accuracy"
    ACCURACY = "accuracy"
    VALIDATION_LOSS = "validation_loss"
    LOSS = "loss"

    @property
    def higher_is_better(self) -> bool:
        return self in (Measure.VALIDATION_ACCURACY, Measure.ACCURACY)


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One change over all its seeds.

    Attributes:
        label: name of the change, as `nndiag.attach.interventions.parse` reads it; `control`.
        reason: why it was tried.
        symptoms: of the findings that call for it.
        runs: how many ended with figures.
        effect: gain over the control of the same seed, NaN-free: accuracy gained (0.1 is ten
            points), or by how many times the loss is smaller (geometric mean), or for losses that
            are not always positive by how much.
        effect_unit: `points`, `times` or `difference`.
        p_value: of the paired test over seeds, adjusted for all changes tried (Holm).
        loss: training loss at the last step (mean of the last fifth), by the script's function:
            not comparable where `other_loss`.
        other_loss: the change is one of the loss itself.
        accuracy, validation_loss, validation_accuracy, grad_ratio: at the end; None where unknown.
        diverged: runs whose loss ended in NaN or infinity.
        crashed: runs that failed, with the last line of `error`.
    """

    label: str
    verdict: Verdict
    reason: str = ""
    symptoms: tuple[str, ...] = ()
    runs: int = 0
    effect: Interval | None = None
    effect_unit: str = "points"
    p_value: float | None = None
    loss: Interval | None = None
    other_loss: bool = False
    accuracy: Interval | None = None
    validation_loss: Interval | None = None
    validation_accuracy: Interval | None = None
    grad_ratio: Interval | None = None
    diverged: int = 0
    crashed: int = 0
    error: str = ""
    note: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields; intervals stay (`nndiag.schema.result.plain` turns them)."""
        fields: Mapping[str, Any] = {**vars(self), "verdict": self.verdict.value}
        return {**fields, "symptoms": list(self.symptoms)}


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All changes that were tried.

    Attributes:
        measure: what the runs are compared by; None where no run gave a figure.
        measure_reason: why that one, in a sentence.
        steps: optimizer steps of a run.
        repeats: seeds of each change at least; those with a large effect got more.
        rows: the control, then best first.
        best: label of the best verified change, None for none.
        interrupted: ended by Ctrl-C: rows are of the runs that were done.
    """

    steps: int
    repeats: int
    rows: tuple[TrialRow, ...]
    measure: Measure | None = None
    measure_reason: str = ""
    best: str | None = None
    interrupted: bool = False
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if name != "rows"}
        measure = None if self.measure is None else self.measure.value
        return {**fields, "measure": measure, "rows": [row.to_dict() for row in self.rows]}
