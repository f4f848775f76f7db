"""NaN and infinity, tested first and on their own: every comparison with NaN is false."""

from __future__ import annotations

import numpy as np

from nndiag.diagnosis.context import Context
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.trace import Trace

_FORWARD = ("activation_mean", "activation_std")
_BACKWARD = ("output_grad_norm", "weight_grad_norm")


def check(trace: Trace, context: Context) -> list[Finding]:
    """Report the first step and layer with a value that is not finite."""
    for row, step in enumerate(trace.steps):
        for names, direction, layers in (
            (_FORWARD, "forward", range(len(trace.layers))),
            (_BACKWARD, "backward", reversed(range(len(trace.layers)))),
        ):
            for place in layers:
                if _broken(trace, names, row, place):
                    return [_finding(trace, int(step), place, direction, row)]
        if trace.loss.size and np.isinf(trace.loss[row]).any():
            return [_finding(trace, int(step), None, "loss", row)]
    return []


def _broken(trace: Trace, names: tuple[str, ...], row: int, place: int) -> bool:
    return any(
        trace.in_row(name, place, row) and not np.isfinite(trace.at(name, place, row)).all()
        for name in names
    )


def _finding(trace: Trace, step: int, place: int | None, direction: str, row: int) -> Finding:
    name = trace.layers[place].name if place is not None else _("the loss")
    where = {
        "forward": _("in the forward pass"),
        "backward": _("in the backward pass"),
        "loss": _("in the loss"),
    }[direction]
    return Finding(
        symptom=Symptom.NON_FINITE,
        severity=Severity.CRITICAL,
        layers=(name,) if place is not None else (),
        evidence={"first_step": step, "direction": direction, "row": row},
        cause=_(
            "At step {step} the first value that is NaN or infinite appears {where}, at {name}: "
            "every later number follows from it."
        ).format(step=step, where=where, name=name),
        fixes=(
            _("an initialisation that keeps the variance (he_normal, xavier_uniform)"),
            _("a smaller learning rate, or gradient clipping"),
        ),
        reference="Pascanu, Mikolov & Bengio 2013",
    )
