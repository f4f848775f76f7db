"""The variants of each preset, a list each; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nndiag.schema.spec_generalisation import LearningCurveSpec
from nndiag.schema.spec_presets import BatchSizesSpec, PresetSpec, SchedulesSpec
from nndiag.training import growing
from nndiag.training.variants import Variant, rates_axis


def schedules(spec: SchedulesSpec) -> list[Variant]:
    """Return a variant a schedule, `constant` first."""
    names = dict.fromkeys(("constant", *spec.schedules))
    rates = rates_axis(spec, ratio=2)
    return [Variant(label=name, sweep=spec.sweep(f"schedule={name}", rates)) for name in names]


def batch_sizes(spec: BatchSizesSpec, samples: int) -> list[Variant]:
    """Return a variant a batch size, the same grid of rates for all.

    Args:
        samples: of the training set.
    """
    sizes = dict.fromkeys(min(size or samples, samples) for size in spec.sizes)
    rates = rates_axis(spec, ratio=4)
    return [
        Variant(
            label=str(size),
            sweep=spec.sweep(f"batch_size={size}", rates, **_steps(spec, size, samples)),
        )
        for size in sizes
    ]


def _steps(spec: BatchSizesSpec, size: int, samples: int) -> dict[str, int]:
    """Return the steps of a training: epochs of ceil(samples / size) each, or those given."""
    if "steps" in spec.base:
        return {}
    return {"steps": spec.epochs * -(-samples // size)}


_PLANS: Mapping[type[PresetSpec], Callable[[Any], list[Variant]]] = {
    SchedulesSpec: schedules,
    BatchSizesSpec: lambda spec: batch_sizes(spec, 2048),  # whether it can train, not for how long
    LearningCurveSpec: growing.variants,
}


def planned(spec: PresetSpec) -> list[Variant]:
    """Return the variants of any preset."""
    return _PLANS[type(spec)](spec)
