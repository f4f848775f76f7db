"""What has come to the host: columns by step, thinned so that memory stays bounded."""

from __future__ import annotations

import math

import numpy as np

from nndiag.probe import statistics
from nndiag.probe.buffer import MOST_LAYOUTS, Row
from nndiag.probe.columns import BY_CALL, Columns, Layout
from nndiag.probe.layers import Layer
from nndiag.schema.trace import STATISTICS, LayerInfo, Trace

#: Sizes between which a float32 norm is right to 1e-6.
_SAFE = (1e-15, 1e15)
_NORMS = {"grad", "weight_grad", "weight", "update", "norm"}
#: A mean this many times the spread is taken off before squaring in float32.
_FAR = 2.0


class History:
    """Columns of the rows kept, evenly spread over the run.

    Args:
        capacity: when more rows are recorded only each second one is kept from then on, and so
            forth. Kept whatever their place: the last, the largest gradient, the largest loss, and
            the first that is not finite.
        every: steps between two rows.
    """

    def __init__(self, capacity: int, every: int = 1) -> None:
        self._capacity, self._every = max(capacity, 8), every
        self._stride = 1
        self._steps: list[int] = []
        self._columns: list[Columns] = []
        self._layouts: dict[bytes, Layout] = {}
        self._samples = 1

    def extend(self, rows: list[Row], layers: list[Layer]) -> None:
        """Take rows from the buffer; learns which layers need float64 norms."""
        for row in rows:
            self._samples = max(self._samples, row.samples)
            self._steps.append(row.step)
            self._columns.append(self._layout(row, len(layers)).columns(row))
        self._thin()
        if rows:
            _choose_precision(rows[-1], self._columns[-1], layers)

    def _layout(self, row: Row, layers: int) -> Layout:
        layout = self._layouts.get(row.signature)
        if layout is None or layout.layers != layers:
            if len(self._layouts) >= MOST_LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[row.signature] = Layout(row.keys, layers)
        return layout

    def _thin(self) -> None:
        while True:
            keep = [row for row, step in enumerate(self._steps) if self._on_grid(step)]
            if len(keep) <= self._capacity:
                break
            self._stride *= 2
        kept = sorted({*keep, *self._extremes(), len(self._steps) - 1})
        self._steps = [self._steps[row] for row in kept]
        self._columns = [self._columns[row] for row in kept]

    def _on_grid(self, step: int) -> bool:
        return step // self._every % self._stride == 0

    def _extremes(self) -> set[int]:
        """Return the rows with the largest gradient and loss and the first non-finite one."""
        gradient = np.array([_largest(row, "output_grad_norm") for row in self._columns])
        loss = np.array([row.loss for row in self._columns])
        rows = set()
        for values in (gradient, loss):
            if np.isfinite(values).any():
                rows.add(int(np.argmax(np.where(np.isfinite(values), values, -np.inf))))
            broken = np.flatnonzero(~np.isfinite(values))
            if broken.size:
                rows.add(int(broken[0]))
        return rows

    def trace(self, order: list[Layer]) -> Trace:
        """Return everything kept; layers that never ran are left out."""
        places = sorted(range(len(order)), key=lambda place: order[place].rank)
        ordered = [order[place] for place in places]
        rows, count = self._columns, len(order)
        names = [name for name in STATISTICS if any(name in row.values for row in rows)]
        columns, missing, recorded = {}, {}, {}
        for name in names:
            table = np.full((len(rows), count), np.nan)
            there = np.zeros((len(rows), count), bool)
            for at, row in enumerate(rows):
                if name in row.values:
                    present = np.flatnonzero(row.present[name])
                    table[at, present] = row.values[name][present]
                    there[at, present] = True
            there = there[:, places]
            absent = np.logical_not(there.any(axis=0))
            columns[name], missing[name] = table[:, places, None], absent
            if not np.logical_or(there, absent).all():
                recorded[name] = there
        return Trace(
            layers=tuple(_info(layer, at, count) for at, layer in enumerate(ordered)),
            steps=np.array(self._steps, dtype=int),
            columns=columns,
            missing=missing,
            recorded=recorded,
            by_call=self._by_call(order),
            floor=np.array([_floor(layer, self._samples * layer.output_size) for layer in ordered]),
            weight_floor=np.array(
                [
                    _floor(layer, sum(weight.numel() for weight in layer.weights))
                    for layer in ordered
                ]
            ),
            loss=np.array([[row.loss] for row in rows]).reshape(-1, 1),
        )

    def _by_call(self, order: list[Layer]) -> dict[str, dict[str, np.ndarray]]:
        """Return (S, 1, T) tables; NaN beyond the calls that a row has."""
        tables: dict[str, dict[str, np.ndarray]] = {}
        for name in BY_CALL:
            for place, layer in enumerate(order):
                rows = [row.by_call.get(name, {}).get(place) for row in self._columns]
                if all(row is None for row in rows):
                    continue
                table = np.full((len(rows), 1, layer.calls), np.nan)
                for at, row in enumerate(rows):
                    if row is not None:
                        table[at, 0, : len(row)] = row
                    elif name in self._columns[at].values:  # ran once in this step
                        table[at, 0, 0] = self._columns[at].values[name][place]
                tables.setdefault(name, {})[layer.name] = table
        return tables

    def latest(self) -> tuple[int, float, list[float]]:
        """Return (step, loss, output_grad_norm by layer) of the newest row."""
        if not self._steps:
            return -1, math.nan, []
        norms = self._columns[-1].values.get("output_grad_norm", np.zeros(0))
        return self._steps[-1], self._columns[-1].loss, norms.tolist()


def _choose_precision(row: Row, columns: Columns, layers: list[Layer]) -> None:
    """Choose from the newest row how each layer's sums accumulate from now on.

    Layers whose norms left the safe range of float32 go on in float64; those whose mean activation
    is large beside its spread subtract it first.
    """
    extreme = {
        key.layer
        for key, value in zip(row.keys, row.values, strict=True)
        if key.kind in _NORMS and not (_SAFE[0] < value < _SAFE[1])
    }
    means = columns.values.get("activation_mean", np.zeros(len(layers)))
    stds = columns.values.get("activation_std", np.zeros(len(layers)))
    for place, layer in enumerate(layers):
        layer.exact = place in extreme
        far = math.isfinite(means[place]) and abs(means[place]) > _FAR * stds[place]
        layer.centre = float(means[place]) if far else 0.0


def _largest(row: Columns, name: str) -> float:
    values = row.values.get(name)
    return float(np.max(values)) if values is not None and values.size else math.nan


def _info(layer: Layer, place: int, count: int) -> LayerInfo:
    fan_in, fan_out = layer.fans
    return LayerInfo(
        name=layer.name,
        index=place + 1,
        kind=getattr(layer.module, "original_name", type(layer.module).__name__),  # of torch.jit
        fan_in=fan_in,
        fan_out=fan_out,
        parameters=sum(p.numel() for p in layer.module.parameters(recurse=False)),
        trainable=any(weight.requires_grad for weight in layer.weights),
        activation=layer.activation,
        gate=layer.tails is not None and layer.tails.gate,
        output=place == count - 1,
        calls=layer.calls,
    )


def _floor(layer: Layer, entries: int) -> float:
    """Return the largest norm that `entries` numbers may have when all of them underflow."""
    return statistics.smallest_positive(layer.weights[0].dtype) * math.sqrt(entries)
