"""What a preset compares: variants, each a small sweep; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_presets import PresetSpec
from nndiag.schema.spec_sweep import SweepSpec
from nndiag.training import configurations
from nndiag.zoo import optimizers

#: From one learning rate of a grid to the next.
RATIO = 10**0.5


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One thing to compare.

    Attributes:
        sweep: its configurations, usually learning rates; the best on validation stands for it.
    """

    label: str
    sweep: SweepSpec


def rates_axis(spec: PresetSpec, centre: float | None = None, ratio: float = RATIO) -> str:
    """Return the axis of learning rates: around `centre`, or the one that was given.

    Args:
        centre: None for the optimizer's textbook rate.
        ratio: from one rate to the next.
    """
    settings = configurations.complete(spec.settings)
    if "lr" in spec.settings:
        return f"lr={settings['lr']:.12g}"
    if centre is None:
        centre = optimizers.parse(settings["optimizer"], "optimizer").lr or 1e-3
    first = -((spec.rates - 1) // 2)
    return "lr=" + ",".join(f"{centre * ratio ** (first + k):.3g}" for k in range(spec.rates))


def check(variants: Sequence[Variant]) -> None:
    """Raise UsageError for what cannot be trained."""
    for one in variants:
        sweep = one.sweep
        data = DataSpec(root=sweep.data_root, target=sweep.target)
        configurations.check(configurations.asked(sweep), None, data)
