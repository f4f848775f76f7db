"""Findings as a page shows them: what was seen, the cause, the cures, the lesson behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nndiag.lessons import Lesson, lesson
from nndiag.report.keys import key_words
from nndiag.report.numbers import decimals, layer_names
from nndiag.report.page.tables import cell
from nndiag.report.verdict import severity_word
from nndiag.schema.finding import Finding
from nndiag.schema.result import Result


@dataclass(frozen=True, kw_only=True)
class Symptomatic:
    """A finding in plain texts, with the lesson behind its symptom."""

    symptom: str
    level: str
    word: str
    layers: str
    cause: str
    evidence: Sequence[tuple[str, str]]
    fixes: Sequence[str]
    reference: str
    lesson: Lesson


def findings(result: Result) -> Iterator[Symptomatic]:
    """Yield the findings of a result, in its order: worst first."""
    for finding in result.findings:
        yield _symptomatic(finding, _layer_count(result))


def _layer_count(result: Result) -> int:
    """Return how many layers the findings may be about."""
    if result.command == "diagnose":
        return sum(len(model["layers"]) for model in result.result["models"])
    return len(result.result.get("layers", ()))


def _symptomatic(finding: Finding, layers: int) -> Symptomatic:
    return Symptomatic(
        symptom=finding.symptom.value,
        level=finding.severity.value,
        word=severity_word(finding.severity),
        layers=layer_names(finding.layers, layers),
        cause=decimals(finding.cause),
        evidence=[(key_words(name), cell(value).text) for name, value in finding.evidence.items()],
        fixes=[decimals(fix) for fix in finding.fixes],
        reference=finding.reference,
        lesson=lesson(finding.symptom.value),
    )
