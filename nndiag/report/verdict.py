"""What it means: symptom, factors measured and predicted, the reason, what to try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.glyphs import STYLES, Glyphs
from nndiag.report.numbers import layer_names, prose_number, widest
from nndiag.report.prose import command, ruled, sentence
from nndiag.report.reading import measured, worst
from nndiag.schema.finding import Severity
from nndiag.schema.result import Interval, Result


def verdict(result: Result, *, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the lines of the verdict, none longer than `width`."""
    said: Mapping[str, Any] = result.result.get("verdict", {})
    level = worst(result.findings)
    title = f"{glyphs.severity(level)} {severity_word(level)}"
    yield ruled(title, width, glyphs.rule, STYLES[level])
    headline = said.get("headline", "")
    if not all(f.symptom.value in headline for f in result.findings) or not result.findings:
        yield from sentence(glyphs.text(headline), width, style="bold")
    yield from _findings(result, width, glyphs)
    yield from _factors(result, width, glyphs)
    yield from _why(result, said.get("why", ()), width, glyphs)
    yield from _try(said.get("try", ()), width, glyphs)


def severity_word(level: Severity | None) -> str:
    """Return the severity as a word (None: nothing found)."""
    if level is None:
        return _("nothing found")
    words = {Severity.INFO: _("info"), Severity.WARNING: _("warning")}
    return words.get(level, _("critical"))


def _findings(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    layers = len(result.result.get("layers", ()))
    words = [severity_word(finding.severity) for finding in result.findings]
    symptoms = [finding.symptom.value for finding in result.findings]
    for finding, word, symptom in zip(result.findings, words, symptoms, strict=True):
        sign, style = glyphs.severity(finding.severity), STYLES[finding.severity]
        line = Text(no_wrap=True)
        line.append(f"  {sign} {word.ljust(widest(words))}  ", style=style)
        line.append(symptom.ljust(widest(symptoms)), style="bold")
        where = glyphs.text(layer_names(finding.layers, layers))
        if where and len(line) + 2 + len(where) <= width:
            line.append(f"  {where}", style="dim")
        line.rstrip()
        yield line


def _factors(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    numbers = result.result
    names = ("decay_per_layer", "grad_ratio", "weight_grad_ratio")
    through_time = bool(numbers.get("time_steps"))
    titles = (
        _("factor per time step") if through_time else _("factor per layer"),
        _("output gradient, first/last step")
        if through_time
        else _("output gradient, first/last hidden"),
        _("weight gradient, first/last hidden"),
    )
    rows = [
        (title, measured(numbers, name), measured(numbers, f"predicted_{name}"))
        for title, name in zip(titles, names, strict=True)
        if measured(numbers, name) is not None
    ]
    if not rows:
        return
    seen, theory = [row[1] for row in rows], [row[2] for row in rows]
    full = tuple(_number(number) for number in seen)
    short = tuple(_number(number).partition(" [")[0] for number in seen)
    columns = [
        Column(title="", cells=tuple(f"  {row[0]}" for row in rows), left=True),
        Column(title=_("measured"), cells=full, group=" ", left=True, rank=1),
        Column(title=_("measured"), cells=short, group=" ", left=True, until=1),
    ]
    if any(number is not None for number in theory):
        cells = tuple(_number(number).partition(" [")[0] for number in theory)
        unreliable = numbers.get("theory", {}).get("status") == "unreliable"
        title = _("theory (unreliable)") if unreliable else _("theory")
        columns.append(Column(title=title, cells=cells, group="  ", left=True))
    chosen = fit(columns, width)
    yield Text()
    yield from heading(chosen)
    for row in range(len(rows)):
        yield body(chosen, row)


def _number(number: Interval | None) -> str:
    return "-" if number is None else prose_number(number)


def _why(result: Result, why: Sequence[str], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield a paragraph a reason: `why`, and what findings and theory add to it."""
    said = " ".join(why)
    further = [finding.cause for finding in result.findings]
    theory = result.result.get("theory") or {}
    if theory.get("status") != "reliable":
        further.append(theory.get("reason") or "")
    reasons = [*why, *(text for text in dict.fromkeys(further) if text not in said)]
    references = dict.fromkeys(
        paper for f in result.findings if f.reference for paper in f.reference.split("; ")
    )
    if reasons:
        yield Text()
        yield Text(_("Why"), style="bold")
    for reason in reasons:
        yield from sentence(glyphs.text(reason), width, indent="  ", bullet=f"{glyphs.dot} ")
    if references:
        text = _("See {references}.").format(references="; ".join(references))
        yield from sentence(glyphs.text(text), width, indent="  ", style="dim")


def _try(commands: Sequence[str], width: int, glyphs: Glyphs) -> Iterator[Text]:
    if not commands:
        return
    yield Text()
    yield Text(_("Try"), style="bold")
    for text in commands:
        yield from command(glyphs.text(text), width)
