"""What `compare-batch-sizes` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _

Row = Mapping[str, Any]

#: Masters & Luschi 2018, abstract: the best results came with these sizes.
_SMALL, _LARGE = 2, 32


def reading(found: Mapping[str, Any], target: float) -> list[str]:
    """Return the sentences.

    Args:
        found: `rows`, `reference`, `noise`, `data` and `edges` of the result.
        target: accuracy from which on a rate works.
    """
    rows: Sequence[Row] = found["rows"]
    if not rows:
        return []
    return [
        _arithmetic(rows, found),
        *said.best(rows),
        *said.against_reference(rows),
        *_masters(rows, target),
        *_noise(rows, found["noise"]),
        *_speed(rows, target),
        *_scaling(rows, found["reference"]),
        *_memory(rows),
        *said.caveats(found),
    ]


def _arithmetic(rows: Sequence[Row], found: Mapping[str, Any]) -> str:
    size = (found["reference"] or {"batch_size": rows[0]["batch_size"]})["batch_size"]
    row = next(row for row in rows if row["batch_size"] == size)
    text = _(
        "{samples} samples in batches of {size}: ceil({samples} / {size}) = {iterations} "
        "iterations an epoch, the last with {last} samples; {epochs} epochs are {steps} steps."
    )
    return text.format(
        samples=found["data"]["samples"]["train"],
        size=size,
        iterations=row["iterations_per_epoch"],
        last=row["last_batch"],
        epochs=f"{row['epochs']:.3g}",
        steps=row["steps"],
    )


def _masters(rows: Sequence[Row], target: float) -> Iterator[str]:
    """Set the best size and the range of rates beside Masters & Luschi (2018)."""
    best = said.best_of(rows)["batch_size"]
    if len(rows) < 3:
        return
    if _SMALL <= best <= _LARGE:
        yield _("Masters and Luschi (2018) found the best sizes between 2 and 32; so it is here.")
    else:
        yield _(
            "Masters and Luschi (2018) found the best sizes between 2 and 32; here it is {size}."
        ).format(size=best)
    ordered = sorted(rows, key=lambda row: row["batch_size"])
    most = max(row["rates_that_work"] for row in ordered)
    if most:
        wide = [row["label"] for row in ordered if row["rates_that_work"] == most]
        none = [row["label"] for row in ordered if row["rates_that_work"] == 0]
        text = _("{most} of {tried} rates reach {target} % with batches of {wide}").format(
            most=most,
            tried=ordered[0]["trainings"] // ordered[0]["runs"],
            target=f"{100 * target:.0f}",
            wide=", ".join(wide),
        )
        if none:
            text += _(", none with {none}").format(none=", ".join(none))
        yield text + "."
    if len({row["steps"] for row in rows}) > 1:
        yield _(
            "(The same epochs for all: a large batch takes fewer steps, as in their comparison; "
            "--steps gives all sizes the same number instead.)"
        )


def _noise(rows: Sequence[Row], noise: Mapping[str, Any] | None) -> Iterator[str]:
    known = [row for row in rows if row.get("noise") and row["predicted_noise"].mean > 0]
    if not noise or not known:
        return
    off = max(abs(row["noise"].mean / row["predicted_noise"].mean - 1) for row in known)
    yield _(
        "The gradient of a batch is off by S / sqrt(B): measured and computed from the gradients "
        "of single samples agree within {off} % at every size."
    ).format(off=f"{100 * off:.0f}")
    start = noise["start"]["simple_scale"].mean
    if "end" in noise:
        yield _(
            "Noise and signal are equal at batches of {start} at the start and of {end} at the end "
            "(S^2 / |g|^2, McCandlish et al. 2018): from there on a larger batch buys little."
        ).format(start=f"{start:.0f}", end=f"{noise['end']['simple_scale'].mean:.0f}")


def _speed(rows: Sequence[Row], target: float) -> Iterator[str]:
    known = [row for row in rows if row["steps_to_target"] is not None]
    if len(known) < 2:
        return
    steps = min(known, key=lambda row: row["steps_to_target"].mean)
    seconds = min(known, key=lambda row: row["seconds_to_target"].mean)
    yield _(
        "Fewest steps to {target} %: {steps} with batches of {size}; least time: {seconds} ms a "
        "network with {fast}."
    ).format(
        target=f"{100 * target:.0f}",
        steps=f"{steps['steps_to_target'].mean:.0f}",
        size=steps["label"],
        seconds=f"{1000 * seconds['seconds_to_target'].mean:.3g}",
        fast=seconds["label"],
    )


def _scaling(rows: Sequence[Row], reference: Mapping[str, Any] | None) -> Iterator[str]:
    known = [row for row in rows if row["scaled"] is not None]
    if not known or reference is None:
        return
    yield _(
        "Linear scaling (Goyal et al. 2017): the best rate of batches of {size}, {lr}, in "
        "proportion to the size."
    ).format(size=reference["batch_size"], lr=f"{reference['lr']:.3g}")
    for name, text in (
        (
            "scaled",
            _("Scaled, these lose accuracy beyond chance against their tuned rate: {which}."),
        ),
        ("unscaled", _("With the same rate for all, these do: {which}.")),
    ):
        lost = [row for row in known if row[name]["gain"].high < 0]
        which = ", ".join(f"{row['label']} ({said.points(row[name]['gain'])})" for row in lost)
        if which:
            yield text.format(which=which)
        elif name == "scaled":
            yield _("Scaled, no size loses accuracy beyond chance against its tuned rate.")


def _memory(rows: Sequence[Row]) -> Iterator[str]:
    ordered = sorted(rows, key=lambda row: row["batch_size"])
    small, large = ordered[0], ordered[-1]
    if small is large:
        return
    yield _(
        "A step keeps {small} kB for its backward pass with batches of {first} and {large} kB with "
        "{last}."
    ).format(
        small=f"{small['step_bytes'] / 1000:.3g}",
        first=small["label"],
        large=f"{large['step_bytes'] / 1000:.4g}",
        last=large["label"],
    )
