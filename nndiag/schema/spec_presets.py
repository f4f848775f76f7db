"""Specs of the presets: trainings that differ in one thing, each with its own tuned rate."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from nndiag.locales import _
from nndiag.schema.axes import KINDS
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DEVICES, require_choice, require_positive, require_range
from nndiag.schema.spec_sweep import SweepSpec


@dataclass(frozen=True, kw_only=True)
class PresetSpec:
    """What all presets share.

    Attributes:
        base: settings of every training by axis name, as given; the rest is `usual`, then the
            defaults of a sweep.
        rates: learning rates tried for each variant, on a log grid around the textbook rate.
        seeds: trainings of each configuration, with seeds seed, seed + 1, ...
        target_accuracy: validation accuracy whose first step is noted.
        target: column or array of the labels in a file of the user's.
    """

    usual: ClassVar[Mapping[str, Any]] = {}

    base: Mapping[str, Any] = field(default_factory=dict)
    rates: int = 5
    seeds: int = 5
    seed: int = 0
    target_accuracy: float = 0.9
    data_root: str | None = None
    target: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--device", self.device, DEVICES)
        require_range("--rates", self.rates, 1, 50)
        require_range("--seeds", self.seeds, 2, 1000)
        require_range("--seed", self.seed, 0, 2**62)
        require_range("--target-accuracy", self.target_accuracy, 0, 1)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of every training: those given before the usual ones."""
        return {**self.usual, **self.base}

    def sweep(self, *axes: str, **changed: Any) -> SweepSpec:
        """Return the sweep over these axes (as typed, `lr=0.1,0.3`), all else as every training.

        Args:
            changed: settings in place of the shared ones.
        """
        varied = {axis.partition("=")[0] for axis in axes}
        shared = {**self.settings, **changed}
        return SweepSpec(
            axes=axes,
            base={name: value for name, value in shared.items() if name not in varied},
            seeds=self.seeds,
            seed=self.seed,
            data_root=self.data_root,
            target=self.target,
            device=self.device,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def require_free(spec: PresetSpec, name: str) -> None:
    """Raise UsageError where a setting is given that the preset itself varies."""
    if name in spec.base:
        raise UsageError(
            _("--{option}: it is what this command varies; leave it out").format(
                option=name.replace("_", "-")
            )
        )


def require_some(option: str, values: tuple[Any, ...]) -> None:
    """Raise UsageError for an empty list."""
    if not values:
        raise UsageError(
            _("{option}: got nothing; accepted: names joined by commas").format(option=option)
        )


@dataclass(frozen=True, kw_only=True)
class SchedulesSpec(PresetSpec):
    """One run of `nndiag compare-schedules`; `constant` is always among the schedules."""

    usual: ClassVar[Mapping[str, Any]] = {"optimizer": "momentum", "batch_size": 8, "steps": 600}

    rates: int = 7
    schedules: tuple[str, ...] = (
        *("constant", "step", "halving", "exponential", "inverse", "cosine", "one_cycle"),
        *("warmup", "warmup_cosine", "plateau"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some("--schedules", self.schedules)
        require_free(self, "schedule")


@dataclass(frozen=True, kw_only=True)
class BatchSizesSpec(PresetSpec):
    """One run of `nndiag compare-batch-sizes`.

    Attributes:
        sizes: 0 stands for the whole training set; larger ones than that are the whole set too.
        epochs: passes over the training set, the same for every size; with `steps` in `base` the
            steps are the same instead.
        reference: the size whose best rate is scaled in proportion to the others.
        scaling: also train each size at that scaled rate.
    """

    rates: int = 7
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 0)
    epochs: int = 8
    reference: int = 32
    scaling: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_free(self, "batch_size")
        require_some("--batch-sizes", self.sizes)
        require_range("--epochs", self.epochs, 1, 100_000)
        require_range("--reference", self.reference, 1)
        for size in self.sizes:
            require_range("--batch-sizes", size, 0)


@dataclass(frozen=True, kw_only=True)
class LrFindSpec(PresetSpec):
    """One run of `nndiag lr-find`.

    Attributes:
        low, high: where the rate begins and ends.
        range_steps: of the test.
        rates: fixed rates that are trained to check it.
    """

    usual: ClassVar[Mapping[str, Any]] = {"steps": 200}

    rates: int = 9
    low: float = 1e-5
    high: float = 10.0
    range_steps: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        require_free(self, "lr")
        require_free(self, "schedule")
        require_range("--rates", self.rates, 3, 50)
        require_positive("--low", self.low)
        require_positive("--high", self.high)
        require_range("--range-steps", self.range_steps, 20, 1_000_000)
        if self.high < 10 * self.low:
            raise UsageError(
                _("--high: got {high:g}; accepted: at least 10 times --low, {low:g}").format(
                    high=self.high, low=10 * self.low
                )
            )


@dataclass(frozen=True, kw_only=True)
class InitsSpec(PresetSpec):
    """One run of `nndiag compare-inits`."""

    usual: ClassVar[Mapping[str, Any]] = {"depth": 10, "width": 64}

    inits: tuple[str, ...] = (
        *("zeros", "constant:0.1", "normal:0.01", "normal", "torch", "xavier_normal"),
        *("lecun_normal", "he_normal", "orthogonal", "lsuv"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some("--inits", self.inits)
        require_free(self, "init")


@dataclass(frozen=True, kw_only=True)
class ActivationsSpec(PresetSpec):
    """One run of `nndiag compare-activations`.

    Attributes:
        activations: each with the initialisation that goes with it, unless `base` has one.
    """

    usual: ClassVar[Mapping[str, Any]] = {"depth": 5, "optimizer": "momentum"}

    rates: int = 6
    activations: tuple[str, ...] = (
        *("sigmoid", "tanh", "softsign", "relu", "leaky_relu", "elu", "selu", "gelu", "silu"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some("--activations", self.activations)
        require_free(self, "act")


#: What holds a network back, with the strengths that are tried; `cnn` stands for its own family.
REGULARIZERS = (
    *("l1", "l2", "weight_decay", "dropout", "batch_norm", "noise", "augment", "smaller"),
    *("early_stopping", "cnn"),
)


@dataclass(frozen=True, kw_only=True)
class RegularizersSpec(PresetSpec):
    """One run of `nndiag compare-regularizers`; without any is always among them.

    Attributes:
        regularizers: names of REGULARIZERS.
        patience: evaluations (20 a training) without improvement after which training stops.
        min_delta: how much smaller the validation loss must be.
        restore_best: end with the best weights.
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "width": 128,
        "steps": 600,
        "batch_size": 32,
        "train_samples": 200,
        "label_noise": 0.2,
    }

    rates: int = 3
    target_accuracy: float = 0.8
    regularizers: tuple[str, ...] = REGULARIZERS
    patience: int = 3
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some("--regularizers", self.regularizers)
        for name in self.regularizers:
            require_choice("--regularizers", name, REGULARIZERS)
        require_range("--patience", self.patience, 1)
        require_range("--min-delta", self.min_delta, 0)


def sweep_command(spec: SweepSpec) -> str:
    """Return the `nndiag sweep` command that runs a sweep, options at their default left out."""
    words = ["nndiag sweep", *map(shlex.quote, spec.axes)]
    given = {name: spec.base[name] for name in KINDS if name in spec.base}
    given |= {name: getattr(spec, name) for name in ("data_root", "target", "seeds", "seed")}
    usual = {"seeds": SweepSpec.seeds, "seed": SweepSpec.seed}
    words += [
        _option(name, value)
        for name, value in given.items()
        if value is not None and value != usual.get(name)
    ]
    return " ".join(words)


def _option(name: str, value: Any) -> str:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return option if value else option.replace("--", "--no-", 1)
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return f"{option} {shlex.quote(text)}"
