"""Units that compute the same thing and receive the same gradient."""

from __future__ import annotations

from nndiag.diagnosis.context import Context
from nndiag.diagnosis.thresholds import SYMMETRIC
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.trace import Trace


def check(trace: Trace, context: Context) -> list[Finding]:
    """Report hidden layers whose units all have the same weights and the same gradient."""
    if "symmetric_fraction" not in trace.columns:
        return []
    places = [
        place
        for place in trace.hidden
        if trace.has("symmetric_fraction", place)
        and trace.layers[place].fan_out > 1
        and float(trace.at("symmetric_fraction", place).mean()) >= SYMMETRIC
    ]
    if not places:
        return []
    first = trace.layers[places[0]]
    return [
        Finding(
            symptom=Symptom.SYMMETRIC_UNITS,
            severity=Severity.CRITICAL,
            layers=tuple(trace.layers[place].name for place in places),
            evidence={
                "symmetric_fraction": float(trace.at("symmetric_fraction", places[0]).mean()),
                "layers": len(places),
                "units": first.fan_out,
            },
            cause=_(
                "All {units} units of {layer} start with the same weights and receive the same "
                "gradient, so gradient descent keeps them equal: the layer is worth one unit."
            ).format(units=first.fan_out, layer=first.name),
            fixes=(
                _("draw the weights at random: he_normal for the ReLU family, xavier otherwise"),
            ),
            reference="Goodfellow, Bengio & Courville 2016, section 8.4",
        )
    ]
