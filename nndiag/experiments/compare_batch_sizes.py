"""`nndiag compare-batch-sizes`: noise of the gradient, speed, accuracy and memory by batch size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from nndiag import __version__
from nndiag.diagnosis.batch_reading import reading
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec_presets import BatchSizesSpec
from nndiag.schema.spec_sweep import Run
from nndiag.training import devices, presets
from nndiag.training.comparing import Trainer, Tuned, accuracies, data_of, summary
from nndiag.training.gradient_noise import Noise, kept_bytes, noise_at
from nndiag.training.groups import network_of
from nndiag.training.members import TensorData
from nndiag.training.variants import Variant

#: Training samples whose single gradients are looked at, at most.
_MOST_SAMPLES = 2000


def run(spec: BatchSizesSpec, *, watch: Watch | None = None) -> Result:
    """Tune the rate of every size on the same grid, then measure what the size changes.

    Ctrl-C keeps the sizes that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    _splits, data = data_of(spec)
    samples = len(data.train_y)
    variants = presets.batch_sizes(spec, samples)
    trainer = Trainer(variants, watch or Silent())
    tuned, interrupted = trainer.until_interrupted(variants)
    scaled: dict[str, Tuned] = {}
    reference = _reference(spec, tuned)
    if reference is not None and spec.scaling and not interrupted:
        wanted = [_at_scaled_rate(one.variant, reference) for one in tuned]
        trainer = Trainer(wanted, watch or Silent())
        done, interrupted = trainer.until_interrupted(wanted)
        scaled = {one.variant.label: one for one in done}
    base = summary(tuned, spec, interrupted)
    noise = _noise(spec, reference, tuned, data) if reference is not None else None
    rows = [
        row | _facts(one, spec, samples) | _scaling(one, scaled, reference) | _noisy(one, noise)
        for row, one in zip(base["rows"], tuned, strict=True)
    ]
    found = {
        **base,
        "rows": rows,
        "reference": None if reference is None else _reference_facts(reference),
        "noise": noise and _noise_facts(noise),
    }
    return Result(
        command="compare-batch-sizes",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, "reading": reading(found, spec.target_accuracy)},
        version=__version__,
    )


def _reference(spec: BatchSizesSpec, tuned: Sequence[Tuned]) -> Tuned | None:
    """Return the trained size nearest to the reference (in ratio)."""
    return min(
        tuned,
        key=lambda one: abs(np.log(one.chosen["batch_size"] / spec.reference)),
        default=None,
    )


def _reference_facts(one: Tuned) -> dict[str, Any]:
    return {"batch_size": one.chosen["batch_size"], "lr": one.chosen["lr"]}


def _at_scaled_rate(variant: Variant, reference: Tuned) -> Variant:
    """Return the variant at the one rate that linear scaling gives it (Goyal et al. 2017)."""
    size = int(variant.label)
    lr = reference.chosen["lr"] * size / reference.chosen["batch_size"]
    axes = (variant.sweep.axes[0], f"lr={lr:.6g}")
    return replace(variant, sweep=replace(variant.sweep, axes=axes))


def _facts(one: Tuned, spec: BatchSizesSpec, samples: int) -> dict[str, Any]:
    """Return the arithmetic of an epoch, which rates work, and the memory of a step."""
    size, steps = one.chosen["batch_size"], one.chosen["steps"]
    iterations = -(-samples // size)
    splits, data = data_of(spec)
    model = network_of(_run(one, spec, spec.seed), splits, data.train_x.device)
    works = [
        one.score(place)[0] >= spec.target_accuracy for place in range(len(one.configurations))
    ]
    return {
        "iterations_per_epoch": iterations,
        "last_batch": samples - size * (iterations - 1),
        "epochs": steps / iterations,
        "rates_that_work": sum(works),
        "step_bytes": kept_bytes(model, data.train_x[:size], data.train_y[:size]),
    }


def _scaling(
    one: Tuned, scaled: dict[str, Tuned], reference: Tuned | None
) -> dict[str, dict[str, Any] | None]:
    """Return the accuracy at the linearly scaled rate and at the reference's own."""
    own = accuracies(one.members)
    found: dict[str, dict[str, Any] | None] = {"scaled": None, "unscaled": None}
    if reference is None:
        return found
    if one.variant.label in scaled:
        other = scaled[one.variant.label]
        found["scaled"] = _compared(accuracies(other.members), own, other.chosen["lr"])
    lr = reference.chosen["lr"]
    found["unscaled"] = _compared(accuracies(one.of(one.at(lr=lr))), own, lr)
    return found


def _compared(values: np.ndarray, own: np.ndarray, lr: float) -> dict[str, Any]:
    """Return a rate's accuracies and their difference to those of the tuned rate."""
    return {"lr": lr, "test_accuracy": interval(values), "gain": interval(values - own)}


def _run(one: Tuned, spec: BatchSizesSpec, seed: int) -> Run:
    return Run(configuration=one.chosen, seed=seed, split=spec.seed)


def _noise(
    spec: BatchSizesSpec, reference: Tuned, tuned: Sequence[Tuned], data: TensorData
) -> dict[str, list[Noise]]:
    """Measure the noise of every seed's network, before its training and after it."""
    splits, _data = data_of(spec)
    chosen = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(spec.seed))
    chosen = chosen[:_MOST_SAMPLES]
    x, y = data.train_x[chosen], data.train_y[chosen]
    sizes = [one.chosen["batch_size"] for one in tuned]
    found: dict[str, list[Noise]] = {"start": [], "end": []}
    for place in range(spec.seeds):
        seed = spec.seed + place
        model: nn.Module = network_of(_run(reference, spec, seed), splits, x.device)
        found["start"].append(noise_at(model, x, y, sizes, seed))
        if not reference.members.diverged[place]:
            model.load_state_dict(reference.members.state_of(place))
            found["end"].append(noise_at(model, x, y, sizes, seed))
    return found


def _noisy(one: Tuned, noise: dict[str, list[Noise]] | None) -> dict[str, Interval | None]:
    """Return |g_B - g| / |g| by batch size, measured and from the single gradients."""
    size = one.chosen["batch_size"]
    found: dict[str, Interval | None] = {}
    for place, each in (noise or {}).items():
        known = [one for one in each if size in one.measured]
        measured = [(n.measured[size]) ** 0.5 / n.gradient for n in known]
        predicted = [max(n.predicted(size), 0.0) ** 0.5 / n.gradient for n in known]
        suffix = "" if place == "start" else "_end"
        found[f"noise{suffix}"] = interval(measured) if known else None
        found[f"predicted_noise{suffix}"] = interval(predicted) if known else None
    return found


def _noise_facts(noise: dict[str, list[Noise]]) -> dict[str, Any]:
    return {
        place: {
            "gradient_norm": interval([n.gradient for n in each]),
            "simple_scale": interval([n.simple_scale for n in each], log=True),
            "samples": each[0].samples,
        }
        for place, each in noise.items()
        if each
    }
