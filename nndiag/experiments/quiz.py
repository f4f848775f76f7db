"""`nndiag quiz`: a prediction is committed, then the experiment says what is right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nndiag import __version__, datasets
from nndiag.diagnosis import measures
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.progress import Silent, Tally, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_quiz import LOGARITHMIC, TRAINED, Question, QuizSpec
from nndiag.schema.spec_sweep import Configuration, Run
from nndiag.schema.trace import Trace
from nndiag.training import configurations, devices
from nndiag.training.groups import run_group
from nndiag.training.initial import measure

Array = np.ndarray

#: Smallest factor that counts: what underflowed is compared as this.
_LEAST = 1e-30


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the experiment of a question showed.

    Attributes:
        measured: of each option, in order; a tie has none.
        accepted: places of the answers that are right.
        diverged: trainings that diverged, of all options.
    """

    measured: Sequence[Interval | None]
    accepted: Sequence[int]
    diverged: int
    seconds: float


def check(spec: QuizSpec) -> None:
    """Raise UsageError for a question that cannot be measured, with its number."""
    for number, question in enumerate(spec.questions, start=1):
        try:
            configurations.check(_asked(question))
        except UsageError as error:
            where = _("question {number}").format(number=number)
            raise UsageError(f"{spec.source}: {where}: {error}") from None


def answer(
    question: Question, *, seed: int = 0, device: str = "auto", watch: Watch | None = None
) -> Outcome:
    """Run the experiment of a question and say which answers are right."""
    started = time.perf_counter()
    asked = _asked(question)
    watch = watch or Silent()
    if question.measure in TRAINED:
        values, diverged = _after_training(question, asked, seed, device, watch)
    elif question.layers:
        values, diverged = _by_layer(question, asked[0], seed, device, watch), 0
    else:
        values, diverged = _at_start(question, asked, seed, device, watch), 0
    return Outcome(
        measured=[
            *(interval(some, log=question.measure in LOGARITHMIC) for some in values),
            *([None] if question.tie else []),
        ],
        accepted=judged(question, values),
        diverged=diverged,
        seconds=time.perf_counter() - started,
    )


def judged(question: Question, values: Sequence[Array]) -> list[int]:
    """Return the places of the right answers, from the values of each option over its seeds."""
    merits = np.array([_merit(question, some) for some in values])
    near = merits.max() - merits <= question.tolerance
    if question.tie:
        return [len(merits)] if near.sum() > 1 else [int(merits.argmax())]
    return np.flatnonzero(near).tolist()


def _merit(question: Question, values: Array) -> float:
    """Return a number that is the higher the better an option fits."""
    values = np.asarray(values, dtype=float)
    if question.measure in LOGARITHMIC:
        values = np.log10(np.maximum(values, _LEAST))
    mean = float(values.mean())
    if question.pick == "nearest-1":
        return -abs(mean - (0.0 if question.measure in LOGARITHMIC else 1.0))
    return mean if question.pick == "highest" else -mean


def _asked(question: Question) -> list[dict[str, Any]]:
    """Return the complete configuration of each option; of layers, of their one network."""
    settings = [one.settings for one in question.options] or [{}]
    return [configurations.complete({**question.base, **own}) for own in settings]


def _after_training(
    question: Question, asked: Sequence[Configuration], seed: int, device: str, watch: Watch
) -> tuple[list[Array], int]:
    runs = [
        Run(configuration=one, seed=seed + k, split=seed)
        for one in asked
        for k in range(question.seeds)
    ]
    steps = sum(run.configuration["steps"] for run in runs)
    tally, found = Tally(watch, _("training steps"), steps), {}
    for group in configurations.grouped(runs):
        for run, outcome in zip(
            group, run_group(group, device=device, progress=tally.add), strict=True
        ):
            found[id(run)] = outcome
    outcomes = [found[id(run)] for run in runs]
    values = np.array(
        [
            float(one.diverged) if question.measure == "diverged" else one.score(question.measure)
            for one in outcomes
        ]
    )
    return np.split(values, len(asked)), sum(one.diverged for one in outcomes)


def _trace(question: Question, one: Configuration, seed: int, device: str) -> Trace:
    return measure(
        configurations.network(one),
        datasets.load(DataSpec(name=one["data"]), seed=seed),
        seeds=range(seed, seed + question.seeds),
        batch_size=one["batch_size"],
        device=devices.resolve(device),
    )


def _at_start(
    question: Question, asked: Sequence[Configuration], seed: int, device: str, watch: Watch
) -> list[Array]:
    watch.stage(_("networks at initialisation"), len(asked))
    found = []
    for done, one in enumerate(asked, start=1):
        found.append(_of_network(question.measure, _trace(question, one, seed, device)))
        watch.update(done)
    return found


def _of_network(name: str, trace: Trace) -> Array:
    """Return the measure of each network, (M,)."""
    if name in ("grad_ratio", "decay_per_layer"):
        signal = measures.signal(trace)
        floor = measures.floor_of(trace)
        return (
            measures.end_to_end(signal, floor) if name == "grad_ratio" else measures.factor(signal)
        )
    places = measures.path(trace, name)
    return np.asarray(trace.columns[name][-1, places].mean(axis=0))


def _by_layer(
    question: Question, one: Configuration, seed: int, device: str, watch: Watch
) -> list[Array]:
    watch.stage(_("networks at initialisation"), 1)
    trace = _trace(question, one, seed, device)
    places = measures.path(trace, question.measure)
    at = {"first": places[0], "middle": places[len(places) // 2], "last": places[-1]}
    return [np.asarray(trace.columns[question.measure][-1, at[name]]) for name in question.layers]


def result(
    spec: QuizSpec, outcomes: Sequence[Outcome | None], seconds: float, *, interrupted: bool
) -> Result:
    """Return the score of the questions that were asked.

    Args:
        outcomes: of the first questions, None for one that was skipped; `spec.replies` alike.
    """
    rows = [
        row(question, reply, outcome, number)
        for number, (question, reply, outcome) in enumerate(
            zip(spec.questions, spec.replies, outcomes, strict=False), start=1
        )
    ]
    right = sum(one["right"] is True for one in rows)
    return Result(
        command="quiz",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=seconds,
        result={
            "title": spec.title,
            "rows": rows,
            "right": right,
            "answered": sum(one["right"] is not None for one in rows),
            "questions": len(spec.questions),
            "interrupted": interrupted,
            "reading": _reading(rows, right),
        },
        version=__version__,
    )


def row(
    question: Question, reply: str | None, outcome: Outcome | None, number: int
) -> dict[str, Any]:
    """Return a question as a row of the result; `number` is its place from 1."""
    labels = question.labels
    measured = outcome.measured if outcome is not None else [None] * len(labels)
    accepted = [labels[place] for place in outcome.accepted] if outcome is not None else []
    return {
        "label": str(number),
        "ask": question.ask,
        "measure": question.measure,
        "options": [
            {"label": label, question.measure: value}
            for label, value in zip(labels, measured, strict=True)
        ],
        "predicted": reply,
        "accepted": accepted,
        "right": None if outcome is None or reply is None else reply in accepted,
        "lesson": question.lesson,
        "diverged": 0 if outcome is None else outcome.diverged,
        "seconds": 0.0 if outcome is None else outcome.seconds,
    }


def _reading(rows: Sequence[dict[str, Any]], right: int) -> list[str]:
    answered = [one for one in rows if one["right"] is not None]
    if not answered:
        return [_("No question was answered.")]
    said = [
        _("{right} of {count} predictions were right.").format(right=right, count=len(answered))
    ]
    missed = list(dict.fromkeys(one["lesson"] for one in answered if not one["right"]))
    if missed:
        said.append(
            _("To read: {commands}.").format(
                commands=", ".join(f"nndiag explain {name}" for name in missed)
            )
        )
    return said
