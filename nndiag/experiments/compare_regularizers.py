"""`nndiag compare-regularizers`: what holds overfitting back, and what it does to the weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from nndiag import __version__
from nndiag.diagnosis.regularizer_reading import reading
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_presets import RegularizersSpec
from nndiag.training import devices, presets
from nndiag.training.comparing import (
    Trainer,
    Tuned,
    accuracies,
    data_of,
    norms,
    rows,
    sparsity,
    summary,
)

#: Weights closer to zero than this count as zero (gradient steps hardly ever hit it exactly).
ZERO = 1e-3
#: lambda of the penalty that is set beside weight decay.
_STRENGTH = 3.0
#: Draws of the dropout mask, and how many units they are drawn for.
_MASKS, _UNITS = 400, 256


def run(spec: RegularizersSpec, *, watch: Watch | None = None) -> Result:
    """Tune strength and rate of every regulariser, repeat over seeds, and look at the weights.

    Ctrl-C keeps the regularisers that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    _splits, data = data_of(spec)
    samples = len(data.train_y)
    variants = presets.regularizers(spec)
    pairs = presets.decays(spec, samples, _STRENGTH)
    trainer = Trainer([*variants, *pairs], watch or Silent(), eval_train=True)
    tuned, interrupted = trainer.until_interrupted(variants)
    decays: list[Tuned] = []
    if not interrupted:
        decays, interrupted = trainer.until_interrupted(pairs)
    found = {
        **summary(tuned, spec, interrupted, reference="none"),
        "shared": _shared(tuned),
        "rows": _rows(tuned, spec),
        "zero": ZERO,
        "decay": [_weights(one) | {"label": one.variant.label} for one in decays],
        "decay_strength": {"l2": _STRENGTH, "weight_decay": 2 * _STRENGTH / samples},
        "dropout": _expectation(0.5, spec.seed),
        "balls": _balls(),
    }
    return Result(
        command="compare-regularizers",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, "reading": reading(found)},
        version=__version__,
    )


def _shared(tuned: Sequence[Tuned]) -> dict[str, Any]:
    """Return the settings of the training without any regulariser."""
    plain = tuned[0].chosen if tuned else {}
    return {name: value for name, value in plain.items() if name != "lr" and value is not None}


def _rows(tuned: Sequence[Tuned], spec: RegularizersSpec) -> list[dict[str, Any]]:
    """Return the rows; convolutional networks are compared with the plain one of them."""
    dense = [one for one in tuned if not one.variant.label.startswith("cnn")]
    convolved = [one for one in tuned if one not in dense]
    table = [*rows(dense, spec, "none"), *rows(convolved, spec, "cnn")]
    return [row | _weights(one) for row, one in zip(table, [*dense, *convolved], strict=True)]


def _weights(one: Tuned) -> dict[str, Any]:
    """Return the gap between training and validation, norm and sparsity, and where it stopped."""
    record = one.members
    stopped = np.where(record.stopped < 0, one.chosen["steps"], record.stopped)
    return {
        "train_accuracy": interval(record.train_accuracy[-1]),
        "gap": interval(record.train_accuracy[-1] - record.val_accuracy[-1]),
        "test_accuracy": interval(accuracies(record)),
        "weight_norm": interval(norms(record)),
        "sparsity": interval(sparsity(record, ZERO)),
        "stopped_at": interval(stopped) if one.chosen["patience"] is not None else None,
        "chosen": {
            axis.name: one.chosen[axis.name]
            for axis in one.variant.sweep.parsed
            if axis.name != "lr"
        },
    }


def _expectation(probability: float, seed: int) -> dict[str, Any]:
    """Measure the mean of dropped outputs over their own, with and without division by 1 - p."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.rand(_UNITS, generator=generator)
    layer = nn.Dropout(probability)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn = torch.stack([layer(outputs) for _mask in range(_MASKS)])
    inverted = (drawn.mean(1) / outputs.mean()).numpy()
    assert torch.equal(layer.eval()(outputs), outputs)
    return {
        "p": probability,
        "masks": _MASKS,
        "inverted": interval(inverted),
        "plain": interval(inverted * (1 - probability)),
    }


def _balls(size: float = 1.0) -> dict[str, Any]:
    """Return a loss of two weights and its minimum within |w1| + |w2| <= 1 and w1^2 + w2^2 <= 1.

    The loss is a bowl whose own minimum lies outside both; within each ball the smallest value
    lies on the edge, which is searched.
    """
    centre, curvature = np.array([0.6, 1.8]), np.array([[1.0, -0.3], [-0.3, 1.0]])

    def loss(points: np.ndarray) -> np.ndarray:
        away = points - centre
        return np.einsum("...i,ij,...j->...", away, curvature, away)

    angles = np.linspace(0, 2 * np.pi, 2001)
    circle = size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    diamond = circle / np.abs(circle).sum(axis=1, keepdims=True) * size
    axis = np.linspace(-1.5, 2.5, 81)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    return {
        "x": axis.tolist(),
        "y": axis.tolist(),
        "loss": np.sqrt(loss(grid)).tolist(),
        "minimum": centre.tolist(),
        "edges": {
            "l1": {"x": diamond[::10, 0].tolist(), "y": diamond[::10, 1].tolist()},
            "l2": {"x": circle[::10, 0].tolist(), "y": circle[::10, 1].tolist()},
        },
        "touch": {
            "l1": diamond[loss(diamond).argmin()].tolist(),
            "l2": circle[loss(circle).argmin()].tolist(),
        },
    }
