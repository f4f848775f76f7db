"""What `compare-schedules` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _


def reading(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        found: `rows`, `edges` and `advice` of the result.
    """
    return [
        *said.best(found["rows"]),
        *said.against_reference(found["rows"]),
        *_advice(found["advice"]),
        *_usable(found["rows"]),
        *said.caveats(found),
    ]


def _advice(advice: Mapping[str, Any] | None) -> Iterator[str]:
    """Judge the advice to tune without decay first and to add decay then."""
    if advice is None:
        return
    yield _(
        "First without decay: the best constant rate is {lr}, {accuracy} on the test set. Then "
        "with decay at that rate: {schedule} is best on validation, {gain} on the test set."
    ).format(
        lr=f"{advice['lr']:.3g}",
        accuracy=said.percent(advice["first"]),
        schedule=advice["schedule"],
        gain=said.points(advice["gain"]),
    )
    worth = _("Tuning the rate of every schedule anew takes {all} trainings instead of {few} and")
    ending = {
        1: _("gains {gain} more: the advice leaves something on the table here."),
        -1: _("loses {gain}: the advice is the better bargain here."),
        0: _("changes the result by {gain}, no more than chance: the advice holds here."),
    }
    gain = advice["rest"]
    sign = 1 if gain.low > 0 else (-1 if gain.high < 0 else 0)
    text = worth.format(all=advice["trainings_all"], few=advice["trainings"])
    yield text + " " + ending[sign].format(gain=said.points(gain))


def _usable(rows: Any) -> Iterator[str]:
    """Say what decay does to the range of usable rates."""
    known = [row for row in rows if row["usable_decades"] is not None]
    constant = next((row for row in known if row["reference"]), None)
    if constant is None:
        return
    widest = max(known, key=lambda row: row["usable_decades"])
    if widest["usable_decades"] > constant["usable_decades"] + 0.1:
        yield _(
            "What a schedule changes most is the range of rates within two points of its best: "
            "{wide} decades with {label}, {narrow} with a constant rate."
        ).format(
            wide=f"{widest['usable_decades']:.2g}",
            label=widest["label"],
            narrow=f"{constant['usable_decades']:.2g}",
        )
    faster = [row for row in known if row["lr"] > 1.5 * constant["lr"]]
    if faster:
        yield _("Best at a larger rate than the constant one: {which}.").format(
            which=", ".join(f"{row['label']} ({row['lr']:.3g})" for row in faster)
        )
