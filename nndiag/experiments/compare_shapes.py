"""`nndiag compare-shapes`: depth against width, constant against pyramid, and overfitting."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis.shape_reading import reading
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.significance import holm, paired_p_value
from nndiag.schema.spec_shapes import COURSE, ShapesSpec
from nndiag.training import configurations, devices, shaping
from nndiag.training.comparing import Trainer, Tuned, accuracies, data_of, summary
from nndiag.zoo import networks

_LEVEL = 0.05


def run(spec: ShapesSpec, *, watch: Watch | None = None) -> Result:
    """Tune the rate of every shape, and follow its losses on training and validation.

    Ctrl-C keeps the shapes that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    variants = shaping.variants(spec)
    trainer = Trainer(variants, watch or Silent(), eval_train=True)
    tuned, interrupted = trainer.until_interrupted(variants)
    course = next((one.variant.label for one in tuned if _units(one) == COURSE), None)
    base = summary(tuned, spec, interrupted, reference=course)
    found = {
        **base,
        "shared": {name: value for name, value in base["shared"].items() if name != "width"},
        "rows": [row | _facts(one, spec) for row, one in zip(base["rows"], tuned, strict=True)],
        "parameters": shaping.budget(spec),
        "gaps": [_gap(one) for one in tuned],
        "pairs": _pairs(tuned),
        "depth": _depth(tuned),
    }
    return Result(
        command="compare-shapes",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, "reading": reading(found)},
        version=__version__,
    )


def _units(one: Tuned) -> tuple[int, ...]:
    return tuple(int(part) for part in str(one.chosen["widths"]).split("-"))


def _facts(one: Tuned, spec: ShapesSpec) -> dict[str, Any]:
    """Return the shape, its gap, and where its validation loss was lowest."""
    record, units = one.members, _units(one)
    train = np.where(record.diverged, 0.0, record.train_accuracy[-1])
    val = np.where(record.diverged, 0.0, record.val_accuracy[-1])
    lowest = np.where(np.isnan(record.val_loss), np.inf, record.val_loss).argmin(axis=0)
    smallest = np.take_along_axis(record.val_loss, lowest[None], axis=0)[0]
    return {
        "kind": shaping.kind_of(one.variant.label),
        "depth": len(units) + 1,
        "units": list(units),
        "parameters": _parameters(one, spec),
        "train_accuracy": interval(train),
        "gap": interval(train - val),
        "lowest_val_loss": interval(smallest),
        "lowest_at": interval(record.evaluated[lowest]),
        "rise": interval(record.val_loss[-1] - smallest),
    }


def _parameters(one: Tuned, spec: ShapesSpec) -> int:
    splits, _data = data_of(spec)
    network = configurations.network(one.chosen)
    model = networks.build(network, splits.input_shape, len(splits.classes))
    return sum(parameter.numel() for parameter in model.parameters())


def _gap(one: Tuned) -> dict[str, Any]:
    """Return validation minus training loss over the steps, of what did not diverge."""
    record = one.members
    kept = slice(None) if record.diverged.all() else ~record.diverged
    with np.errstate(invalid="ignore"):
        gap = (record.val_loss - record.train_loss)[:, kept]
    return {
        "label": one.variant.label,
        "steps": record.evaluated.tolist(),
        "gap": [interval(values) for values in gap],
    }


def _pairs(tuned: Sequence[Tuned]) -> list[dict[str, Any]]:
    """Compare each pyramid with the constant shape of its depth, seed by seed (Holm)."""
    constants = {
        len(_units(one)): accuracies(one.members)
        for one in tuned
        if shaping.kind_of(one.variant.label) == "constant"
    }
    others = [
        (one.variant.label, accuracies(one.members) - constants[len(_units(one))])
        for one in tuned
        if shaping.kind_of(one.variant.label) in ("pyramid", "widening")
        and len(_units(one)) in constants
    ]
    p_values = holm([paired_p_value(gains.tolist()) for _label, gains in others])
    return [
        {"label": label, "gain": interval(gains), "p_value": p_value, "tied": p_value >= _LEVEL}
        for (label, gains), p_value in zip(others, p_values, strict=True)
    ]


def _depth(tuned: Sequence[Tuned]) -> dict[str, Any] | None:
    """Compare the deepest constant shape with the shallowest, seed by seed."""
    constant = [one for one in tuned if shaping.kind_of(one.variant.label) == "constant"]
    if len(constant) < 2:
        return None
    ordered = sorted(constant, key=lambda one: len(_units(one)))
    shallowest, deepest = ordered[0], ordered[-1]
    return {
        "shallowest": shallowest.variant.label,
        "deepest": deepest.variant.label,
        "gain": interval(accuracies(deepest.members) - accuracies(shallowest.members)),
    }
