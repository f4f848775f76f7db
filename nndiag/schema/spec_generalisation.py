"""Specs of what generalises: bias and variance, divisions of the data, learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DEVICES, DataSpec, require_choice, require_positive, require_range
from nndiag.schema.spec_presets import PresetSpec, require_free
from nndiag.schema.spec_principles import PrincipleSpec

TASKS = ("regression", "classification")
#: What makes a model more complex, and the values that are tried of it.
AXES: Mapping[str, tuple[int, ...]] = {
    "degree": (0, 1, 2, 3, 4, 5, 7, 9, 12, 15),
    "width": (1, 2, 4, 8, 16, 64),
    "epochs": (30, 100, 300, 1000, 3000),
}
_FEWER_EPOCHS = (1, 3, 10, 30, 100)


@dataclass(frozen=True, kw_only=True)
class BiasVarianceSpec(PrincipleSpec):
    """Models of growing complexity, each trained on many training sets.

    Attributes:
        task: regression of a known curve, or classification of `data`.
        axis: a key of AXES; `degree` is of polynomials, the others of a network.
        values: of the axis, in growing order.
        samples: of a training set.
        noise: standard deviation of the targets' noise; in classification the share of wrong
            labels.
        sets: training sets of a repetition; `seeds` repetitions give the intervals.
        width: hidden units of the networks where the axis is epochs.
        epochs: passes over the training set where the axis is width; None for the task's usual.
    """

    task: str = "regression"
    axis: str = "degree"
    values: tuple[int, ...] = AXES["degree"]
    samples: int = 30
    noise: float = 0.3
    sets: int = 20
    width: int = 32
    epochs: int | None = None
    data: DataSpec = field(default_factory=DataSpec)
    seeds: int = 10
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("--task", self.task, TASKS)
        require_choice("--axis", self.axis, tuple(AXES))
        require_choice("--device", self.device, DEVICES)
        require_range("--sets", self.sets, 2, 1000)
        require_range("--samples", self.samples, 2, 100_000)
        require_range("--width", self.width, 1, 10_000)
        if self.epochs is not None:
            require_range("--epochs", self.epochs, 1, 100_000)
        if not self.values:
            raise UsageError(_("--values: got nothing; accepted: numbers joined by commas"))
        for value in self.values:
            require_range("--values", value, 0 if self.axis == "degree" else 1, 100_000)
        self._check_task()

    def _check_task(self) -> None:
        if self.task == "classification":
            require_range("--noise", self.noise, 0, 1, open_high=True)
            if self.axis == "degree":
                raise UsageError(
                    _("--axis: degree is for --task regression; accepted: width, epochs")
                )
            return
        require_range("--noise", self.noise, 0)
        if self.axis == "degree" and max(self.values) >= self.samples:
            raise UsageError(
                _(
                    "--values: got {degree}; {samples} samples determine a polynomial of at most "
                    "degree {most}"
                ).format(degree=max(self.values), samples=self.samples, most=self.samples - 1)
            )


def usual_values(axis: str, task: str) -> tuple[int, ...]:
    """Return the values of an axis that are tried where none are asked for."""
    if axis == "epochs" and task == "classification":
        return _FEWER_EPOCHS
    return AXES.get(axis, ())


@dataclass(frozen=True, kw_only=True)
class SplitSpec(PrincipleSpec):
    """A division of the data into training, validation and test.

    Attributes:
        fractions: shares of the three (or of training and test).
        seeds: divisions, by class and at random, whose class shares are compared.
    """

    data: DataSpec = field(default_factory=DataSpec)
    fractions: tuple[float, ...] = (0.6, 0.2, 0.2)
    seeds: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        right = len(self.fractions) in (2, 3) and all(0 < part < 1 for part in self.fractions)
        if not right or not math.isclose(sum(self.fractions), 1, abs_tol=1e-9):
            raise UsageError(
                _(
                    "--fractions: got {given}; accepted: two or three shares that add up to 1, "
                    "such as 0.6,0.2,0.2"
                ).format(given=",".join(f"{part:g}" for part in self.fractions))
            )


@dataclass(frozen=True, kw_only=True)
class LearningCurveSpec(PresetSpec):
    """One run of `nndiag learning-curve`: trainings on more and more of the training split.

    Attributes:
        sizes: samples, or up to 1 shares of the training split; in growing order.
        wider: how many times the width that is trained on the largest size for comparison.
    """

    usual: ClassVar[Mapping[str, Any]] = {"optimizer": "adam"}

    sizes: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25, 0.5, 1)
    wider: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_free(self, "train_samples")
        require_range("--wider", self.wider, 2, 1000)
        if len(set(self.sizes)) < 2:
            raise UsageError(_("--sizes: got one; accepted: two or more, joined by commas"))
        for size in self.sizes:
            require_positive("--sizes", size)
            if size > 1 and not float(size).is_integer():
                raise UsageError(
                    _("--sizes: got {size:g}; accepted: whole numbers, or shares up to 1").format(
                        size=size
                    )
                )
