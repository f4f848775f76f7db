"""The variants of each preset, a list each; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nndiag.schema.spec_presets import PresetSpec, SchedulesSpec
from nndiag.training.variants import Variant, rates_axis


def schedules(spec: SchedulesSpec) -> list[Variant]:
    """Return a variant a schedule, `constant` first."""
    names = dict.fromkeys(("constant", *spec.schedules))
    rates = rates_axis(spec, ratio=2)
    return [Variant(label=name, sweep=spec.sweep(f"schedule={name}", rates)) for name in names]


_PLANS: Mapping[type[PresetSpec], Callable[[Any], list[Variant]]] = {SchedulesSpec: schedules}


def planned(spec: PresetSpec) -> list[Variant]:
    """Return the variants of any preset."""
    return _PLANS[type(spec)](spec)
