"""How the report reads a result: intervals by name, findings by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nndiag.report.numbers import decimals
from nndiag.schema.finding import Finding, Severity
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]


def measured(row: Row, name: str) -> Interval | None:
    """Return a statistic as an interval, None where it does not exist."""
    value = row.get(name)
    if value is None or isinstance(value, Interval):
        return value
    return Interval(float(value), float(value), float(value))


def mean(row: Row, name: str) -> float | None:
    """Return the mean of a statistic, None where it does not exist."""
    number = measured(row, name)
    return None if number is None else number.mean


def means(values: Iterable[Any]) -> list[float]:
    """Return the means of a list of intervals or plain numbers."""
    return [value.mean if isinstance(value, Interval) else float(value) for value in values]


def finite_means(rows: Sequence[Row], *names: str) -> list[float]:
    """Return every known mean of the statistics `names` over `rows`."""
    found = (mean(row, name) for row in rows for name in names)
    return [value for value in found if value is not None]


def off_or_saturated(row: Row) -> tuple[str, Interval | None]:
    """Return ("off", ...) for gates such as ReLU, ("sat", ...) for the rest."""
    if row.get("gate"):
        return "off", measured(row, "off_fraction") or measured(row, "saturated_fraction")
    return "sat", measured(row, "saturated_fraction")


def said(result: Result) -> list[str]:
    """Return what a command says of its numbers, in sentences; causes stand with the findings."""
    why = result.result.get("verdict", {}).get("why", ())
    reading = result.result.get("reading", ())
    causes = {finding.cause for finding in result.findings}
    sentences = [text for text in (*why, *reading) if isinstance(text, str) and text not in causes]
    return [decimals(text) for text in sentences]


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Return the highest severity, None without findings."""
    return max((finding.severity for finding in findings), key=lambda s: s.rank, default=None)


def concerning(findings: Iterable[Finding], layer: str) -> list[Finding]:
    """Return the findings that name the layer."""
    return [finding for finding in findings if layer in finding.layers]
