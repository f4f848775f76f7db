"""A trace as rows of intervals over its members: what tables, figures and JSON show."""

from __future__ import annotations

from typing import Any

import numpy as np

from nndiag.schema.result import Interval, interval
from nndiag.schema.trace import STATISTICS, Trace

#: Positive quantities that span decades: their mean over seeds is the geometric one.
_LOGARITHMIC = {
    "output_grad_norm",
    "weight_grad_norm",
    "weight_norm",
    "relative_grad",
    "update_ratio",
}


def layer_rows(trace: Trace, row: int = -1) -> list[dict[str, Any]]:
    """Return one dictionary a layer: its facts, and each statistic that it has as an interval."""
    rows = []
    for place, layer in enumerate(trace.layers):
        facts: dict[str, Any] = {
            "name": layer.name,
            "index": layer.index,
            "kind": layer.kind,
            "fan_in": layer.fan_in,
            "fan_out": layer.fan_out,
            "parameters": layer.parameters,
            "trainable": layer.trainable,
            "activation": layer.activation,
            "gate": layer.gate,
            "output": layer.output,
        }
        for statistic in STATISTICS:
            if trace.has(statistic, place):
                values = trace.at(statistic, place, row)
                facts[statistic] = over_members(statistic, values, floor(trace, statistic, place))
        rows.append(facts)
    return rows


def time_rows(trace: Trace, row: int = -1) -> list[dict[str, Any]]:
    """Return one dictionary a time step of the recurrent layer nearest to the output, or []."""
    norms = trace.by_call.get("output_grad_norm", {})
    if not norms:
        return []
    calls = max(values.shape[2] for values in norms.values())
    name = [layer for layer, values in norms.items() if values.shape[2] == calls][-1]
    place = next(at for at, layer in enumerate(trace.layers) if layer.name == name)
    rows = []
    for step in range(calls):
        facts: dict[str, Any] = {"step": step + 1}
        for statistic, layers in trace.by_call.items():
            if name in layers:
                values = layers[name][row, :, step]
                facts[statistic] = over_members(statistic, values, floor(trace, statistic, place))
        rows.append(facts)
    return rows


def floor(trace: Trace, statistic: str, place: int) -> float:
    """Return the smallest value above 0 that a layer's statistic can show (0: any)."""
    if statistic == "output_grad_norm":
        return float(trace.floor[place])
    if statistic == "weight_grad_norm":
        return float(trace.weight_floor[place])
    if statistic == "relative_grad" and trace.has("weight_norm", place):
        weight = float(trace.at("weight_norm", place).mean())
        return float(trace.weight_floor[place]) / weight if weight > 0 else 0.0
    return 0.0


def over_members(statistic: str, values: np.ndarray, smallest: float = 0.0) -> Interval:
    """Return the mean over members; values that underflowed to 0 count as `smallest`, a bound."""
    under = bool(smallest > 0 and (values == 0).any())
    if under:
        values = np.where(values == 0, smallest, values)
    return interval(values, log=statistic in _LOGARITHMIC, upper_bound=under)
