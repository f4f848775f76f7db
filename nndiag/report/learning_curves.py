"""What `nndiag learning-curve` prints and draws."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact
from nndiag.report.panels import Line, Panel
from nndiag.report.principle_parts import Lines, Row, View, column, table
from nndiag.report.variants import Parts, accuracy_cell, closing, header, points_cell
from nndiag.schema.result import Result


def learning_curve(result: Result) -> RenderableType:
    """Return what `nndiag learning-curve` prints."""
    return View(result, _parts)


def _parts(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    yield header(result, width, glyphs)
    rows = [*found["rows"], *found["wider"]]
    if rows:
        columns = [
            column(_("samples"), rows, lambda r: r["label"], left=True),
            column(_("lr"), rows, lambda r: compact(r["lr"], 2)),
            column(_("train %"), rows, lambda r: accuracy_cell(r["train_accuracy"], glyphs)),
            column(_("val %"), rows, lambda r: accuracy_cell(r["val_accuracy"], glyphs)),
            column(_("gap"), rows, lambda r: points_cell(r["gap"], glyphs)),
            column(_("val loss"), rows, lambda r: compact(r["val_loss"].mean, 2)),
            column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs), rank=1),
        ]
        title = _("Trained on more and more samples, each at its own best rate")
        yield table(title, columns, width, glyphs)
        yield _plot(found["rows"], width, glyphs)
    yield closing(found, width, glyphs)


def _plot(rows: list[Row], width: int, glyphs: Glyphs) -> Lines:
    if len(rows) < 2:
        return
    x = [math.log10(row["train_samples"]) for row in rows]
    curves = [
        Curve(name, x, [100 * row[key].mean for row in rows])
        for key, name in (("train_accuracy", _("training")), ("val_accuracy", _("validation")))
    ]
    plot = Plot(curves=curves, title=_("Accuracy (%) by samples"), x_name=_("log10 of the samples"))
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def panels(result: Result) -> Iterator[Panel]:
    """Yield accuracy and loss on training and validation, and the error's power law."""
    rows = result.result["rows"]
    if not rows:
        return
    x = [row["train_samples"] for row in rows]
    words = {"train": _("training"), "val": _("validation")}
    for name, title, scale in (
        ("accuracy", _("Accuracy (%)"), 100),
        ("loss", _("Loss"), 1),
    ):
        yield Panel(
            title=title,
            lines=[
                Line(
                    x=x,
                    y=[scale * row[f"{part}_{name}"].mean for row in rows],
                    low=[scale * row[f"{part}_{name}"].low for row in rows],
                    high=[scale * row[f"{part}_{name}"].high for row in rows],
                    name=word,
                    colour=place,
                )
                for place, (part, word) in enumerate(words.items())
            ],
            x_name=_("training samples"),
            log_x=True,
        )
    law = result.result["power_law"]
    if law is not None:
        yield Panel(
            title=_("Validation error and its power law"),
            lines=[
                Line(x=x, y=[1 - row["val_accuracy"].mean for row in rows], dots=True),
                Line(
                    x=[*x, 2 * x[-1]],
                    y=[law["a"] * n ** -law["b"] for n in (*x, 2 * x[-1])],
                    name=f"{law['a']:.2g} n^-{law['b']:.2f}",
                    dashed=True,
                    colour=None,
                ),
            ],
            x_name=_("training samples"),
            log_x=True,
            log_y=True,
        )
