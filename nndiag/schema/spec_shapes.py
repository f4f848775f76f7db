"""Spec of `nndiag compare-shapes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nndiag.schema.spec import require_range
from nndiag.schema.spec_presets import PresetSpec, require_free, require_some

#: The hidden layers of the MLP that the others are measured by: 512-256-128-64, then the classes.
COURSE = (512, 256, 128, 64)


@dataclass(frozen=True, kw_only=True)
class ShapesSpec(PresetSpec):
    """One run of `nndiag compare-shapes`: few samples, some of them mislabelled, to overfit.

    Attributes:
        shapes: `constant:DEPTH`, `pyramid:DEPTH`, `widening:DEPTH` (weight layers, the output
            included), or the units of each hidden layer, `512-256-128-64`.
        parameters: that the named shapes come nearest to; None for those of COURSE on these data.
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "steps": 300,
        "batch_size": 32,
        "train_samples": 400,
        "label_noise": 0.1,
    }

    rates: int = 4
    target_accuracy: float = 0.8
    shapes: tuple[str, ...] = (
        *("constant:2", "constant:3", "constant:5", "constant:9", "constant:17"),
        *("pyramid:3", "pyramid:5", "pyramid:9", "widening:5"),
    )
    parameters: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some("--shapes", self.shapes)
        for name in ("depth", "width", "widths"):
            require_free(self, name)
        if self.parameters is not None:
            require_range("--parameters", self.parameters, 1, 10**9)
