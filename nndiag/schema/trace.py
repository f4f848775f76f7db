"""What the probe saw: columns of statistics by step, layer and member.

Axes: S recorded step, L layer (input side first), M member of the population, T call (time step
of a layer that runs several times in one pass).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nndiag.schema import notebooks

#: Every statistic of a layer, in the order of a table. Definitions: docs/statistics.md.
STATISTICS = (
    "activation_mean",
    "activation_std",
    "saturated_fraction",
    "off_fraction",
    "dead_fraction",
    "symmetric_fraction",
    "output_grad_norm",
    "weight_grad_norm",
    "weight_norm",
    "relative_grad",
    "update_ratio",
)


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """One module that owns a weight.

    Attributes:
        name: dotted path in the model, such as `layer1.0.conv2`.
        index: 1 for the first in order of execution.
        kind: class name, such as `Linear`.
        fan_in, fan_out: inputs and outputs of one unit (a convolution: kernel area x channels).
        parameters: number of own parameters, bias included.
        trainable: whether the weight has `requires_grad`.
        activation: repr of the activation applied to its output, None for none.
        gate: the activation has one constant-slope tail below 5 % (relu, leaky_relu), which
            switches units rather than saturating them.
        output: the last layer executed: its output reaches the loss.
        calls: how often it ran in one pass.
    """

    name: str
    index: int
    kind: str
    fan_in: int = 0
    fan_out: int = 0
    parameters: int = 0
    trainable: bool = True
    activation: str | None = None
    gate: bool = False
    output: bool = False
    calls: int = 1


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Statistics of one run, on the host.

    Attributes:
        layers: L layers in order of execution.
        steps: (S,) step numbers; 0 is the state before any update.
        columns: name of the statistic -> (S, L, M) float64. NaN is a measured NaN; where a layer
            does not have the statistic, `missing[name][l]` is True and the value means nothing.
        recorded: name -> (S, L) bool, False where a layer that has the statistic lacks it in that
            row (it did not run, or got no gradient); a name that is not there has every row.
        by_call: name -> one (S, M, T_l) array for each layer that ran more than once in a pass,
            by layer name: the statistic for each call in order.
        floor: (L,) the smallest value that `output_grad_norm` can show before it underflows.
        weight_floor: (L,) the same for `weight_grad_norm`.
        loss: (S, M), NaN where no loss was given.
    """

    layers: tuple[LayerInfo, ...]
    steps: np.ndarray
    columns: dict[str, np.ndarray]
    missing: dict[str, np.ndarray]
    recorded: dict[str, np.ndarray] = field(default_factory=dict)
    by_call: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    floor: np.ndarray = field(default_factory=lambda: np.zeros(0))
    weight_floor: np.ndarray = field(default_factory=lambda: np.zeros(0))
    loss: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))

    @property
    def members(self) -> int:
        return int(self.loss.shape[1])

    def has(self, statistic: str, layer: int) -> bool:
        """Whether the layer at position `layer` (from 0) has the statistic."""
        return statistic in self.columns and not self.missing[statistic][layer]

    def in_row(self, statistic: str, layer: int, row: int = -1) -> bool:
        """Whether the layer has a value of the statistic in one recorded row."""
        there = self.recorded.get(statistic)
        return self.has(statistic, layer) and (there is None or bool(there[row, layer]))

    def at(self, statistic: str, layer: int, row: int = -1) -> np.ndarray:
        """Return the (M,) values of one layer at one recorded row (last by default)."""
        return np.asarray(self.columns[statistic][row, layer])

    def _repr_html_(self) -> str:
        return notebooks.html("trace", self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers: steps, layer names and, by statistic, (S, L) lists.

        A value that a layer does not have is None. Members other than the first are left out.
        """
        return {
            "steps": self.steps.tolist(),
            "layers": [layer.name for layer in self.layers],
            "loss": self.loss[:, 0].tolist(),
            **{
                name: [
                    [
                        float(table[row, place, 0]) if self.in_row(name, place, row) else None
                        for place in range(len(self.layers))
                    ]
                    for row in range(len(self.steps))
                ]
                for name, table in self.columns.items()
            },
        }

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row a step and layer (`pip install pandas`)."""
        import pandas

        rows = self.to_dict()
        names = [name for name in STATISTICS if name in rows]
        return pandas.DataFrame(
            [
                {"step": step, "layer": layer, **{n: rows[n][at][place] for n in names}}
                for at, step in enumerate(rows["steps"])
                for place, layer in enumerate(rows["layers"])
            ]
        )

    @property
    def hidden(self) -> list[int]:
        """Positions of the layers before the output layer."""
        return [place for place, layer in enumerate(self.layers) if not layer.output]


def join_members(traces: list[Trace]) -> Trace:
    """Put traces of the same model under other seeds side by side along M.

    Raises:
        ValueError: the traces differ in layers or steps.
    """
    first = traces[0]
    if any(trace.layers != first.layers for trace in traces):
        raise ValueError("traces of different layers cannot be joined")
    if any(not np.array_equal(trace.steps, first.steps) for trace in traces):
        raise ValueError("traces of different steps cannot be joined")
    return Trace(
        layers=first.layers,
        steps=first.steps,
        columns={
            name: np.concatenate([trace.columns[name] for trace in traces], axis=2)
            for name in first.columns
        },
        missing=first.missing,
        recorded=first.recorded,
        by_call={
            name: {
                layer: np.concatenate([trace.by_call[name][layer] for trace in traces], axis=1)
                for layer in layers
            }
            for name, layers in first.by_call.items()
        },
        floor=first.floor,
        weight_floor=first.weight_floor,
        loss=np.concatenate([trace.loss for trace in traces], axis=1),
    )


def take_members(trace: Trace, places: np.ndarray) -> Trace:
    """Return the members at these places, in this order."""
    return replace(
        trace,
        columns={name: table[:, :, places] for name, table in trace.columns.items()},
        by_call={
            name: {layer: table[:, places] for layer, table in layers.items()}
            for name, layers in trace.by_call.items()
        },
        loss=trace.loss[:, places],
    )
