"""What `compare-shapes` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _

Row = Mapping[str, Any]


def reading(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        found: `rows`, `parameters`, `data`, `pairs`, `depth` and `edges` of the result.
    """
    rows: Sequence[Row] = found["rows"]
    if not rows:
        return []
    return [
        *_budget(rows, found["parameters"]),
        *said.best(rows),
        *said.against_reference(rows),
        *_depth(rows, found["depth"]),
        *_pairs(found["pairs"]),
        *_overfitting(rows, found["data"]["classes"]),
        *_gaps(rows),
        *said.caveats(found),
    ]


def _budget(rows: Sequence[Row], parameters: int) -> Iterator[str]:
    named = [row for row in rows if row["kind"] != "given"]
    if named:
        off = max(abs(row["parameters"] / parameters - 1) for row in named)
        yield _("Named shapes have {parameters} parameters, to within {off} %.").format(
            parameters=parameters, off=f"{100 * off:.2g}"
        )


def _depth(rows: Sequence[Row], depth: Mapping[str, Any] | None) -> Iterator[str]:
    """Say what depth does at equal parameters."""
    if depth is None:
        return
    by_label = {row["label"]: row for row in rows}
    shallow, deep = by_label[depth["shallowest"]], by_label[depth["deepest"]]
    constant = [row for row in rows if row["kind"] == "constant"]
    gain = depth["gain"]
    text = _(
        "Depth against width, constant: from depth {first} with {wide} units to depth {last} with "
        "{narrow} the test accuracy changes by {gain}; best on validation at depth {best}."
    ).format(
        first=shallow["depth"],
        wide=shallow["units"][0],
        last=deep["depth"],
        narrow=deep["units"][0],
        gain=said.points(gain),
        best=said.best_of(constant)["depth"],
    )
    if gain.high < 0:
        text += " " + _("So deep a plain stack is harder to train: width is worth more here.")
    elif gain.low > 0:
        text += " " + _("Depth is worth more than width here.")
    else:
        text += " " + _("That is no more than chance: the two ends are worth the same here.")
    yield text


def _pairs(pairs: Sequence[Row]) -> Iterator[str]:
    """Set pyramids beside constant width."""
    if not pairs:
        return
    gains = ", ".join(f"{one['label']} {said.points(one['gain'])}" for one in pairs)
    apart = [one for one in pairs if not one["tied"]]
    text = _("Against constant width at the same depth: {gains}.").format(gains=gains)
    if apart:
        text += " " + _("Beyond chance (Holm-corrected, 5 %): {which}.").format(
            which=said.names(apart)
        )
    else:
        text += " " + _("None is beyond chance (Holm-corrected, 5 %).")
    yield text


def _overfitting(rows: Sequence[Row], classes: int) -> Iterator[str]:
    """Tell the story of the reference's two losses."""
    row = next((row for row in rows if row["reference"]), rows[0])
    facts = {
        "name": "-".join(map(str, [*row["units"], classes])),
        "low": f"{row['lowest_val_loss'].mean:.3g}",
        "step": f"{row['lowest_at'].mean:.0f}",
        "end": f"{row['val_loss'].mean:.3g}",
        "train": f"{100 * row['train_accuracy'].mean:.1f}",
        "val": f"{100 * row['val_accuracy'].mean:.1f}",
        "gap": said.points(row["gap"]),
    }
    if row["rise"].low > 0:
        text = _(
            "{name} overfits: its validation loss is lowest ({low}) at step {step} on average and "
            "ends at {end}, with {train} % of the training labels right and {val} % of validation: "
            "a gap of {gap}."
        )
    else:
        text = _(
            "{name}: validation loss lowest ({low}) at step {step} on average, {end} at the end; "
            "{train} % of the training labels right and {val} % of validation: a gap of {gap}."
        )
    yield text.format(**facts)


def _gaps(rows: Sequence[Row]) -> Iterator[str]:
    if len(rows) < 2:
        return
    widest = max(rows, key=lambda row: row["gap"].mean)
    closest = min(rows, key=lambda row: row["gap"].mean)
    yield _("Largest gap: {wide} ({most}); smallest: {close} ({least}).").format(
        wide=widest["label"],
        most=said.points(widest["gap"]),
        close=closest["label"],
        least=said.points(closest["gap"]),
    )
