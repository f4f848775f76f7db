"""Rows of raw values to the columns of a trace, on the host in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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

    def __init__(self, keys: Sequence[Key], layers: int) -> None:
        self.layers = layers
        kinds: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            kinds.setdefault(key.kind, []).append(place)
        self._places = {kind: np.array(places) for kind, places in kinds.items()}
        self._layer = {k: np.array([keys[i].layer for i in p]) for k, p in kinds.items()}
        self._call = {k: np.array([keys[i].call for i in p]) for k, p in kinds.items()}
        self._size = {k: np.array([float(keys[i].size) for i in p]) for k, p in kinds.items()}
        self._centre = np.array([keys[i].centre for i in kinds.get("sum", [])])
        self._whole = np.array([keys[i].centre for i in kinds.get("update", [])])
        self._own_calls = np.zeros(layers, int)  # how often each layer ran
        for key in keys:
            if key.layer >= 0:
                self._own_calls[key.layer] = max(self._own_calls[key.layer], key.call + 1)
        self._calls = int(self._own_calls.max(initial=1))

    def columns(self, row: Row) -> Columns:
        """Return the statistics of one row."""
        row = self._unscaled(row)
        out = Columns()
        if "loss" in self._places:
            out.loss = float(row.values[self._places["loss"]].mean())
        statistics = _statistics(self._totals(row.values, by_call=False), row.samples)
        for name, numbers in statistics.items():
            out.values[name] = numbers
            out.present[name] = self._has(name)
        if self._calls > 1:
            statistics = _statistics(self._totals(row.values, by_call=True), row.samples)
            for name in set(BY_CALL) & statistics.keys():
                table = statistics[name].reshape(self.layers, self._calls)
                out.by_call[name] = {
                    int(place): table[place, : self._own_calls[place]]
                    for place in np.flatnonzero((self._own_calls > 1) & self._has(name))
                }
        return out

    def _unscaled(self, row: Row) -> Row:
        """Divide gradients by the loss scale, where one was recorded."""
        if "scale" not in self._places:
            return row
        values = row.values.copy()
        for kind in ("grad", "weight_grad"):
            values[self._places.get(kind, [])] /= values[self._places["scale"][0]]
        return replace(row, values=values)

    def _has(self, statistic: str) -> np.ndarray:
        present = np.zeros(self.layers, bool)
        present[self._layer[_SOURCE[statistic]]] = True
        return present

    def _totals(self, values: np.ndarray, *, by_call: bool) -> dict[str, np.ndarray]:
        """Add up each kind over the calls of a layer (or for each call): sums, squares, counts."""
        size = self.layers * (self._calls if by_call else 1)
        totals = {}
        for kind, places in self._places.items():
            if kind not in _SUMMED:
                continue
            slots = self._layer[kind]
            if by_call:
                slots = slots * self._calls + self._call[kind]
            terms = self._terms(kind, values[places])
            totals[kind] = np.bincount(slots, terms, minlength=size)
            totals[kind + " size"] = np.bincount(slots, self._size[kind], minlength=size)
        if "sum" in totals:
            self._add_spread(values, totals, by_call=by_call)
        return totals

    def _terms(self, kind: str, picked: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            if kind == "sum":
                return picked + self._size[kind] * self._centre
            if kind == "update":  # of a sub-sample: stands for the whole weight
                return picked**2 * self._whole
            return picked**2 if kind in _SQUARED else picked

    def _add_spread(
        self, values: np.ndarray, totals: dict[str, np.ndarray], *, by_call: bool
    ) -> None:
        """Turn sums of squares about each call's centre into sums of squares about the mean.

        With s the sum and q the sum of squares about a centre c of n entries, and m the mean of
        all: sum (x - m)^2 = q - s^2 / n + n (c + s / n - m)^2.
        """
        slots, size = self._layer["sum"], self._size["sum"]
        if by_call:
            slots = slots * self._calls + self._call["sum"]
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            total = values[self._places["sum"]]
            mean = totals["sum"] / totals["sum size"]
            within = values[self._places["norm"]] ** 2 - total**2 / size
            between = size * (self._centre + total / size - mean[slots]) ** 2
            spread = within + between
        totals["spread"] = np.bincount(slots, spread, minlength=len(mean))


_SQUARED = {"norm", "grad", "weight_grad", "weight", "update"}
_SUMMED = _SQUARED | {"sum", "saturated", "off", "alive", "symmetric"}
_SOURCE = {
    "activation_mean": "sum",
    "activation_std": "norm",
    "saturated_fraction": "saturated",
    "off_fraction": "off",
    "dead_fraction": "alive",
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
            out["activation_mean"] = totals["sum"] / totals["sum size"]
            variance = totals["spread"] / totals["sum size"]
            out["activation_std"] = np.sqrt(np.maximum(variance, 0.0) + 0 * variance)
        for kind in ("saturated", "off", "symmetric"):
            if kind in totals:
                out[f"{kind}_fraction"] = totals[kind] / totals[f"{kind} size"]
        if "alive" in totals:
            out["dead_fraction"] = 1 - totals["alive"] / totals["alive size"]
        if "grad" in totals:
            out["output_grad_norm"] = np.sqrt(samples * totals["grad"])
        if "weight" in totals:
            out["weight_norm"] = np.sqrt(totals["weight"])
        if "weight_grad" in totals:
            out["weight_grad_norm"] = np.sqrt(totals["weight_grad"])
            if "weight" in totals:
                out["relative_grad"] = np.sqrt(totals["weight_grad"] / totals["weight"])
        if "update" in totals and "weight" in totals:
            out["update_ratio"] = np.sqrt(totals["update"] / totals["weight"])
    return out
