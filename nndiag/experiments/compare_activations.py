"""`nndiag compare-activations`: functions, derivatives, saturation, and units that die."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis.activation_reading import reading
from nndiag.diagnosis.measures import path
from nndiag.probe.activations import slope_of, tails_of, value_of
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_presets import ActivationsSpec
from nndiag.schema.trace import Trace, take_members
from nndiag.training import configurations, devices, presets
from nndiag.training.comparing import Trainer, Tuned, summary
from nndiag.training.members import Record
from nndiag.zoo import activations

#: Looks of the probe at every network during its training.
_LOOKS = 8
#: Where the functions are drawn.
_SPAN, _POINTS = 5.0, 201


def run(spec: ActivationsSpec, *, watch: Watch | None = None) -> Result:
    """Tune the rate of every activation with its own initialisation, the probe looking on.

    Ctrl-C keeps the activations that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    steps = configurations.complete(spec.settings)["steps"]
    variants = presets.activations(spec)
    trainer = Trainer(variants, watch or Silent(), probe_every=max(1, -(-steps // _LOOKS)))
    tuned, interrupted = trainer.until_interrupted(variants)
    base = summary(tuned, spec, interrupted)
    found = {
        **base,
        "rows": [row | _facts(one) for row, one in zip(base["rows"], tuned, strict=True)],
        "functions": [_function(name) for name in spec.activations],
        "units": [entry for one in tuned for entry in _units(one)],
        "dying": [entry for one in tuned for entry in _dying(one)],
    }
    return Result(
        command="compare-activations",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, "reading": reading(found)},
        version=__version__,
    )


def _function(text: str) -> dict[str, Any]:
    """Return an activation and its derivative over an axis, and where it is saturated."""
    module = activations.parse(text).build()
    z = np.linspace(-_SPAN, _SPAN, _POINTS)
    slope, zones = slope_of(module)(z), tails_of(module)
    return {
        "label": text,
        "z": z.tolist(),
        "value": value_of(module)(z).tolist(),
        "slope": slope.tolist(),
        "slope_max": float(np.abs(slope).max()),
        "saturated_below": None if zones is None or zones.low == -np.inf else zones.low,
        "saturated_above": None if zones is None or zones.high == np.inf else zones.high,
        "gate": zones is not None and zones.gate,
    }


def _facts(one: Tuned) -> dict[str, Any]:
    trace = _alive(one.members)
    return {
        "saturated_fraction": _share(trace, "saturated_fraction", -1),
        "dead_fraction": _share(trace, "dead_fraction", -1),
        "dead_fraction_start": _share(trace, "dead_fraction", 0),
    }


def _share(trace: Trace | None, statistic: str, row: int) -> Any:
    """Return a share over the hidden layers as an interval; None where they do not have it.

    Gates switch units off rather than saturating them, so they have no saturated share.
    """
    if trace is None:
        return None
    places = [
        place
        for place in path(trace, statistic)
        if statistic != "saturated_fraction" or not trace.layers[place].gate
    ]
    if not places:
        return None
    values = trace.columns[statistic][row, places].mean(axis=0)
    return interval(values[np.isfinite(values)]) if np.isfinite(values).any() else None


def _units(one: Tuned) -> list[dict[str, Any]]:
    """Return the shares of saturated and of dead units over the steps, at the best rate."""
    trace = _alive(one.members)
    found = []
    for statistic in ("saturated_fraction", "dead_fraction"):
        values = [_share(trace, statistic, row) for row in range(_rows(trace))]
        if values and all(value is not None for value in values):
            assert trace is not None
            found.append(
                {
                    "label": one.variant.label,
                    "statistic": statistic,
                    "steps": trace.steps.tolist(),
                    "values": values,
                }
            )
    return found


def _rows(trace: Trace | None) -> int:
    return 0 if trace is None else len(trace.steps)


def _dying(one: Tuned) -> list[dict[str, Any]]:
    """Return the share of dead units at the end by learning rate."""
    pairs = sorted(
        zip(one.configurations, one.records, strict=True), key=lambda pair: pair[0]["lr"]
    )
    values = [_share(_alive(record), "dead_fraction", -1) for _one, record in pairs]
    known = [
        (configuration["lr"], value)
        for (configuration, _record), value in zip(pairs, values, strict=True)
        if value is not None
    ]
    if not known:
        return []
    return [
        {
            "label": one.variant.label,
            "rates": [lr for lr, _value in known],
            "dead_fraction": [value for _lr, value in known],
        }
    ]


def _alive(record: Record) -> Trace | None:
    """Return the trace of the members that did not diverge, None where all did."""
    alive = np.flatnonzero(~record.diverged)
    if record.trace is None or not len(alive):
        return None
    return take_members(record.trace, alive)
