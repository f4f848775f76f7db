"""`nndiag quiz`: predict first, then the experiment runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.lessons import quiz_sets
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_quiz import Question, QuizSpec

if TYPE_CHECKING:
    from rich.console import Console

_QUIT = ("q", "quit")


def quiz(
    own: Annotated[
        Path | None,
        typer.Option("--set", metavar="FILE", help=_("Questions of your own, a TOML file.")),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ANSWER",
            help=_("Your predictions without being asked: --answer a,c,b, or one each time."),
        ),
    ] = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    chosen = quiz_sets.built_in() if own is None else quiz_sets.read(own)
    spec = replace(chosen, seed=seed, device=device)
    given = None if answer is None else _given(answer, spec)

    from rich.console import Console

    from nndiag.experiments import quiz as experiment
    from nndiag.report import quiz as view

    experiment.check(spec)
    console = Console(stderr=outputs.to_stdout)
    session = _Session(spec, console, given)
    started = time.perf_counter()
    interrupted = session.play()
    result = experiment.result(
        replace(spec, replies=session.replies),
        session.outcomes,
        time.perf_counter() - started,
        interrupted=interrupted,
    )
    code = outputs.deliver(result, view.score(result))
    return INTERRUPTED_EXIT if interrupted else code


def _given(texts: list[str], spec: QuizSpec) -> list[str]:
    """Return the labels that `--answer` gave, one a question.

    Raises:
        UsageError: more answers than questions, or one that is none of the accepted.
    """
    parts = [
        part
        for text in texts
        for part in (
            text.split(",") if all(len(p.strip()) == 1 for p in text.split(",")) else [text]
        )
    ]
    if len(parts) > len(spec.questions):
        raise UsageError(
            _("--answer: got {count} answers; accepted: at most {most}, one a question").format(
                count=len(parts), most=len(spec.questions)
            )
        )
    return [
        question.labels[question.place(part)]
        for part, question in zip(parts, spec.questions, strict=False)
    ]


@dataclass
class _Session:
    """The questions one after another.

    Attributes:
        given: answers from the command line; None asks for them.
    """

    spec: QuizSpec
    console: Console
    given: list[str] | None
    replies: list[str | None] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)

    def play(self) -> bool:
        """Ask until the questions or the answers end; return whether Ctrl-C ended it."""
        try:
            for number, (question, reply) in enumerate(self._asked(), start=1):
                self._settle(number, question, reply)
        except KeyboardInterrupt:
            return True
        return False

    def _asked(self) -> Iterator[tuple[Question, str | None]]:
        from nndiag.report.quiz import Asked, layer_words

        total = len(self.spec.questions)
        for place, question in enumerate(self.spec.questions):
            if self.given is not None and place == len(self.given):
                return
            self.console.print(Asked(question, place + 1, total))
            if self.given is None:
                reply = self._read(question)
                if reply in _QUIT:
                    return
            else:
                reply = self.given[place]
                self._say(dict(zip(question.labels, layer_words(question), strict=True))[reply])
            yield question, reply

    def _read(self, question: Question) -> str | None:
        """Return the label that was chosen, None to skip, `q` where no more is to come."""
        letters = "abcdefghi"[: len(question.labels)]
        prompt = _("Your prediction [{first}-{last}; Enter skips, q ends]: ").format(
            first=letters[0], last=letters[-1]
        )
        while True:
            self.console.print(prompt, end="", markup=False, highlight=False)
            line = sys.stdin.readline()
            if not sys.stdin.isatty():
                self.console.print(line.strip(), markup=False, highlight=False)
            if not line or line.strip().lower() in _QUIT:
                return _QUIT[0]
            if not line.strip():
                return None
            try:
                return question.labels[question.place(line, _("answer"))]
            except UsageError as error:
                self.console.print(str(error), markup=False, highlight=False)

    def _say(self, reply: str) -> None:
        text = _("Your prediction: {answer}").format(answer=reply)
        self.console.print(text, markup=False, highlight=False)

    def _settle(self, number: int, question: Question, reply: str | None) -> None:
        """Run the experiment of an answered question and show what it showed."""
        from nndiag.experiments import quiz as experiment
        from nndiag.report.quiz import Shown

        outcome = None
        if reply is not None:
            with display() as shown:
                outcome = experiment.answer(
                    question, seed=self.spec.seed, device=self.spec.device, watch=shown
                )
            row = experiment.row(question, reply, outcome, number)
            self.console.print(Shown(question, row))
        self.replies.append(reply)
        self.outcomes.append(outcome)
