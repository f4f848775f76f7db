"""From a trace to findings: pure functions, one file a family of symptoms."""

from __future__ import annotations

from nndiag.diagnosis import activations, gradients, non_finite, symmetry
from nndiag.diagnosis.context import Context
from nndiag.schema.finding import Finding, worst_first
from nndiag.schema.trace import Trace

_FAMILIES = (non_finite, symmetry, gradients, activations)


def diagnose(trace: Trace, context: Context | None = None) -> list[Finding]:
    """Return every finding of one trace, worst first (empty: nothing wrong was seen)."""
    context = context or Context()
    found = [finding for family in _FAMILIES for finding in family.check(trace, context)]
    return worst_first(found)
