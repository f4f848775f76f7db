"""Rows of raw values to the columns of a trace, on the host in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nndiag.probe.buffer import Key, Row

#: Statistics kept for each call of a layer that runs several times in a pass.
BY_CALL = ("output_grad_norm", "activation_mean", "activation_std", "saturated_fraction")


@dataclass
class Columns:
    """The statistics of one step: (L,) by name, NaN where a layer has none, and by call.

    Attributes:
        present: (L,) by name: whether the layer has the statistic.
        by_call: name -> place of the layer -> (T,) values.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    present: dict[str, np.ndarray] = field(default_factory=dict)
    by_call: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    loss: float = float("nan")


class Layout:
    """How the values of one sequence of keys combine; worked out once, used for every such row."""

    def __init__(self, keys: Sequence[Key], layers: int, calls: Sequence[int]) -> None:
        self._layers = layers
        self._repeated = [place for place in range(layers) if calls[place] > 1]
        self._calls = max(calls, default=1)
        kinds: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            kinds.setdefault(key.kind, []).append(place)
        self._places = {kind: np.array(places) for kind, places in kinds.items()}
        self._layer = {k: np.array([keys[i].layer for i in p]) for k, p in kinds.items()}
        self._call = {k: np.array([keys[i].call for i in p]) for k, p in kinds.items()}
        self._count = {k: np.array([float(keys[i].size) for i in p]) for k, p in kinds.items()}

    def columns(self, row: Row) -> Columns:
        """Return the statistics of one row."""
        out = Columns()
        if "loss" in self._places:
            out.loss = float(row.values[self._places["loss"]].mean())
        totals = self._totals(row.values, by_call=False)
        for name, numbers in _statistics(totals, row.samples).items():
            out.values[name] = numbers
            out.present[name] = self._has(name)
        if self._repeated:
            totals = self._totals(row.values, by_call=True)
            statistics = _statistics(totals, row.samples)
            for name in set(BY_CALL) & statistics.keys():
                table = statistics[name].reshape(self._layers, self._calls)
                out.by_call[name] = {
                    place: table[place] for place in self._repeated if self._has(name)[place]
                }
        return out

    def _has(self, statistic: str) -> np.ndarray:
        present = np.zeros(self._layers, bool)
        present[self._layer[_SOURCE[statistic]]] = True
        return present

    def _totals(self, values: np.ndarray, *, by_call: bool) -> dict[str, np.ndarray]:
        """Add up each kind over the calls of a layer (or for each call): sums, squares, counts."""
        size = self._layers * (self._calls if by_call else 1)
        totals = {}
        for kind, places in self._places.items():
            if kind in _WHOLE_RUN:
                continue
            slots = self._layer[kind]
            if by_call:
                slots = slots * self._calls + self._call[kind]
            picked = values[places]
            terms = picked**2 if kind in _SQUARED else picked
            totals[kind] = np.bincount(slots, terms, minlength=size)
            totals[kind + " count"] = np.bincount(slots, self._count[kind], minlength=size)
        return totals


_WHOLE_RUN = {"loss", "scale"}
_SQUARED = {"norm", "grad", "weight_grad", "weight", "update"}
_SOURCE = {
    "activation_mean": "sum",
    "activation_std": "norm",
    "saturated_fraction": "saturated",
    "off_fraction": "off",
    "dead_fraction": "dead",
    "symmetric_fraction": "symmetric",
    "output_grad_norm": "grad",
    "weight_grad_norm": "weight_grad",
    "weight_norm": "weight",
    "relative_grad": "weight_grad",
    "update_ratio": "update",
}


def _statistics(totals: dict[str, np.ndarray], samples: int) -> dict[str, np.ndarray]:
    """Return section 3 of the design from sums, sums of squares and counts."""
    out: dict[str, np.ndarray] = {}
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if "sum" in totals:
            mean = totals["sum"] / totals["sum count"]
            out["activation_mean"] = mean
            variance = totals["norm"] / totals["norm count"] - mean**2
            out["activation_std"] = np.sqrt(np.maximum(variance, 0.0) + 0 * variance)
        for kind in ("saturated", "off", "dead", "symmetric"):
            if kind in totals:
                out[f"{kind}_fraction"] = totals[kind] / totals[f"{kind} count"]
        if "grad" in totals:
            out["output_grad_norm"] = np.sqrt(samples * totals["grad"])
        if "weight" in totals:
            out["weight_norm"] = np.sqrt(totals["weight"])
        if "weight_grad" in totals:
            out["weight_grad_norm"] = np.sqrt(totals["weight_grad"])
            if "weight" in totals:
                out["relative_grad"] = np.sqrt(totals["weight_grad"] / totals["weight"])
        if "update" in totals:
            out["update_ratio"] = np.sqrt(totals["update"] / totals["weight"])
    return out
