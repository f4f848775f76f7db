"""The variants of each preset, a list each; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nndiag import datasets
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_generalisation import LearningCurveSpec
from nndiag.schema.spec_presets import (
    REGULARIZERS,
    ActivationsSpec,
    BatchSizesSpec,
    InitsSpec,
    LrFindSpec,
    PresetSpec,
    RegularizersSpec,
    SchedulesSpec,
)
from nndiag.schema.spec_shapes import ShapesSpec
from nndiag.training import configurations, growing, shaping
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


def regularizers(spec: RegularizersSpec) -> list[Variant]:
    """Return a variant a regulariser, none of them first; strength and rate are tuned together."""
    settings = configurations.complete(spec.settings)
    rates, width = rates_axis(spec), settings["width"]
    copies = "augment=4,16"
    stop = {
        "patience": spec.patience,
        "min_delta": spec.min_delta,
        "restore_best": spec.restore_best,
    }
    table: Mapping[str, tuple[tuple[str, ...], dict[str, Any]]] = {
        "l1": (("l1=0.3,1,3",), {}),
        "l2": (("l2=1,3,10",), {}),
        "weight_decay": (("weight_decay=1,3,10",), {"optimizer": "adamw"}),
        "dropout": (("dropout=0.2,0.5,0.7",), {}),
        "batch_norm": (("norm=batch",), {}),
        "noise": (("noise=0.5,1,2",), {}),
        "augment": ((copies,), {}),
        "smaller": (("width=" + ",".join(str(max(1, width // k)) for k in (16, 8, 4)),), {}),
        "early_stopping": ((f"patience={spec.patience}",), stop),
    }
    chosen = _possible(spec)
    found = [Variant(label="none", sweep=spec.sweep(rates))]
    found += [
        Variant(label=name, sweep=spec.sweep(*axes, rates, **changed))
        for name, (axes, changed) in table.items()
        if name in chosen
    ]
    return [*found, *(_convolutional(spec) if "cnn" in chosen else [])]


def _possible(spec: RegularizersSpec) -> tuple[str, ...]:
    """Return the regularisers that were asked for; of all, those that the data allow."""
    if spec.regularizers != REGULARIZERS:
        return spec.regularizers
    data = DataSpec(name=spec.settings.get("data", "digits"), root=spec.data_root)
    images = len(datasets.load(replace(data, target=spec.target), seed=spec.seed).input_shape) == 3
    return tuple(name for name in REGULARIZERS if images or name not in ("augment", "cnn"))


#: The small network whose channels are dropped.
_CNN: Mapping[str, Any] = {"net": "cnn", "depth": 4, "width": 16, "norm": "batch", "steps": 200}


def _convolutional(spec: RegularizersSpec) -> list[Variant]:
    changed = {name: value for name, value in _CNN.items() if name not in spec.base}
    settings = {**changed, "net": "cnn", "init": "he_normal", "act": "relu"}
    rates = "lr=0.003,0.01"
    table = {"cnn": (), "cnn, dropout": ("dropout=0.1,0.3",), CNN_SPATIAL: (SPATIAL,)}
    return [
        Variant(label=name, sweep=spec.sweep(*axes, rates, **settings))
        for name, axes in table.items()
    ]


CNN_SPATIAL, SPATIAL = "cnn, spatial dropout", "spatial_dropout=0.1,0.3"


def decays(spec: RegularizersSpec, samples: int, strength: float) -> list[Variant]:
    """Return trainings with the penalty l2/N sum w^2 and with weight decay of the same 2 l2/N.

    Args:
        samples: N.
        strength: l2.
    """
    pairs = (("adam", "adamw", 1e-3), ("sgd", "sgd", 0.1))
    decay = f"weight_decay={2 * strength / samples:.12g}"
    return [
        variant
        for plain, decayed, lr in pairs
        for variant in (
            Variant(label=plain, sweep=spec.sweep(f"lr={lr:g}", optimizer=plain)),
            Variant(
                label=f"{plain}, penalty",
                sweep=spec.sweep(f"l2={strength:g}", f"lr={lr:g}", optimizer=plain),
            ),
            Variant(
                label=f"{decayed}, decay",
                sweep=spec.sweep(decay, f"lr={lr:g}", optimizer=decayed),
            ),
        )
    ]


def rising(spec: LrFindSpec) -> Variant:
    """Return the range test: a rate that rises from the lowest to the highest."""
    ratio = spec.high / spec.low
    sweep = spec.sweep(f"lr={spec.low:.12g}", schedule=f"rise:{ratio:.12g}", steps=spec.range_steps)
    return Variant(label="range test", sweep=sweep)


#: How far below the steepest rate a rate is plainly too small.
_SMALL = 30


def fixed_rates(
    spec: LrFindSpec, steepest: float, suggested: float, too_large: float
) -> tuple[list[Variant], Variant]:
    """Return a training too slow, one good, one too fast; and a grid of rates between."""
    small = steepest / _SMALL
    three = {"too small": small, "good": suggested, "too large": too_large}
    points = [small * (too_large / small) ** (k / (spec.rates - 1)) for k in range(spec.rates)]
    grid = "lr=" + ",".join(f"{rate:.3g}" for rate in points)
    return (
        [Variant(label=name, sweep=spec.sweep(f"lr={lr:.3g}")) for name, lr in three.items()],
        Variant(label="fixed rates", sweep=spec.sweep(grid)),
    )


def inits(spec: InitsSpec) -> list[Variant]:
    """Return a variant an initialisation."""
    rates = rates_axis(spec)
    return [Variant(label=name, sweep=spec.sweep(f"init={name}", rates)) for name in spec.inits]


def activations(spec: ActivationsSpec) -> list[Variant]:
    """Return a variant an activation, its own initialisation with it."""
    rates = rates_axis(spec)
    return [
        Variant(label=name, sweep=spec.sweep(f"act={name}", rates)) for name in spec.activations
    ]


_PLANS: Mapping[type[PresetSpec], Callable[[Any], list[Variant]]] = {
    SchedulesSpec: schedules,
    ShapesSpec: shaping.variants,
    InitsSpec: inits,
    ActivationsSpec: activations,
    LrFindSpec: lambda spec: [rising(spec)],
    RegularizersSpec: regularizers,
    BatchSizesSpec: lambda spec: batch_sizes(spec, 2048),  # whether it can train, not for how long
    LearningCurveSpec: growing.variants,
}


def planned(spec: PresetSpec) -> list[Variant]:
    """Return the variants of any preset."""
    return _PLANS[type(spec)](spec)
