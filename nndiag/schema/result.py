"""The envelope of one run, and its strict JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nndiag.schema import notebooks
from nndiag.schema.finding import Finding, Severity, Symptom

SCHEMA = 1

# Two-sided 97.5 % quantiles of Student's t for 1..30 degrees of freedom (any table of t); the
# normal quantile beyond.
_T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
         2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
         2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval over seeds.

    `upper_bound` says that some value underflowed: the true mean is at most `mean`.
    """

    mean: float
    low: float
    high: float
    upper_bound: bool = False

    @property
    def sure(self) -> bool:
        """Whether the interval of several seeds leaves out 0 (a single seed shows no spread)."""
        return self.low < self.high and self.low * self.high > 0

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"mean": self.mean, "low": self.low, "high": self.high}
        return values | {"upper_bound": True} if self.upper_bound else values


def interval(values: Iterable[float], *, log: bool = False, upper_bound: bool = False) -> Interval:
    """Return the mean of `values` with Student's 95 % interval over them.

    Args:
        values: one number a seed.
        log: average the logarithms (for positive quantities that span decades): the mean is then
            the geometric one, and the interval is symmetric on a log axis.
        upper_bound: mark the result as a bound.

    Returns:
        The interval; with a single value, or with a non-finite one among them, `low` and `high`
        equal the mean.
    """
    array = np.asarray(list(values), dtype=float)
    log = log and bool(np.all(array > 0)) and bool(np.all(np.isfinite(array)))
    if log:
        array = np.log(array)
    mean = float(array.mean())
    count = array.size
    half = 0.0
    if count > 1 and math.isfinite(mean):
        quantile = _T975[count - 2] if count - 1 <= len(_T975) else 1.96
        half = quantile * float(array.std(ddof=1)) / math.sqrt(count)
    low, high = mean - half, mean + half
    if log:
        mean, low, high = math.exp(mean), math.exp(low), math.exp(high)
    return Interval(mean, low, high, upper_bound)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that a command computed, ready to be shown or saved.

    Attributes:
        command: `gradients`, `compare-fixes`, ...
        spec: what was run; with the version it reproduces the run.
        result: the numbers, plain containers with `Interval` leaves.
        findings: worst first.
    """

    command: str
    spec: Mapping[str, Any]
    environment: Mapping[str, Any]
    seconds: float
    result: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "nndiag": self.version,
            "schema": SCHEMA,
            "command": self.command,
            "spec": plain(self.spec),
            "environment": plain(self.environment),
            "seconds": self.seconds,
            "result": plain(self.result),
            "findings": [plain(finding.to_dict()) for finding in self.findings],
        }

    def _repr_html_(self) -> str:
        return notebooks.html("result", self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Read a saved result back (intervals become `Interval` again, "NaN" a float)."""
        data = revive(json.loads(text))
        findings = tuple(
            Finding(
                symptom=Symptom(item["symptom"]),
                severity=Severity(item["severity"]),
                layers=tuple(item["layers"]),
                evidence=item["evidence"],
                cause=item["cause"],
                fixes=tuple(item["fixes"]),
                reference=item["reference"],
            )
            for item in data["findings"]
        )
        return cls(
            command=data["command"],
            spec=data["spec"],
            environment=data["environment"],
            seconds=data["seconds"],
            result=data["result"],
            findings=findings,
            version=data["nndiag"],
        )


_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value: Any) -> Any:
    """Turn intervals, numpy values and tuples into what strict JSON holds."""
    if isinstance(value, Interval):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def revive(value: Any) -> Any:
    """Undo `plain` as far as JSON tells: intervals and non-finite numbers."""
    if isinstance(value, dict):
        if {"mean", "low", "high"} <= value.keys() <= {"mean", "low", "high", "upper_bound"}:
            return Interval(**{key: revive(item) for key, item in value.items()})
        return {key: revive(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revive(item) for item in value]
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    return value
