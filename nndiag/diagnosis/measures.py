"""Numbers read off one row of a trace: ratios, factors a layer, time profiles.

Axes: L layer (input side first), M member, T time step.
"""

from __future__ import annotations

import numpy as np

from nndiag.schema.trace import Trace
from nndiag.theory.propagation import bulk, decay_per_layer


def signal(trace: Trace, row: int = -1, *, recurrent: bool = False) -> np.ndarray:
    """Return the backpropagated signal along the path, (L, M), or (T, M) for recurrent nets.

    It is `output_grad_norm` of the hidden layers in order of execution, or of the recurrent layer
    nearest to the output by time step. Values that underflowed are 0.
    """
    if recurrent:
        by_layer = trace.by_call.get("output_grad_norm", {})
        if by_layer:
            calls = max(values.shape[2] for values in by_layer.values())
            name = [layer for layer, values in by_layer.items() if values.shape[2] == calls][-1]
            return np.asarray(by_layer[name][row].T)
    return np.asarray(trace.columns["output_grad_norm"][row, path(trace, "output_grad_norm")])


def path(trace: Trace, statistic: str) -> list[int]:
    """Return the positions of the hidden layers that have the statistic."""
    return [place for place in trace.hidden if trace.has(statistic, place)]


def floor_of(trace: Trace) -> float:
    """Return the smallest backpropagated signal that the run could show."""
    return float(trace.floor.max()) if trace.floor.size else 0.0


def end_to_end(values: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """Return first over last along the path, (M,); what underflowed counts as `floor`.

    NaN where there are fewer than two layers or the last is zero or not finite.
    """
    members = values.shape[1]
    if values.shape[0] < 2:
        return np.full(members, np.nan)
    first = np.where(values[0] == 0, floor, values[0])
    last = values[-1]
    usable = np.isfinite(last) & (last > 0)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(usable, first / np.where(usable, last, 1.0), np.nan)


def factor(values: np.ndarray) -> np.ndarray:
    """Return the factor a layer towards the input of each member, (M,).

    The least-squares slope of the logarithm over the bulk of the path (hidden layers 3 to
    D - 2 where there are enough; `nndiag.theory.propagation.bulk`).
    """
    middle = bulk(values.shape[0])
    return np.array([decay_per_layer(column[middle]) for column in values.T])


def activation_rms(trace: Trace, row: int = -1) -> np.ndarray:
    """Return the root mean square activation of the hidden layers, (L, M).

    L is 0 where the trace has no moments.
    """
    if not {"activation_mean", "activation_std"} <= trace.columns.keys():
        return np.zeros((0, 1))
    places = path(trace, "activation_std")
    mean = trace.columns["activation_mean"][row, places]
    std = trace.columns["activation_std"][row, places]
    return np.asarray(np.hypot(mean, std))
