"""A sweep: its description, the runs that it consists of, and what each run gave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nndiag.locales import _
from nndiag.schema.axes import Axis, grid, parse_all, sample
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DEVICES, require_choice, require_range

#: Metrics by name, and whether a higher value is better.
METRICS: Mapping[str, bool] = {
    "val_accuracy": True,
    "val_loss": False,
    "test_accuracy": True,
    "test_loss": False,
    "train_loss": False,
}
_KEY_LENGTH = 24

Configuration = Mapping[str, Any]


def key(value: Any, version: str) -> str:
    """Return a stable name for plain data under a version: the same everywhere and always.

    The first hexadecimal digits of the SHA-256 of the canonical JSON (keys sorted, no spaces,
    UTF-8) of value and version. Numbers that are equal have one form: 1 and 1.0 do not differ.
    """
    from nndiag.schema.result import plain  # loads numpy, which help does without

    canonical = json.dumps(
        [version, _canonical(plain(value))],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_LENGTH]


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a sweep.

    Attributes:
        configuration: every setting by the name of its axis, complete.
        seed: of the weights, the data order and the dropout.
        split: seed of the division of the data.
        fold: place of the fold that is held out, of `folds`; None without cross-validation.
    """

    configuration: Configuration
    seed: int
    split: int = 0
    fold: int | None = None
    folds: int | None = None

    @property
    def steps(self) -> int:
        return int(self.configuration["steps"])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def key(self, version: str) -> str:
        """Return the run's stable name."""
        return key(self.to_dict(), version)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a run.

    Attributes:
        metrics: those of `METRICS`, NaN where there is none; `samples` is how many the test split
            (under cross-validation the fold held out) has.
        diverged: whether loss or gradient became non-finite.
        seconds: the run's share of the wall time.
        error: why it failed, empty where it did not.
    """

    run: Run
    metrics: Mapping[str, float] = field(default_factory=dict)
    diverged: bool = False
    seconds: float = 0.0
    error: str = ""

    def score(self, metric: str) -> float:
        """Return the metric; after a divergence the worst that it can be."""
        if self.diverged:
            return 0.0 if METRICS[metric] else float("inf")
        return float(self.metrics[metric])


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """One run of `nndiag sweep`; on what and how fast it runs is not part of it.

    Attributes:
        axes: each as typed, `lr=log:1e-4:1:9`.
        base: settings that do not vary, by axis name; the rest has defaults.
        seeds: trainings of each configuration (and fold), with seeds seed, seed + 1, ...
        metric: what decides which configuration is better.
        samples: configurations drawn at random; None for the whole grid.
        halving: successive halving instead of full trainings for all.
        folds: parts of a stratified cross-validation; None for the fixed split.
        target: column or array of the labels in a file of the user's.
    """

    axes: tuple[str, ...]
    base: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 5
    seed: int = 0
    metric: str = "val_accuracy"
    samples: int | None = None
    halving: bool = False
    folds: int | None = None
    data_root: str | None = None
    target: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--metric", self.metric, tuple(METRICS))
        require_choice("--device", self.device, DEVICES)
        require_range("--seeds", self.seeds, 1, 10_000)
        require_range("--seed", self.seed, 0, 2**62)
        if self.samples is not None:
            require_range("--samples", self.samples, 1, 100_000)
        if self.folds is not None:
            require_range("--cv", self.folds, 2, 1000)
        if not self.axes:
            raise UsageError(
                _("sweep: got no axis; accepted: AXIS=VALUES, such as lr=log:1e-4:1:9")
            )
        for axis in self.parsed:
            if axis.name in self.base:
                raise UsageError(
                    _("{axis}: given as an axis and as an option; leave one out").format(
                        axis=axis.name
                    )
                )
        if self.halving and any(axis.name == "steps" and axis.varies for axis in self.parsed):
            raise UsageError(_("steps: --halving decides the steps; give one number"))

    @property
    def parsed(self) -> tuple[Axis, ...]:
        """The axes, read."""
        return parse_all(self.axes)

    @property
    def shown(self) -> list[str]:
        """The axes that tell configurations apart; where there is but one, all of them."""
        axes = self.parsed
        return [axis.name for axis in axes if axis.varies] or [axis.name for axis in axes]

    def combinations(self) -> list[dict[str, Any]]:
        """Return the settings that vary, a dictionary a configuration."""
        if self.samples is None:
            return grid(self.parsed)
        return sample(self.parsed, self.samples, self.seed)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SweepSpec:
        """Read back what `to_dict` gave, also after a passage through JSON."""
        return cls(**{**values, "axes": tuple(values["axes"])})
