"""A training that can be looked at after any step: what the playground shows while it goes on.

Step for step it is the training of `gradients --train` with one seed.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from nndiag import datasets
from nndiag.diagnosis import diagnose
from nndiag.diagnosis.rows import layer_rows
from nndiag.probe.probe import Probe
from nndiag.schema.finding import Finding
from nndiag.schema.spec import GradientsSpec
from nndiag.schema.trace import Trace
from nndiag.training import devices, initial, prediction, short
from nndiag.zoo import optimizers

#: Cells of the plane's picture on a side, and how far it reaches beyond the points.
_CELLS, _MARGIN = 48, 0.15
#: Points of a curve at most; the oldest are thinned out first.
_CURVE = 240
#: Steps that a training may take: far more than anybody watches.
_ENDLESS = 10**9


@dataclass(frozen=True, kw_only=True)
class View:
    """What there is to see after a step; plain data that travels to another process.

    Attributes:
        loss: [step, training loss] of the steps kept; accuracy: [step, validation accuracy].
        layers: names; signal, saturated, dead: a value a layer, None where it has none.
        predicted_signal, predicted_saturated: theory at initialisation, empty without a theory.
        plane: for data in the plane: `low`, `high`, and rows from the bottom up of `label` and
            `confidence` (probability of that label).
        findings: [severity, symptom] of what is wrong now.
        diverged: the loss is no number any more.
    """

    step: int
    loss: list[list[float]]
    accuracy: list[list[float]]
    layers: list[str]
    signal: list[float | None]
    saturated: list[float | None]
    dead: list[float | None]
    predicted_signal: list[float]
    predicted_saturated: list[float | None]
    plane: dict[str, Any] | None
    findings: list[list[str]]
    diverged: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class LiveTraining:
    """A network that trains under the probe, a few steps at a time.

    Args:
        spec: network, data, optimizer, batch size and seed.

    Raises:
        UsageError: a name, a combination or the device cannot be used.
    """

    def __init__(self, spec: GradientsSpec) -> None:
        assert spec.optimizer is not None
        self.spec = spec
        self._device = devices.resolve(spec.device)
        self._splits = datasets.load(spec.data, seed=spec.seed)
        self._start = initial.measure(
            spec.network,
            self._splits,
            seeds=[spec.seed],
            batch_size=spec.batch_size,
            device=self._device,
        )
        self._predicted = prediction.predict(spec.network, self._splits)
        self._context = prediction.context(spec.network, self._predicted)
        ((_seed, self._model, _x, _y),) = initial.networks_by_seed(
            spec.network, self._splits, [spec.seed], spec.batch_size, self._device
        )
        self._optimizer = optimizers.build(self._model.parameters(), spec.optimizer)
        self._probe = Probe(self._model, self._optimizer)
        train = self._splits.train
        self._x = torch.from_numpy(train.x).to(self._device)
        self._y = torch.from_numpy(train.y).to(self._device)
        full = optimizers.parse(spec.optimizer.name).full_batch
        size = len(self._y) if full else spec.batch_size
        self._batches = short.batches(len(self._y), size, _ENDLESS, spec.seed)
        with torch.random.fork_rng():
            torch.manual_seed(spec.seed)
            self._random = torch.get_rng_state()
        self._step = 0
        self._accuracy: list[list[float]] = []

    def points(self) -> dict[str, Any]:
        """Return the training points and labels of a set in the plane, else the set's size."""
        known = {"classes": list(self._splits.classes), "samples": len(self._y)}
        if self._splits.input_shape != (2,):
            return known
        return {**known, "x": self._splits.train.x.tolist(), "y": self._splits.train.y.tolist()}

    def advance(self, steps: int) -> None:
        """Take optimizer steps; the random numbers are those of a training in one go."""
        assert self.spec.optimizer is not None
        with short.flushed_denormals(), torch.random.fork_rng(), self._probe:
            torch.set_rng_state(self._random)
            for _turn in range(steps):
                rows = next(self._batches)
                short.take_step(
                    self._model,
                    self._optimizer,
                    self._x[rows],
                    self._y[rows],
                    self.spec.optimizer,
                    self._probe,
                )
                self._step += 1
            self._random = torch.get_rng_state()

    def view(self) -> View:
        """Return what there is to see now."""
        trace = self._probe.trace if self._step else self._start
        loss = _thinned([[step + 1, value] for step, value in _losses(trace)] if self._step else [])
        right = short.accuracy(self._model, self._splits.validation, self._device)
        if not self._accuracy or self._accuracy[-1][0] != self._step:
            self._accuracy = _thinned([*self._accuracy, [self._step, right]])
        rows = layer_rows(trace)
        signal, saturated = self._theory()
        return View(
            step=self._step,
            loss=loss,
            accuracy=self._accuracy,
            layers=[row["name"] for row in rows],
            signal=_values(rows, "output_grad_norm"),
            saturated=_values(rows, "saturated_fraction"),
            dead=_values(rows, "dead_fraction"),
            predicted_signal=signal,
            predicted_saturated=saturated,
            plane=self._plane(),
            findings=[[f.severity.value, f.symptom.value] for f in self._findings(trace)],
            diverged=bool(self._step) and not np.isfinite(trace.loss[-1]).all(),
        )

    def _findings(self, trace: Trace) -> list[Finding]:
        return diagnose(trace, self._context)

    def _theory(self) -> tuple[list[float], list[float | None]]:
        """Return the predicted signal and saturation, anchored at the output before training."""
        if self._predicted.prediction is None:
            return [], []
        anchor = layer_rows(self._start)[-1]["output_grad_norm"].mean
        rows = self._predicted.rows(anchor, 1)
        saturated = [row.get("predicted_saturated_fraction") for row in rows]
        return (
            [row["predicted_output_grad_norm"].mean for row in rows],
            [None if one is None else one.mean for one in saturated],
        )

    def _plane(self) -> dict[str, Any] | None:
        if self._splits.input_shape != (2,):
            return None
        points = self._splits.train.x
        reach = (1 + _MARGIN) * float(np.abs(points).max())
        axis = torch.linspace(-reach, reach, _CELLS)
        grid = torch.cartesian_prod(axis, axis).flip(1).to(self._device)  # x varies fastest
        training = self._model.training
        self._model.eval()
        with torch.no_grad():
            best = self._model(grid).softmax(1).max(1)
        self._model.train(training)
        shape = (_CELLS, _CELLS)
        return {
            "low": -reach,
            "high": reach,
            "label": best.indices.reshape(shape).tolist(),
            "confidence": [
                [round(value, 3) for value in row] for row in best.values.reshape(shape).tolist()
            ],
        }


def _losses(trace: Trace) -> list[tuple[int, float]]:
    return [
        (int(step), float(value))
        for step, value in zip(trace.steps, trace.loss[:, 0], strict=True)
        if math.isfinite(value)
    ]


def _thinned(curve: list[list[float]]) -> list[list[float]]:
    """Drop every other point until the curve is short enough; the newest stays."""
    while len(curve) > _CURVE:
        curve = curve[:-1][::2] + curve[-1:]
    return curve


def _values(rows: list[dict[str, Any]], name: str) -> list[float | None]:
    found = (row[name].mean if name in row else None for row in rows)
    return [value if value is None or math.isfinite(value) else None for value in found]
