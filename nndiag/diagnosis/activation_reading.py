"""What `compare-activations` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _

Row = Mapping[str, Any]

#: Shares of units that are worth a word.
_SOME = 0.01


def reading(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        found: `rows`, `functions`, `dying` and `edges` of the result.
    """
    rows: Sequence[Row] = found["rows"]
    return [
        *said.best(rows),
        *said.against_reference(rows),
        *_slopes(found["functions"], found["shared"]),
        *_zones(found["functions"]),
        *_dying(rows, found["dying"]),
        *said.caveats(found),
    ]


def _slopes(functions: Sequence[Row], shared: Mapping[str, Any]) -> Iterator[str]:
    """Say what the largest slope does to a gradient over the hidden layers."""
    steepest = [one for one in functions if one["slope_max"] < 0.99]
    hidden = int(shared.get("depth", 1)) - 1
    for one in steepest:
        yield _(
            "{name}: its slope is at most {slope}, so {hidden} layers leave at most {left} of a "
            "gradient, weights apart."
        ).format(
            name=one["label"],
            slope=f"{one['slope_max']:.3g}",
            hidden=hidden,
            left=f"{one['slope_max'] ** hidden:.2g}",
        )


def _zones(functions: Sequence[Row]) -> Iterator[str]:
    parts = []
    for one in functions:
        low, high = one["saturated_below"], one["saturated_above"]
        if one["gate"] or (low is None and high is None):
            continue
        zones = [f"z < {low:.2f}" if low is not None else "", f"z > {high:.2f}" if high else ""]
        parts.append(f"{one['label']} {', '.join(zone for zone in zones if zone)}")
    if parts:
        yield _("Saturated (slope below 5 % of its largest) at: {parts}.").format(
            parts="; ".join(parts)
        )


def _dying(rows: Sequence[Row], dying: Sequence[Row]) -> Iterator[str]:
    """Say where units died, at the best rate and at larger ones."""
    chosen = {row["label"]: row for row in rows}
    for one in dying:
        label = one["label"]
        worst = max(range(len(one["rates"])), key=lambda k: one["dead_fraction"][k].mean)
        share = one["dead_fraction"][worst]
        row = chosen[label]
        if share.mean < _SOME:
            continue
        text = _(
            "{label}: {start} % of the units give zero on a whole batch before training, {end} % "
            "after it at the best rate {lr}"
        )
        if one["rates"][worst] != row["lr"]:
            text += _(", {worst} % at {rate}")
        yield (text + ".").format(
            label=label,
            start=_percent(row["dead_fraction_start"]),
            end=_percent(row["dead_fraction"]),
            lr=f"{row['lr']:.2g}",
            worst=_percent(share),
            rate=f"{one['rates'][worst]:.2g}",
        )
    if any(one["dead_fraction"][-1].mean > _SOME for one in dying):
        yield _(
            "A relu whose input is negative for every sample gets no gradient and stays as it is "
            "(dying ReLU: Maas et al. 2013, Lu et al. 2019); a slope on the negative side, as in "
            "leaky_relu or elu, keeps it alive."
        )


def _percent(number: Any) -> str:
    return "-" if number is None else f"{100 * number.mean:.2g}"
