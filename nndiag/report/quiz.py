"""What `nndiag quiz` says: a question, what the experiment showed, the score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.lessons import lesson
from nndiag.locales import _
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.numbers import count
from nndiag.report.panels import Line, Panel
from nndiag.report.principle_parts import Lines, Row, View, column, table, within
from nndiag.report.prose import command, ruled, sentence
from nndiag.schema.result import Interval, Result
from nndiag.schema.spec_quiz import LOGARITHMIC, Question

_LETTERS = "abcdefghi"
#: Shares are shown in percent.
_SHARES = ("accuracy", "fraction", "diverged")


@dataclass(frozen=True)
class Asked:
    """A question with its answers."""

    question: Question
    number: int
    total: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, glyphs = options.max_width, glyphs_for(options.ascii_only)
        title = _("Question {number} of {total}").format(number=self.number, total=self.total)
        yield ruled(glyphs.text(title), width, glyphs.rule, "bold")
        yield from sentence(glyphs.text(self.question.ask), width)
        for letter, label in zip(_LETTERS, layer_words(self.question), strict=False):
            yield Text(f"  {letter}  {glyphs.text(label)}")


@dataclass(frozen=True)
class Shown:
    """What the experiment showed, beside what was predicted, with the lesson.

    Attributes:
        row: of the result.
    """

    question: Question
    row: Row

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, glyphs = options.max_width, glyphs_for(options.ascii_only)
        yield from _measured(self.question, self.row, width, glyphs)
        verdict, style = _verdict(self.question, self.row)
        mark = glyphs.ok if self.row["right"] else glyphs.warning
        yield from sentence(glyphs.text(f"{mark} {verdict}"), width, style=style)
        found = lesson(self.row["lesson"])
        yield from sentence(glyphs.text(found.what), width, indent="  ")
        yield from command(f"nndiag explain {found.name}", width)
        yield Text()


def layer_words(question: Question) -> list[str]:
    """Return the answers as they are shown: layers in the language in use."""
    words = {
        "first": _("the first"),
        "middle": _("the one in the middle"),
        "last": _("the last"),
    }
    return [words[label] if question.layers else label for label in question.labels]


def measure_words(name: str) -> str:
    """Return a measure in the language in use."""
    return {
        "val_accuracy": _("validation accuracy (%)"),
        "test_accuracy": _("test accuracy (%)"),
        "val_loss": _("validation loss"),
        "test_loss": _("test loss"),
        "train_loss": _("training loss"),
        "diverged": _("diverged (%)"),
        "grad_ratio": _("gradient, first over last layer"),
        "decay_per_layer": _("factor a layer"),
        "saturated_fraction": _("saturated (%)"),
        "dead_fraction": _("dead (%)"),
        "output_grad_norm": _("gradient norm"),
        "weight_grad_norm": _("gradient norm of the weights"),
        "activation_std": _("deviation of the activations"),
    }[name]


def _measured(question: Question, row: Row, width: int, glyphs: Glyphs) -> Lines:
    words = dict(zip(question.labels, layer_words(question), strict=True))
    name, options = row["measure"], row["options"]
    columns = [
        column("", options, lambda one: _marks(row, one["label"], glyphs), left=True),
        column(_("answer"), options, lambda one: words[one["label"]], left=True, shrinks_to=24),
        column(f"{measure_words(name)} [95 %]", options, lambda one: _value(name, one[name])),
    ]
    yield from table(
        _("Measured, {seeds} seeds").format(seeds=question.seeds), columns, width, glyphs
    )


def _marks(row: Row, label: str, glyphs: Glyphs) -> str:
    right = glyphs.ok if label in row["accepted"] else " "
    yours = ">" if label == row["predicted"] else " "
    return f"{yours}{right}"


def _value(name: str, number: Interval | None) -> str:
    if number is None:
        return ""
    if any(word in name for word in _SHARES):
        number = Interval(100 * number.mean, 100 * number.low, 100 * number.high)
        return f"{number.mean:.1f} [{number.low:.1f}, {number.high:.1f}]"
    return within(number)


def _verdict(question: Question, row: Row) -> tuple[str, str]:
    words = dict(zip(question.labels, layer_words(question), strict=True))
    if row["right"]:
        return _("Right."), "green"
    shown = _(" or ").join(words[label] for label in row["accepted"])
    return _("Not so: {answer}.").format(answer=shown), "yellow"


def score(result: Result) -> RenderableType:
    """Return the score at the end."""
    return View(result, _score)


def _score(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    rows: Sequence[Row] = result.result["rows"]
    if not rows:
        return
    words = {True: _("right"), False: _("wrong"), None: _("skipped")}
    columns = [
        column("", rows, lambda row: row["label"]),
        column(_("predicted"), rows, lambda row: row["predicted"] or "-", left=True, shrinks_to=24),
        column(_("measured"), rows, lambda row: _(" or ").join(row["accepted"]) or "-",
               left=True, shrinks_to=24),
        column("", rows, lambda row: words[row["right"]], left=True),
        column(_("lesson"), rows, lambda row: row["lesson"], left=True, rank=1),
    ]  # fmt: skip
    title = _("{title}: {right} of {answered} right").format(
        title=result.result["title"],
        right=count(result.result["right"]),
        answered=count(result.result["answered"]),
    )
    yield table(title, columns, width, glyphs)


def panels(result: Result) -> Iterator[Panel]:
    """Yield what was measured for each question."""
    for row in result.result["rows"]:
        name = row["measure"]
        known = [
            (place, one) for place, one in enumerate(row["options"], 1) if one[name] is not None
        ]
        if not known:
            continue
        yield Panel(
            title=_("Question {number}").format(number=row["label"]),
            lines=[
                Line(
                    x=[one[name].mean for _place, one in known],
                    y=[place for place, _one in known],
                    low=[one[name].low for _place, one in known],
                    high=[one[name].high for _place, one in known],
                    dots=True,
                )
            ],
            down=[one["label"] for one in row["options"]],
            x_name=name,
            log_x=name in LOGARITHMIC,
        )


DRAWINGS = {"quiz": panels}
