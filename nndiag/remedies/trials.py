"""Changes of a script proved by short runs: a control and each change, over the same seeds.

Every change is run on `repeats` seeds. Those whose mean effect is large go on to six seeds at
least, the control with them; the others are dropped for futility, which can only lower the chance
of a false claim (Lan, Simon & Halperin 1982). The test at the end takes all seeds and all changes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nndiag.locales import _
from nndiag.remedies.judging import (
    Comparison,
    Figures,
    Scale,
    choose_scale,
    compare,
    verdicts,
)
from nndiag.remedies.replays import Replays, Run, Script
from nndiag.remedies.run_candidates import Candidate
from nndiag.schema.result import Interval, interval
from nndiag.schema.trial import Measure, TrialRow, Trials, Verdict

CONTROL = "control"
#: Seeds of a change that promises to help. With three, a paired test that is adjusted for eight
#: changes asks for t > 12; with six for t > 4.5.
CONFIRMING = 6

Progress = Callable[[int, int, str], None]


def try_candidates(
    candidates: Sequence[Candidate],
    script: Script,
    *,
    repeats: int = 3,
    workers: int | None = None,
    told: Progress | None = None,
) -> Trials:
    """Run the script with each change and without, and say which of them help.

    Args:
        repeats: seeds of each, at least 3.
        workers: processes at a time; None for one a core, or one where there is a GPU.
        told: called after each run with how many are done, how many are planned, and the change.
    """
    started = time.perf_counter()
    repeats = max(repeats, 3)
    trial = _Trial(candidates, script, workers or _workers(), told)
    interrupted = False
    try:
        trial.plan(["", *(one.names for one in candidates)], range(repeats))
        promising = trial.promising()
        if promising and repeats < CONFIRMING:
            trial.plan(["", *promising], range(repeats, CONFIRMING))
    except KeyboardInterrupt:
        interrupted = True
    rows, scale = trial.rows()
    best = next((row.label for row in rows if row.verdict is Verdict.VERIFIED), None)
    return Trials(
        steps=script.steps,
        repeats=repeats,
        rows=tuple(rows),
        measure=None if scale is None else scale.measure,
        measure_reason="" if scale is None else scale.reason,
        best=best,
        interrupted=interrupted,
        seconds=time.perf_counter() - started,
    )


def _workers() -> int:
    import torch

    if torch.cuda.is_available():
        return 1
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available is not None else os.cpu_count() or 1


@dataclass
class _Judged:
    candidate: Candidate
    comparison: Comparison
    comparable: bool


class _Trial:
    """The runs of one trial and what they say."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        script: Script,
        workers: int,
        told: Progress | None,
    ) -> None:
        self._candidates = candidates
        self._planned = 0
        self._told = told
        self._replays = Replays(script, workers=workers, told=self._tell)

    def _tell(self, run: Run) -> None:
        if self._told is not None:
            self._told(len(self._replays.done), self._planned, run.names or CONTROL)

    def plan(self, names: Sequence[str], seeds: range) -> None:
        """Run the changes over the seeds, each change in full before the next begins."""
        runs = [Run(name, seed) for name in names for seed in seeds]
        self._planned += len(runs)
        self._replays.run(runs)

    # -- what was found -----------------------------------------------------------------------

    def _of(self, names: str) -> dict[int, Figures]:
        """Return the figures of a change by seed, crashes included."""
        found = {run.seed: f for run, f in self._replays.done.items() if run.names == names}
        return dict(sorted(found.items()))

    def _good(self, names: str) -> dict[int, Figures]:
        return {seed: figures for seed, figures in self._of(names).items() if _ran(figures)}

    def _scale(self) -> Scale | None:
        others = [f for one in self._candidates for f in self._good(one.names).values()]
        return choose_scale(list(self._good("").values()), others)

    def _judged(self, scale: Scale) -> list[_Judged]:
        control = {seed: f if _ran(f) else None for seed, f in self._of("").items()}
        found = []
        for candidate in self._candidates:
            changed = self._good(candidate.names)
            comparable = scale.measure.higher_is_better or "match_loss" not in candidate.names
            usable = comparable and not self._idle(candidate.names)
            effects = compare(control, changed if usable else {}, scale)
            found.append(_Judged(candidate, effects, comparable))
        return found

    def _idle(self, names: str) -> bool:
        """Whether a change found nothing to change in any run."""
        good = self._good(names).values()
        return bool(good) and not any(count for f in good for count in f["changes"])

    def promising(self) -> list[str]:
        """Return the changes with a large mean effect and no crash."""
        scale = self._scale()
        if scale is None:
            return []
        return [
            one.candidate.names
            for one in self._judged(scale)
            if one.comparison.large
            and len(self._good(one.candidate.names)) == len(self._of(one.candidate.names))
        ]

    def rows(self) -> tuple[list[TrialRow], Scale | None]:
        """Return the control's row, then those of the changes, best first."""
        scale = self._scale()
        rows = []
        if self._of(""):
            rows.append(self._row(CONTROL, "", Verdict.CONTROL))
        if scale is None:
            judged = [_Judged(one, Comparison((), math.inf), True) for one in self._candidates]
        else:
            judged = self._judged(scale)
        found = verdicts([one.comparison for one in judged])
        changed = [
            self._judged_row(one, verdict, p_value, scale)
            for one, (verdict, p_value) in zip(judged, found, strict=True)
            if self._of(one.candidate.names)
        ]
        return [*rows, *ranked(changed)], scale

    def _judged_row(
        self, one: _Judged, verdict: Verdict, p_value: float, scale: Scale | None
    ) -> TrialRow:
        candidate, names = one.candidate, one.candidate.names
        row = self._row(names, names, verdict)
        note = ""
        if row.crashed:
            verdict = Verdict.CRASHED
        elif self._idle(names):
            note = _("found nothing to change")
        elif not one.comparable:
            note = _("changes the loss itself: no figure is the same with and without it")
        elif verdict is Verdict.NO_EFFECT and one.comparison.large:
            note = _("too uncertain: other seeds, other results")
        tested = bool(one.comparison.effects) and scale is not None
        return TrialRow(
            **{
                **vars(row),
                "verdict": verdict,
                "note": note,
                "reason": candidate.reason,
                "symptoms": tuple(symptom.value for symptom in candidate.symptoms),
                "effect": one.comparison.interval(scale) if tested and scale else None,
                "effect_unit": scale.unit if scale is not None else "points",
                "p_value": p_value if tested else None,
                "other_loss": "match_loss" in names or "remove_softmax" in names,
            }
        )

    def _row(self, label: str, names: str, verdict: Verdict) -> TrialRow:
        good, every = list(self._good(names).values()), list(self._of(names).values())
        errors = [figures["crash"] for figures in every if not _ran(figures)]
        return TrialRow(
            label=label,
            verdict=verdict,
            runs=len(good),
            loss=_spread(good, Measure.LOSS.value),
            accuracy=_spread(good, Measure.ACCURACY.value),
            validation_loss=_spread(good, Measure.VALIDATION_LOSS.value),
            validation_accuracy=_spread(good, Measure.VALIDATION_ACCURACY.value),
            grad_ratio=_spread(good, "grad_ratio"),
            diverged=sum(
                not math.isfinite(f["loss"]) and math.isfinite(f["loss_start"]) for f in good
            ),
            crashed=len(errors),
            error=errors[0] if errors else "",
            seconds=sum(figures["seconds"] for figures in every),
        )


def _ran(figures: Figures) -> bool:
    return not figures["crash"]


def _spread(runs: Sequence[Figures], name: str) -> Interval | None:
    """Return mean and interval over the runs that have the figure."""
    values = [run[name] for run in runs if math.isfinite(run[name])]
    if not values:
        return None
    return interval(values, log=name != "accuracy" and "accuracy" not in name)


_RANKS = (Verdict.VERIFIED, Verdict.NO_EFFECT, Verdict.WORSE, Verdict.CRASHED)


def ranked(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the rows best first.

    Of verified ones as good as the best the simplest leads; of those the one that was put first, as
    it answers the worst finding.
    """

    def gain(row: TrialRow) -> float:
        return -math.inf if row.effect is None else row.effect.mean

    ordered = sorted(rows, key=lambda row: (_RANKS.index(row.verdict), -gain(row)))
    verified = [row for row in ordered if row.verdict is Verdict.VERIFIED]
    if not verified or verified[0].effect is None:
        return ordered
    least = verified[0].effect.low
    equals = [row for row in rows if row in verified and gain(row) >= least]
    first = min(equals, key=lambda row: row.label.count(","))
    return [first, *(row for row in ordered if row is not first)]
