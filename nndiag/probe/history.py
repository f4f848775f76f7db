"""What has come to the host: columns by step, thinned so that memory stays bounded."""

from __future__ import annotations

import math

import numpy as np

from nndiag.probe import statistics
from nndiag.probe.buffer import Key, Row
from nndiag.probe.columns import BY_CALL, Columns, Layout
from nndiag.probe.layers import Layer
from nndiag.schema.trace import STATISTICS, LayerInfo, Trace

#: Sizes between which a float32 norm is right to 1e-6.
_SAFE = (1e-15, 1e15)
_NORMS = ("grad", "weight_grad", "weight", "update")
_GRADIENTS = ("grad", "weight_grad")


class History:
    """Columns of every row kept.

    Args:
        capacity: when more rows than this are kept, every second one is dropped, except the first,
            the last, those with the largest gradient and loss, and the first that is not finite.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = max(capacity, 8)
        self._steps: list[int] = []
        self._columns: list[Columns] = []
        self._layouts: dict[tuple[Key, ...], Layout] = {}
        self._samples = 1

    def extend(self, rows: list[Row], layers: list[Layer]) -> None:
        """Take rows from the buffer; learns which layers need float64 norms."""
        for row in rows:
            row = _unscaled(row)
            layout = self._layouts.get(row.keys)
            if layout is None:
                self._layouts = {row.keys: Layout(row.keys, len(layers), [x.calls for x in layers])}
                layout = self._layouts[row.keys]
            self._samples = max(self._samples, row.samples)
            self._steps.append(row.step)
            self._columns.append(layout.columns(row))
            if len(self._steps) > self._capacity:
                self._thin()
        _choose_precision(rows[-1], layers)

    def _thin(self) -> None:
        keep = set(range(0, len(self._steps), 2)) | {len(self._steps) - 1} | self._extremes()
        self._steps = [step for place, step in enumerate(self._steps) if place in keep]
        self._columns = [row for place, row in enumerate(self._columns) if place in keep]

    def _extremes(self) -> set[int]:
        """Return the rows with the largest gradient and loss and the first non-finite one."""
        gradient = np.array([_largest(row, "output_grad_norm") for row in self._columns])
        loss = np.array([row.loss for row in self._columns])
        places = set()
        for values in (gradient, loss):
            if np.isfinite(values).any():
                places.add(int(np.argmax(np.where(np.isfinite(values), values, -np.inf))))
        broken = np.flatnonzero(~np.isfinite(gradient))
        return places | ({int(broken[0])} if broken.size else set())

    def trace(self, order: list[Layer], layers: list[Layer]) -> Trace:
        """Return everything kept; layers that never ran are left out."""
        rows, count = self._columns, len(order)
        names = [name for name in STATISTICS if any(name in row.values for row in rows)]
        absent = np.full(count, np.nan)
        columns = {
            name: np.stack([_padded(row.values.get(name, absent), count) for row in rows])[
                :, :, None
            ]
            for name in names
        }
        present = {
            name: np.any(
                [_padded(row.present.get(name, absent == 0), count) == 1 for row in rows], axis=0
            )
            for name in names
        }
        return Trace(
            layers=tuple(_info(layer, place, count) for place, layer in enumerate(order)),
            steps=np.array(self._steps, dtype=int),
            columns=columns,
            missing={name: ~there for name, there in present.items()},
            by_call=self._by_call(order),
            floor=np.array([_floor(layer, self._samples * layer.output_size) for layer in order]),
            weight_floor=np.array(
                [_floor(layer, sum(weight.numel() for weight in layer.weights)) for layer in order]
            ),
            loss=np.array([[row.loss] for row in rows]).reshape(-1, 1),
        )

    def _by_call(self, order: list[Layer]) -> dict[str, dict[str, np.ndarray]]:
        tables: dict[str, dict[str, np.ndarray]] = {}
        for name in BY_CALL:
            for place, layer in enumerate(order):
                rows = [row.by_call.get(name, {}).get(place) for row in self._columns]
                if rows and all(row is not None for row in rows):
                    stacked = np.stack([np.asarray(row)[: layer.calls] for row in rows])
                    tables.setdefault(name, {})[layer.name] = stacked[:, None, :]
        return tables

    def latest(self) -> tuple[int, float, list[float]]:
        """Return (step, loss, output_grad_norm by layer) of the newest row."""
        if not self._steps:
            return -1, math.nan, []
        norms = self._columns[-1].values.get("output_grad_norm", np.zeros(0))
        return self._steps[-1], self._columns[-1].loss, norms.tolist()


def _unscaled(row: Row) -> Row:
    """Divide gradients by the loss scale, where one was recorded."""
    scale = [value for key, value in zip(row.keys, row.values, strict=True) if key.kind == "scale"]
    if not scale:
        return row
    values = row.values.copy()
    for place, key in enumerate(row.keys):
        if key.kind in _GRADIENTS:
            values[place] /= scale[0]
        elif key.kind == "loss" and math.isfinite(scale[0]):
            continue
    return Row(row.step, row.samples, row.keys, values)


def _choose_precision(row: Row, layers: list[Layer]) -> None:
    """Let layers whose norms left the safe range of float32 accumulate in float64."""
    extreme = set()
    for key, value in zip(row.keys, row.values, strict=True):
        if key.kind in _NORMS and not (_SAFE[0] < value < _SAFE[1]):
            extreme.add(key.layer)
    for place, layer in enumerate(layers):
        layer.exact = place in extreme


def _largest(row: Columns, name: str) -> float:
    values = row.values.get(name)
    return float(np.max(values)) if values is not None and values.size else math.nan


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """Return (L,) values where a layer first ran after this row was recorded."""
    if len(values) == count:
        return values
    return np.concatenate([values, np.full(count - len(values), np.nan)])


def _info(layer: Layer, place: int, count: int) -> LayerInfo:
    fan_in, fan_out = layer.fans
    return LayerInfo(
        name=layer.name,
        index=place + 1,
        kind=type(layer.module).__name__,
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
