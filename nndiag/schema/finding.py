"""What a diagnosis says: a symptom with its evidence, its cause and its cures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Symptom(StrEnum):
    """Stable identifiers, used in JSON, in the docs and in tests."""

    VANISHING_GRADIENTS = "vanishing-gradients"
    EXPLODING_GRADIENTS = "exploding-gradients"
    SATURATED_ACTIVATIONS = "saturated-activations"
    DEAD_UNITS = "dead-units"
    SYMMETRIC_UNITS = "symmetric-units"
    NON_FINITE = "non-finite"
    LEARNING_RATE_TOO_HIGH = "learning-rate-too-high"
    LEARNING_RATE_TOO_LOW = "learning-rate-too-low"
    STALLED_LOSS = "stalled-loss"
    OVERFITTING = "overfitting"
    UNDERFITTING = "underfitting"
    MISSING_ZERO_GRAD = "missing-zero-grad"
    UNTRAINED_PARAMETERS = "untrained-parameters"
    LOSS_OUTPUT_MISMATCH = "loss-output-mismatch"
    UNNORMALISED_INPUT = "unnormalised-input"
    WRONG_MODE = "wrong-mode"
    ALWAYS_CLIPPED = "always-clipped"
    IMBALANCED_LABELS = "imbalanced-labels"
    UNSHUFFLED_DATA = "unshuffled-data"
    LABEL_NOISE = "label-noise"
    WRONG_DIRECTION = "wrong-direction"
    BAD_SCHEDULE = "bad-schedule"


class Severity(StrEnum):
    """How much a finding matters; `rank` orders them, worst highest."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One symptom that was seen.

    Attributes:
        layers: names of the layers concerned, input side first (empty: the whole run).
        evidence: the numbers behind it, by name; values are numbers or short strings.
        cause: why it happens, in one or two sentences.
        fixes: what to do, most promising first: a command or a line of code each.
        reference: the paper or page behind the rule.
    """

    symptom: Symptom
    severity: Severity
    cause: str
    layers: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fixes: tuple[str, ...] = ()
    reference: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "symptom": self.symptom.value,
            "severity": self.severity.value,
            "layers": list(self.layers),
            "evidence": dict(self.evidence),
            "cause": self.cause,
            "fixes": list(self.fixes),
            "reference": self.reference,
        }


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Return the findings ordered by severity, keeping the order among equals."""
    return sorted(findings, key=lambda finding: -finding.severity.rank)
