"""The verdict in words, every one of them following from a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity
from nndiag.schema.result import Interval


def verdict(
    numbers: Mapping[str, Any],
    findings: Sequence[Finding],
    commands: Sequence[str],
    *,
    tried: int = 0,
    recurrent: bool = False,
) -> dict[str, Any]:
    """Return the headline, the reasons (a sentence each) and the commands to try next.

    Args:
        commands: those that were found to cure.
        tried: how many changes were measured to find them.
    """
    serious = [f for f in findings if f.severity.rank >= Severity.WARNING.rank]
    headline = (
        ", ".join(f"{finding.symptom.value} ({finding.severity.value})" for finding in serious)
        if serious
        else _("healthy: no finding of severity warning or more")
    )
    why = [finding.cause for finding in serious]
    return {
        "headline": headline,
        "why": [*_signal(numbers, recurrent), *why, *_theory(numbers), *_search(tried, commands)],
        "try": list(commands),
    }


def _search(tried: int, commands: Sequence[str]) -> list[str]:
    """Say so when every change that was measured leaves a warning."""
    if commands or not tried:
        return []
    return [
        _(
            "None of the {tried} changes tried (initialisation, activation, normalisation, cell) "
            "is free of warnings at initialisation."
        ).format(tried=tried)
    ]


def _signal(numbers: Mapping[str, Any], recurrent: bool) -> list[str]:
    """Say what happens to the signal end to end, measured and predicted."""
    ratio, factor = numbers.get("grad_ratio"), numbers.get("decay_per_layer")
    if not isinstance(ratio, Interval) or not isinstance(factor, Interval):
        return []
    if not (math.isfinite(ratio.mean) and math.isfinite(factor.mean)):
        return []
    ends = _("first/last time step") if recurrent else _("first/last hidden layer")
    sentence = _("Backpropagated signal: x{factor} a {unit} towards the input").format(
        factor=f"{factor.mean:.3g}", unit=_("time step") if recurrent else _("layer")
    )
    expected = numbers.get("predicted_decay_per_layer")
    if isinstance(expected, Interval):
        sentence += _(" (theory x{factor})").format(factor=f"{expected.mean:.3g}")
    sentence += _("; {ends} {sign}{ratio}").format(
        ends=ends, sign="< " if ratio.upper_bound else "", ratio=f"{ratio.mean:.2g}"
    )
    expected = numbers.get("predicted_grad_ratio")
    if isinstance(expected, Interval):
        sentence += _(" (theory {ratio})").format(ratio=f"{expected.mean:.2g}")
    return [sentence + "."]


def _theory(numbers: Mapping[str, Any]) -> list[str]:
    """Say how far the theory holds and how deep the network could be."""
    theory = numbers.get("theory")
    if not theory:
        return []
    if theory["status"] != "reliable":
        return [theory["reason"]]
    depth = theory.get("trainable_depth")
    if depth is None or not math.isfinite(depth):
        return []
    return [
        _(
            "Depth scale xi = {xi:.2g} layers: networks of this kind train up to the order of "
            "6 xi = {depth:.2g} layers (Schoenholz et al. 2017)."
        ).format(xi=theory["depth_scale"], depth=depth)
    ]
