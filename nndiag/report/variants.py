"""Parts that the reports of all presets share: header, table of variants, curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.metrics import metric_interval, setting_text
from nndiag.report.numbers import compact, count, duration, percent
from nndiag.report.principle_parts import Lines, Row, column, table
from nndiag.report.prose import labelled, sentence
from nndiag.schema.result import Interval, Result

#: Settings that a header names only where they are not this.
_PLAIN = {
    "norm": "none",
    "schedule": "constant",
    "residual": False,
    "restore_best": True,
}
_ELSEWHERE = ("data", "train_samples", "label_noise", "steps", "batch_size")
_NETWORK = ("net", "depth", "width", "widths", "act", "init")
#: Settings whose values are names that say what they are.
_NAMES = ("net", "act", "init", "optimizer")
#: Curves that a terminal plot holds.
_MOST_CURVES = 6


def header(result: Result, width: int, glyphs: Glyphs) -> Lines:
    """Yield what was trained, on what, and how often."""
    found = result.result
    shared, data = found["shared"], found["data"] or {}
    facts = {
        _("network"): _listed(shared, _NETWORK),
        _("training"): _listed(
            shared, [name for name in shared if name not in (*_NETWORK, *_ELSEWHERE)]
        ),
        _("data"): _data(data, shared),
        _("run"): _("{trainings} trainings, {seeds} seeds · {time}").format(
            trainings=count(found["trainings"]),
            seeds=count(result.spec["seeds"]),
            time=duration(result.seconds),
        ),
    }
    margin = max(len(label) for label in facts) + 2
    for label, text in facts.items():
        if text:
            yield from labelled(label, glyphs.text(text), width, margin=margin)


def _listed(shared: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(
        setting_text(shared[name]) if name in _NAMES else f"{name} {setting_text(shared[name])}"
        for name in names
        if name in shared and shared[name] != _PLAIN.get(name, 0)
    )


def _data(data: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    if not data:
        return ""
    sizes = data["samples"]
    parts = [
        _("{name}: {train} training, {validation} validation, {test} test samples").format(
            name=data["name"], **{key: count(size) for key, size in sizes.items()}
        )
    ]
    if shared.get("label_noise"):
        parts.append(
            _("{share} % of the training labels wrong").format(share=percent(shared["label_noise"]))
        )
    if "batch_size" in shared:
        parts.append(_("batches of {count}").format(count=count(shared["batch_size"])))
    if "steps" in shared:
        parts.append(_("{count} steps").format(count=count(shared["steps"])))
    return ", ".join(parts)


def accuracy_cell(number: Interval, glyphs: Glyphs) -> str:
    """Return an accuracy in percent with half its interval's width."""
    return metric_interval(number, "accuracy", glyphs.plus_minus)


def points_cell(number: Interval, glyphs: Glyphs) -> str:
    """Return a difference in points with half its interval's width: `+0.8 ±0.6`."""
    half = (number.high - number.low) / 2
    text = f"{100 * number.mean:+.1f}"
    return f"{text} {glyphs.plus_minus}{100 * half:.1f}" if half > 0 else text


def maybe(number: Interval | float | None, write: Callable[[float], str]) -> str:
    """Return a number that may be missing."""
    if number is None:
        return "-"
    return write(number.mean if isinstance(number, Interval) else number)


def variant_columns(
    rows: Sequence[Row], glyphs: Glyphs, name: str, extra: Sequence[Column] = ()
) -> list[Column]:
    """Return the columns of a table of variants.

    Args:
        name: title of the first column.
        extra: columns of the preset's own, after the accuracy.
    """
    return [
        column(name, rows, lambda r: r["label"], left=True, shrinks_to=14, group=" "),
        column(_("lr"), rows, lambda r: compact(r["lr"], 2)),
        column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs)),
        column(_("gain"), rows, lambda r: gain_cell(r, glyphs)),
        column(_("p"), rows, lambda r: "" if r["reference"] else compact(r["p_value"], 2), rank=1),
        *extra,
        column(_("val %"), rows, lambda r: accuracy_cell(r["val_accuracy"], glyphs), rank=3),
        column(_("loss"), rows, lambda r: compact(r["test_loss"].mean, 2), rank=2),
        column(_("steps"), rows, lambda r: maybe(r["steps_to_target"], _short), rank=1),
        column(_("div."), rows, lambda r: count(r["diverged"]), rank=2),
        column(_("s/run"), rows, lambda r: compact(r["seconds"], 2), rank=3),
    ]


def _short(value: float) -> str:
    return count(round(value))


def gain_cell(row: Row, glyphs: Glyphs) -> str:
    """Return the gain over the reference, or that it is the reference."""
    return _("reference") if row["reference"] else points_cell(row["gain"], glyphs)


def variant_table(
    title: str, columns: Sequence[Column], width: int, glyphs: Glyphs, legend: str = ""
) -> Lines:
    """Yield the table with a legend below it."""
    yield from table(title, columns, width, glyphs)
    if legend:
        yield from sentence(glyphs.text(legend), width, style="dim")


def sensitivity(
    found: Mapping[str, Any], width: int, glyphs: Glyphs, labels: Sequence[str]
) -> Lines:
    """Yield validation accuracy by learning rate, of a few variants."""
    chosen = [one for one in found["sensitivity"] if one["label"] in labels]
    curves = [
        Curve(
            one["label"],
            [math.log10(rate) for rate in one["rates"]],
            [100 * point.mean for point in one["val_accuracy"]],
        )
        for one in chosen[:_MOST_CURVES]
    ]
    if curves:
        plot = Plot(
            curves=curves,
            title=_("Validation accuracy (%) by learning rate"),
            x_name=_("log10 of the learning rate"),
        )
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def closing(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Lines:
    """Yield notes, and that the run was interrupted."""
    notes = list(found["notes"])
    if found["interrupted"]:
        notes.append(_("Interrupted: only what was complete is shown."))
    for note in notes:
        yield from sentence(glyphs.text(note), width, style="yellow")


def shown_labels(rows: Sequence[Row], first: str | None = None) -> list[str]:
    """Return the labels to draw: the reference, then the best on validation."""
    ordered = sorted(rows, key=lambda row: -row["val_accuracy"].mean)
    labels = [row["label"] for row in rows if row["reference"] or row["label"] == first]
    labels += [row["label"] for row in ordered if row["label"] not in labels]
    return labels[:_MOST_CURVES]


Parts = Iterator[Lines]
