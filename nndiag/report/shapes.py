"""What `nndiag compare-shapes` prints and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact, count, percent
from nndiag.report.panels import Line, Panel
from nndiag.report.principle_parts import Lines, Row, View, column
from nndiag.report.variant_figures import (
    accuracy_panel,
    curve,
    curves,
    sensitivity_panels,
    time_panel,
)
from nndiag.report.variants import (
    Parts,
    accuracy_cell,
    closing,
    gain_cell,
    header,
    shown_labels,
    variant_table,
)
from nndiag.schema.result import Result

#: Widths that a cell lists one by one.
_LISTED = 4
#: Curves of the terminal plot, which cross.
_CURVES = 4


def compare_shapes(result: Result) -> RenderableType:
    """Return what `nndiag compare-shapes` prints."""
    return View(result, _parts)


def _parts(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    yield header(result, width, glyphs)
    if rows:
        yield variant_table(
            _("Shapes, each at its own best rate"),
            _columns(rows, glyphs),
            width,
            glyphs,
            _(
                "gain: test accuracy against the reference, paired by seed. train %: right on the "
                "training labels, wrong ones among them. gap: train - validation, in points. "
                "lowest: step of the lowest validation loss."
            ),
        )
        yield _overfitting(found, width, glyphs)
        yield _losses(found, width, glyphs)
    yield closing(found, width, glyphs)


def _columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    return [
        column(_("shape"), rows, lambda r: r["label"], left=True, shrinks_to=14, group=" "),
        column(_("hidden units"), rows, lambda r: _units(r["units"]), left=True),
        column(_("param."), rows, lambda r: count(r["parameters"])),
        column(_("lr"), rows, lambda r: compact(r["lr"], 2), rank=2),
        column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs)),
        column(_("gain"), rows, lambda r: gain_cell(r, glyphs)),
        column(_("p"), rows, lambda r: "" if r["reference"] else compact(r["p_value"], 2), rank=4),
        column(_("train %"), rows, lambda r: percent(r["train_accuracy"].mean), rank=3),
        column(_("gap"), rows, lambda r: f"{100 * r['gap'].mean:+.0f}"),
        column(_("lowest"), rows, lambda r: count(round(r["lowest_at"].mean)), rank=1),
        column(_("val loss"), rows, lambda r: compact(r["val_loss"].mean, 2), rank=5),
        column(_("s/run"), rows, lambda r: compact(r["seconds"], 2), rank=4),
    ]


def _units(widths: Sequence[int]) -> str:
    """Return `512-256-128-64`, `8 x 155`, or `497..62` where the list is long."""
    if len(widths) > 1 and len(set(widths)) == 1:
        return f"{len(widths)} x {widths[0]}"
    if len(widths) > _LISTED:
        return f"{widths[0]}..{widths[-1]}"
    return "-".join(map(str, widths))


def _name(row: Mapping[str, Any]) -> str:
    units = _units(row["units"])
    return units if row["kind"] == "given" else f"{row['label']} ({units})"


def _reference(found: Mapping[str, Any]) -> tuple[Row, Row]:
    """Return the reference's row and its curves."""
    row = next(row for row in found["rows"] if row["reference"])
    return row, next(one for one in found["curves"] if one["label"] == row["label"])


def _overfitting(found: Row, width: int, glyphs: Glyphs) -> Lines:
    row, one = _reference(found)
    plot = Plot(
        curves=[
            Curve(name, one["steps"], [value.mean for value in one[key]])
            for key, name in (("train_loss", _("training")), ("val_loss", _("validation")))
        ],
        title=_("Loss of {name} (log scale)").format(name=_name(row)),
        x_name=_("step"),
        log=True,
    )
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _losses(found: Row, width: int, glyphs: Glyphs) -> Lines:
    labels = shown_labels(found["rows"])[:_CURVES]
    entries = [
        Curve(one["label"], one["steps"], [value.mean for value in one["val_loss"]])
        for one in found["curves"]
        if one["label"] in labels
    ]
    plot = Plot(curves=entries, title=_("Validation loss (log scale)"), x_name=_("step"), log=True)
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def panels(result: Result) -> Iterator[Panel]:
    """Yield accuracies, accuracy by depth, the reference's losses, then every shape's curves."""
    found = result.result
    rows = found["rows"]
    if not rows:
        return
    labels = shown_labels(rows)
    yield accuracy_panel(rows)
    yield _by_depth(rows)
    row, one = _reference(found)
    words = {"train_loss": _("training"), "val_loss": _("validation")}
    yield Panel(
        title=_("Loss of {name}").format(name=_name(row)),
        x_name=_("step"),
        y_name=_("loss"),
        lines=[
            curve({**one, "label": word}, "steps", key, place)
            for place, (key, word) in enumerate(words.items())
        ],
        log_y=True,
    )
    yield time_panel(found, labels, "train_loss", _("Training loss"))
    yield time_panel(found, labels, "val_loss", _("Validation loss"))
    yield Panel(
        title=_("Gap: validation minus training loss"),
        x_name=_("step"),
        y_name=_("loss"),
        lines=curves(found["gaps"], "steps", "gap", labels, 1),
    )
    yield from sensitivity_panels(found, labels)


def _by_depth(rows: Sequence[Row]) -> Panel:
    """Return test accuracy against depth, a line a kind of shape."""
    kinds = dict.fromkeys(row["kind"] for row in rows)
    lines = []
    for place, kind in enumerate(kinds):
        own = sorted((row for row in rows if row["kind"] == kind), key=lambda row: row["depth"])
        values = [row["test_accuracy"] for row in own]
        line = Line(
            x=[row["depth"] for row in own],
            y=[100 * value.mean for value in values],
            low=[100 * value.low for value in values],
            high=[100 * value.high for value in values],
            name=kind,
            colour=place,
            dots=len(own) == 1 or kind == "given",
        )
        lines.append(line)
    return Panel(
        title=_("Test accuracy by depth, at about equal parameters"),
        x_name=_("weight layers"),
        y_name=_("accuracy (%)"),
        lines=lines,
        log_x=True,
    )


DRAWINGS = {"compare-shapes": panels}
