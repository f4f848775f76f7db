"""What `compare-inits` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _

Row = Mapping[str, Any]

#: A factor a layer within these keeps the signal over some ten layers.
_LOW, _HIGH = 0.9, 1.1
#: Accuracy below which a training has not begun, as a multiple of chance.
_STALLED = 2.0


def reading(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        found: `rows`, `data` and `edges` of the result.
    """
    rows: Sequence[Row] = found["rows"]
    if not rows:
        return []
    return [
        *said.best(rows),
        *said.against_reference(rows),
        *_signal(rows),
        *_stalled(rows, 1 / found["data"]["classes"]),
        *said.caveats(found),
    ]


def _signal(rows: Sequence[Row]) -> Iterator[str]:
    """Set what happens to the gradient a layer beside what is best."""
    known = [row for row in rows if row["decay_per_layer"] is not None]
    kept = [row for row in known if _LOW <= row["decay_per_layer"].mean <= _HIGH]
    if kept:
        yield _(
            "The gradient keeps its size from layer to layer (a factor of 0.9 to 1.1) with {which} "
            "(Glorot and Bengio 2010; He et al. 2015)."
        ).format(which=said.names(kept))
    for name, text, chosen in (
        ("small", _("It shrinks a layer with {which}."), [r for r in known if _factor(r) < _LOW]),
        ("large", _("It grows a layer with {which}."), [r for r in known if _factor(r) > _HIGH]),
    ):
        if chosen:
            ordered = sorted(chosen, key=_factor, reverse=name == "large")
            yield text.format(
                which=", ".join(f"{row['label']} ({_factor(row):.2g})" for row in ordered)
            )
    expected = [row for row in known if row["predicted_decay_per_layer"] is not None]
    if expected:
        off = max(abs(_factor(row) / row["predicted_decay_per_layer"] - 1) for row in expected)
        yield _("Theory predicts every one of these factors within {off} %.").format(
            off=f"{100 * off:.2g}"
        )


def _factor(row: Row) -> float:
    return float(row["decay_per_layer"].mean)


def _stalled(rows: Sequence[Row], chance: float) -> Iterator[str]:
    """Say which never began to learn, at any rate that was tried."""
    lost = [row for row in rows if row["test_accuracy"].mean < _STALLED * chance]
    same = [row for row in lost if row["label"].startswith(("zeros", "constant"))]
    if same:
        yield _(
            "{which}: all units of a layer start alike, get the same gradient and stay alike; the "
            "network does not learn at any rate."
        ).format(which=said.names(same))
    rest = [row for row in lost if row not in same]
    if rest:
        yield _("At no rate that was tried does the network learn with {which}.").format(
            which=said.names(rest)
        )
