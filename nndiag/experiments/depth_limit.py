"""`nndiag depth-limit`: plain networks of growing depth by method, and why all but one stop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nndiag import __version__, datasets
from nndiag.datasets.splits import Splits
from nndiag.diagnosis.depth_reading import reading
from nndiag.locales import _
from nndiag.schema.progress import Silent, Tally, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.spec_depth import DepthLimitSpec
from nndiag.theory import activations as functions
from nndiag.theory.spectrum import directions, predicted_spread, spread
from nndiag.training import devices, initial, prediction
from nndiag.training.jacobian import hidden_singular_values
from nndiag.training.members import Settings, TensorData
from nndiag.training.tuning import Bench, Candidate, Request, Trainings, tuned
from nndiag.zoo.deep_methods import DEEP_METHODS, DeepMethod

#: A method that answers no better than three times chance is not tried at greater depths.
_LOST = 3.0
_EVALUATIONS = 5


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One method at one depth."""

    method: DeepMethod
    network: NetworkSpec
    trainings: Trainings

    @property
    def accuracy(self) -> np.ndarray:
        """Return the (S,) test accuracies at the best rate."""
        places = self.trainings.at(self.trainings.best_rate)
        return np.asarray(self.trainings.record.test_accuracy[places])


def run(spec: DepthLimitSpec, *, watch: Watch | None = None) -> Result:
    """Train every method at every depth, and measure what its layers do to a gradient.

    Ctrl-C keeps what is complete (`result.interrupted` is then True).

    Raises:
        UsageError: a method, a file or the device cannot be used.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    methods = [DEEP_METHODS.get(name, "--methods") for name in spec.methods or DEEP_METHODS.names]
    device = devices.resolve(spec.device)
    splits = datasets.load(spec.data, seed=spec.seed, progress=watch)
    data = TensorData.of(splits, device)
    rows: list[dict[str, Any]] = []
    interrupted = False
    try:
        for depth in sorted(set(spec.depths)):
            alive = [method for method in methods if not _is_lost(method, rows, splits)]
            cells = _trained(alive, depth, spec, splits, data, watch)
            rows.extend(_row(cell, spec, splits, device) for cell in cells)
    except KeyboardInterrupt:
        interrupted = True
    order = {method.name: place for place, method in enumerate(methods)}
    rows.sort(key=lambda row: (row["depth"], order[row["method"]]))
    return Result(
        command="depth-limit",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result={
            "data": splits.name,
            "chance": 1 / len(splits.classes),
            "rows": rows,
            "reading": reading(rows, spec),
            "interrupted": interrupted,
        },
        version=__version__,
    )


def _is_lost(method: DeepMethod, rows: Sequence[dict[str, Any]], splits: Splits) -> bool:
    own = [row["test_accuracy"].mean for row in rows if row["method"] == method.name]
    return bool(own) and own[-1] < _LOST / len(splits.classes)


def _trained(
    methods: Sequence[DeepMethod],
    depth: int,
    spec: DepthLimitSpec,
    splits: Splits,
    data: TensorData,
    watch: Watch,
) -> Iterator[_Cell]:
    """Yield each method's trainings; those of one structure are one population."""
    rates = {method.name: spec.rates if method.tuned else 1 for method in methods}
    seeds = spec.seeds_at(depth)
    total = sum(count + len(seeds) - 1 for count in rates.values()) * spec.steps
    tally = Tally(watch, _("{depth} layers: training steps").format(depth=depth), total)
    settings = Settings(
        optimizer="adam",
        steps=spec.steps,
        batch_size=spec.batch_size,
        eval_every=max(1, spec.steps // _EVALUATIONS),
    )
    bench = Bench(splits=splits, data=data, settings=settings, progress=tally.add)
    for structure in dict.fromkeys((method.act, method.norm) for method in methods):
        alike = [method for method in methods if (method.act, method.norm) == structure]
        networks = [method.network(depth, spec.width, spec.gain_at(depth)) for method in alike]
        requests = [
            Request(
                candidate=Candidate(network=network),
                rates=_rates(spec.rate_at(depth), rates[method.name]),
                seeds=seeds,
            )
            for method, network in zip(alike, networks, strict=True)
        ]
        for method, network, found in zip(
            alike, networks, tuned(requests, bench, choosing=1), strict=True
        ):
            yield _Cell(method=method, network=network, trainings=found)


def _rates(first: float, count: int) -> list[float]:
    """Return first, 3 first, 10 first, ..."""
    return [float(f"{first * 10 ** (place / 2):.2g}") for place in range(count)]


def _row(cell: _Cell, spec: DepthLimitSpec, splits: Splits, device: torch.device) -> dict[str, Any]:
    record, best = cell.trainings.record, cell.trainings.best_rate
    depth = cell.network.depth
    accuracy = interval(cell.accuracy)
    return {
        "label": f"{cell.method.name}, {depth}",
        "method": cell.method.name,
        "depth": depth,
        "init": cell.network.init,
        "reference": cell.method.paper,
        "gain": spec.gain_at(depth) if cell.method.critical else None,
        "lr": best,
        "test_accuracy": accuracy,
        "trained": accuracy.mean >= spec.target,
        **_jacobian(cell, spec, splits, device),
        "diverged": int(record.diverged.sum()),
        "trainings": len(cell.trainings.rates),
        "seconds": float(record.seconds[cell.trainings.at(best)].mean()),
    }


def _jacobian(
    cell: _Cell, spec: DepthLimitSpec, splits: Splits, device: torch.device
) -> dict[str, Any]:
    """Return what the hidden layers do to a gradient at initialisation, beside theory."""
    last = cell.network.depth - 2
    layers = [*(2**k for k in range((2 * last // 3).bit_length())), last]
    seeds = spec.seeds_at(cell.network.depth)
    drawn = initial.networks_by_seed(cell.network, splits, seeds, spec.batch_size, device)
    values = np.stack([hidden_singular_values(model, x, layers) for _seed, model, x, _y in drawn])
    scale = np.sqrt((values**2).mean(-1))
    found: dict[str, Any] = {
        "gradient_change": interval(scale[:, -1], log=True),
        "directions": interval(directions(values)[:, -1]),
        "layers": layers,
        "spread": _intervals(spread(values)),
        "directions_by_layer": _intervals(directions(values)),
        "singular_values": values[0, -1],
    }
    expected = prediction.predict(cell.network, splits).prediction
    function = functions.function(cell.network.act)
    if expected is not None and function is not None:
        places = np.array(layers) - 1
        found["predicted_gradient_change"] = float(np.exp(0.5 * expected.log_chi[:last].sum()))
        spreads = predicted_spread(
            function,
            expected.second_moment[:last],
            orthogonal=cell.network.init.startswith("orthogonal"),
        )
        found["predicted_spread"] = spreads[places]
    return found


def _intervals(values: np.ndarray) -> list[Interval]:
    """Return the interval over seeds of each of (S, P) values."""
    return [interval(column) for column in values.T]
