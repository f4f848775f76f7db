"""Whole-model series out of a trace."""

from __future__ import annotations

import numpy as np

from nndiag.schema.observation import Series
from nndiag.schema.trace import Trace


def gradient_norm(trace: Trace | None) -> Series:
    """Return the norm of all weight gradients by step, as they came back (before clipping)."""
    if trace is None or "weight_grad_norm" not in trace.columns:
        return Series()
    table = trace.columns["weight_grad_norm"][:, :, 0]
    return _series(trace, np.sqrt(_total(table**2)), table)


def update_ratio(trace: Trace | None) -> Series:
    """Return the norm of the change of all weights over their norm, by step."""
    if trace is None or not {"update_ratio", "weight_norm"} <= trace.columns.keys():
        return Series()
    norm = trace.columns["weight_norm"][:, :, 0]
    change = trace.columns["update_ratio"][:, :, 0] * norm
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(_total(change**2) / _total(norm**2))
    return _series(trace, ratio, change)


def applied_rate(trace: Trace | None) -> Series:
    """Return the size of a step over that of the gradient, its median over the run.

    Twice, for the first step and the last: of updates that a script makes itself only this can be
    known, and a rate that it divides by (momentum, a clipped gradient) is in it.
    """
    needed = {"update_ratio", "weight_norm", "weight_grad_norm"}
    if trace is None or not needed <= trace.columns.keys():
        return Series()
    change = trace.columns["update_ratio"][:, :, 0] * trace.columns["weight_norm"][:, :, 0]
    gradient = trace.columns["weight_grad_norm"][:, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.sqrt(_total(change**2) / _total(gradient**2))
    rates = rates[np.isfinite(rates) & (rates > 0)]
    if not rates.size:
        return Series()
    steps = np.asarray(trace.steps)[[0, -1]] + 1
    return Series(steps=steps, values=np.full(2, float(np.median(rates))))


def _total(table: np.ndarray) -> np.ndarray:
    return np.asarray(np.nansum(table, axis=1) + np.where(np.isinf(table).any(1), np.inf, 0.0))


def _series(trace: Trace, values: np.ndarray, table: np.ndarray) -> Series:
    seen = ~np.isnan(table).all(axis=1)
    return Series(steps=np.asarray(trace.steps)[seen] + 1, values=values[seen])
