"""Does a change help? One measure for all runs, a paired test over seeds, and a least effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nndiag.locales import _
from nndiag.schema.result import Interval, interval
from nndiag.schema.significance import holm, paired_p_value
from nndiag.schema.trial import Measure, Verdict

Figures = Mapping[str, Any]

SIGNIFICANCE = 0.05
#: Least gain of accuracy: ten points. AutoTrainer (Zhang et al. 2021) counts as repaired 41 of 414
#: models that gain less than one; its median gain is 35.
POINTS = 0.10
#: Where the control leaves less room than that: half of its errors, and two points.
HALF_OF_ERRORS, LEAST_POINTS = 0.5, 0.02
#: Least factor between losses: half of the distance to 0. ARC Lens's healthy runs end at 0.27 of
#: the first loss, its dead ones at 0.89.
TIMES = 2.0
#: Losses are held between these multiples of what the untrained network (or the mean of the
#: targets) gives: below, both have learnt; above, and for NaN, both have failed.
LEAST_SHARE, MOST_SHARE = 0.01, 10.0


@dataclass(frozen=True)
class Scale:
    """How runs are compared.

    Attributes:
        unit: of the effect: `points`, `times` or `difference`.
    """

    measure: Measure
    unit: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """One change against the control, seed by seed.

    Attributes:
        effects: one a seed, in accuracy, log-loss or loss; higher is better.
        margin: the least mean effect that matters.
    """

    effects: tuple[float, ...]
    margin: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.effects)) if self.effects else 0.0

    @property
    def large(self) -> bool:
        return bool(self.effects) and self.mean >= self.margin

    @property
    def p_value(self) -> float:
        return paired_p_value(self.effects)

    def interval(self, scale: Scale) -> Interval | None:
        """Return mean and 95 % interval in the unit of the scale."""
        if not self.effects:
            return None
        if scale.unit == "times":
            return interval([math.exp(effect) for effect in self.effects], log=True)
        return interval(self.effects)


def choose_scale(control: Sequence[Figures], others: Sequence[Figures]) -> Scale | None:
    """Return the one scale for all runs: what is nearest to what the user wants and is known.

    Args:
        control: figures of the control's runs that did not crash.
        others: those of the changes.
    """
    judged = list(control) or list(others)
    if not judged:
        return None
    reasons = {
        Measure.VALIDATION_ACCURACY: _(
            "the script measures it on samples that it does not train on"
        ),
        Measure.ACCURACY: _("it means the same whatever a change does to the loss"),
        Measure.VALIDATION_LOSS: _("the script measures it on samples that it does not train on"),
        Measure.LOSS: _("the script shows no other figure"),
    }
    for measure, reason in reasons.items():
        if all(_known(run, measure) for run in judged):
            return Scale(measure, _unit(measure, [*control, *others]), reason)
    return None


def _known(run: Figures, measure: Measure) -> bool:
    value = run[measure.value]
    return math.isfinite(value) or (measure is Measure.LOSS and math.isfinite(run["loss_start"]))


def _unit(measure: Measure, runs: Sequence[Figures]) -> str:
    if measure.higher_is_better:
        return "points"
    values = [run[key] for run in runs for key in (measure.value, "loss_start")]
    return "times" if all(v > 0 for v in values if math.isfinite(v)) else "difference"


def compare(
    control: Mapping[int, Figures | None], changed: Mapping[int, Figures], scale: Scale
) -> Comparison:
    """Return the effects of one change over the seeds that both have.

    A control that crashed counts as the untrained network.

    Args:
        control: by seed; None for a crash.
        changed: by seed, without crashes.
    """
    effects, levels = [], []
    for seed in sorted(control.keys() & changed.keys()):
        own, other = control[seed], changed[seed]
        before = _untrained(other, scale) if own is None else _value(own, own, scale)
        after = _value(other, own if own is not None else other, scale)
        if math.isfinite(before) and math.isfinite(after):
            effects.append(after - before)
            levels.append(before)
    return Comparison(tuple(effects), _margin(scale, levels, list(changed.values())))


def _value(run: Figures, beside: Figures, scale: Scale) -> float:
    """Return a run's figure such that higher is better and differences are effects.

    Args:
        beside: the control of the same seed, whose start sets the scale of losses.
    """
    value = run[scale.measure.value]
    if scale.unit == "points":
        return float(value)
    start = float(beside["loss_reference"])
    if scale.unit == "times":
        value = value if math.isfinite(value) else math.inf
        return -math.log(min(max(value, LEAST_SHARE * start), MOST_SHARE * start))
    value = value if math.isfinite(value) else math.inf
    return -min(float(value), start + MOST_SHARE * abs(start))


def _untrained(run: Figures, scale: Scale) -> float:
    if scale.unit == "points":
        return float(run["accuracy_start"])
    start = float(run["loss_start"])
    return -math.log(start) if scale.unit == "times" else -start


def _margin(scale: Scale, levels: Sequence[float], changed: Sequence[Figures]) -> float:
    if scale.unit == "points":
        level = float(np.mean(levels)) if levels else 0.0
        return min(POINTS, max(LEAST_POINTS, HALF_OF_ERRORS * (1 - level)))
    if scale.unit == "times":
        return math.log(TIMES)
    starts = [abs(run["loss_start"]) for run in changed]
    return 0.5 * float(np.mean(starts)) if starts else math.inf


def verdicts(comparisons: Sequence[Comparison]) -> list[tuple[Verdict, float]]:
    """Return the verdict of each change and its p-value, adjusted for all of them (Holm 1979).

    Verified: a mean effect of the margin or more, p < 0.05. Worse: as large a loss, on every seed.
    """
    adjusted = holm([one.p_value for one in comparisons])
    found = []
    for one, p_value in zip(comparisons, adjusted, strict=True):
        verdict = Verdict.NO_EFFECT
        if one.large and p_value < SIGNIFICANCE:
            verdict = Verdict.VERIFIED
        elif one.effects and one.mean <= -one.margin and max(one.effects) < 0:
            verdict = Verdict.WORSE
        found.append((verdict, p_value))
    return found
