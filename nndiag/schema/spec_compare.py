"""Specs of the comparisons: many trainings, tuned alike, repeated over seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import (
    DEVICES,
    DataSpec,
    NetworkSpec,
    require_choice,
    require_range,
)

TUNINGS = ("lr", "full")


@dataclass(frozen=True, kw_only=True)
class CompareSpec:
    """What both comparisons share.

    Attributes:
        steps: optimizer steps of every training.
        rates: learning rates tried for each candidate, on a log grid.
        seeds: trainings of each candidate at its best rate.
        target: validation accuracy whose first step is noted.
    """

    network: NetworkSpec = field(default_factory=NetworkSpec)
    data: DataSpec = field(default_factory=DataSpec)
    optimizers: tuple[str, ...] = ("sgd", "momentum", "adam")
    steps: int = 300
    batch_size: int = 64
    rates: int = 4
    seeds: int = 5
    seed: int = 0
    target: float = 0.9
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--device", self.device, DEVICES)
        require_range("--steps", self.steps, 1)
        require_range("--batch-size", self.batch_size, 1)
        require_range("--rates", self.rates, 1, 50)
        require_range("--seeds", self.seeds, 1)
        require_range("--seed", self.seed, 0, 2**62)
        require_range("--target-accuracy", self.target, 0, 1)
        if not self.optimizers:
            raise UsageError(_("--optimizers: got nothing; accepted: names joined by commas"))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class CompareFixesSpec(CompareSpec):
    """One run of `nndiag compare-fixes`; `network` is the broken one.

    Attributes:
        problem: the name under which the broken network was asked for, None for one's own.
        grid_seeds: the first so many seeds choose the learning rate; the others run at the best.
    """

    network: NetworkSpec = field(
        default_factory=lambda: NetworkSpec(width=64, init="xavier_normal")
    )
    problem: str | None = "vanishing"
    grid_seeds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("--grid-seeds", self.grid_seeds, 1, self.seeds)


@dataclass(frozen=True, kw_only=True)
class CompareOptimizersSpec(CompareSpec):
    """One run of `nndiag compare-optimizers`.

    Attributes:
        tune: `lr`, or `full` for the other hyperparameters too.
        show_default: also rank the untuned textbook rates.
    """

    network: NetworkSpec = field(
        default_factory=lambda: NetworkSpec(depth=3, width=32, act="relu", init="he_normal")
    )
    rates: int = 7
    tune: str = "lr"
    show_default: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("--tune", self.tune, TUNINGS)


@dataclass(frozen=True, kw_only=True)
class TrajectorySpec:
    """Paths of optimizers on functions of two variables.

    Attributes:
        surfaces: names of `nndiag.zoo.surfaces`.
        steps: at most so many from each start.
        starts: places that paths begin from, around the surface's own start.
    """

    surfaces: tuple[str, ...]
    optimizers: tuple[str, ...]
    steps: int = 1000
    starts: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(
                _("--steps: got {value}; accepted: a number above 0").format(value=self.steps)
            )
        if self.starts < 2:
            raise UsageError(
                _("--seeds: got {value}; accepted: at least 2").format(value=self.starts)
            )
