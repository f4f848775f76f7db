"""What `nndiag diagnose` draws: loss, rate, gradients by layer, size of the updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nndiag.locales import _
from nndiag.report.panels import Heat, Line, Panel
from nndiag.schema.result import Result

#: Share of the weights that a step changes in a training that learns.
_USUAL_UPDATE = (1e-4, 1e-1)
#: A loss that falls by more than this factor is seen on a logarithmic axis alone.
_WIDE = 10


def title(result: Result) -> str:
    """Return the script with its worst findings."""
    serious = [f.symptom.value for f in result.findings if f.severity.value != "info"]
    said = ", ".join(serious[:3]) or _("no finding of severity warning or more")
    return f"{result.spec.get('script', '')}: {said}".strip(": ")


def diagnose(result: Result) -> Iterator[Panel]:
    """Yield loss with evaluations, rate, gradient norms by layer, updates."""
    numbers = result.result
    yield _loss(numbers)
    yield _series(numbers, "lr", _("Learning rate"), _("learning rate"))
    for model in numbers["models"]:
        if model["output_grad_norm"] and len(model["steps"]) > 1:
            yield _norms(model)
    yield _series(
        numbers,
        "update_ratio",
        _("Size of the updates"),
        _("norm of a step / norm of the weights"),
        usual=_USUAL_UPDATE,
    )


def _loss(numbers: Mapping[str, Any]) -> Panel:
    several = len(numbers["optimizers"]) > 1
    lines = [
        Line(
            x=one["loss"]["steps"],
            y=one["loss"]["values"],
            name=one["kind"] if several else _("training"),
            colour=0 if place == 0 else place + 1,
        )
        for place, one in enumerate(numbers["optimizers"])
        if one["loss"]["values"]
    ]
    known = [e for e in numbers["evaluations"] if np.isfinite(e["loss"]) and not e["seen"] > 0.5]
    if known:
        steps, losses = [e["step"] for e in known], [e["loss"] for e in known]
        lines.append(Line(x=steps, y=losses, name=_("evaluation"), colour=1))
    values = np.array([y for line in lines for y in line.drawable.y], dtype=float)
    return Panel(
        title=_("Loss"),
        x_name=_("optimizer step"),
        y_name=_("loss"),
        lines=lines,
        log_y=bool(values.size) and 0 < _WIDE * values.min() < values.max(),
    )


def _series(
    numbers: Mapping[str, Any],
    name: str,
    heading: str,
    unit: str,
    usual: tuple[float, float] | None = None,
) -> Panel:
    several = len(numbers["optimizers"]) > 1
    lines = [
        Line(
            x=one[name]["steps"],
            y=one[name]["values"],
            name=f"{one['kind']} {place + 1}" if several else "",
            colour=place,
        )
        for place, one in enumerate(numbers["optimizers"])
        if one[name]["values"]
    ]
    return Panel(
        title=heading,
        x_name=_("optimizer step"),
        y_name=unit,
        lines=lines,
        log_y=any(y > 0 for line in lines for y in line.drawable.y),
        usual=usual,
    )


def _norms(model: Mapping[str, Any]) -> Panel:
    """Return the map of a model's gradients; the numbers come as (layers, steps)."""
    return Panel(
        title=_("{name}: output gradient norm by layer").format(name=model["name"]),
        x_name=_("optimizer step"),
        y_name=_("layer (input at the top)"),
        heat=Heat(
            steps=model["steps"],
            names=[layer["name"] for layer in model["layers"]],
            z=list(zip(*model["output_grad_norm"], strict=True)),
            unit=_("output gradient norm"),
            log=True,
        ),
    )
