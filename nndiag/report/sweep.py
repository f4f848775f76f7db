"""What `nndiag sweep` and `nndiag runs show` print: configurations, effects, a map of two axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.bars import LinearAxis, bar
from nndiag.report.columns import Column
from nndiag.report.glyphs import Glyphs
from nndiag.report.heat import heat_map
from nndiag.report.metrics import (
    level_text,
    metric_interval,
    metric_title,
    metric_value,
    setting_text,
)
from nndiag.report.numbers import compact, count, duration, percent, widest
from nndiag.report.principle_parts import Lines, Row, View, column, table
from nndiag.report.prose import labelled, sentence
from nndiag.schema.result import Result

#: Configurations shown; the store has them all.
_MOST_ROWS = 15
_BAR = 30
#: Settings that are said also where nobody asked for them.
_ALWAYS = ("data", "net", "depth", "width", "act", "optimizer", "lr", "batch_size", "steps")


def sweep(result: Result) -> RenderableType:
    """Return what `nndiag sweep` prints, as wide as the console."""
    return View(result, _parts)


def _parts(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    yield _header(result, width, glyphs)
    if found["rows"]:
        yield _configurations(found, width, glyphs)
    if found["rungs"]:
        yield _rungs(found, width, glyphs)
    for effect in found["marginals"]:
        yield _effect(effect, found, width, glyphs)
    if found["heat"] is not None:
        yield heat_map(found, width, glyphs)
    if found["interrupted"]:
        text = _("Interrupted: only what was complete is shown.")
        yield sentence(glyphs.text(text), width, style="yellow")


def _header(result: Result, width: int, glyphs: Glyphs) -> Lines:
    found, spec = result.result, result.spec
    facts = {
        _("sweep"): f"{found['sweep']}: " + _plan(found, spec),
        _("shared"): ", ".join(
            f"{name} {setting_text(value)}"
            for name, value in found["shared"].items()
            if name in _ALWAYS or name in spec["base"]
        ),
        _("run"): _run(result),
    }
    margin = widest(facts) + 2
    for label, text in facts.items():
        yield from labelled(label, glyphs.text(text), width, margin=margin)


def _plan(found: Row, spec: Mapping[str, Any]) -> str:
    asked = len(found["rows"])
    if not spec["halving"]:
        asked = found["planned"] // (spec["seeds"] * (spec["folds"] or 1))
    configurations = _("{count} configurations").format(count=count(asked))
    parts = [configurations, _("{count} seeds").format(count=count(spec["seeds"]))]
    if spec["samples"] is not None:
        parts[0] = _("{configurations} at random").format(configurations=configurations)
    if spec["folds"] is not None:
        parts.append(_("{count} folds").format(count=count(spec["folds"])))
    if spec["halving"]:
        parts.append(_("successive halving"))
    return ", ".join(parts)


def _run(result: Result) -> str:
    found = result.result
    text = _("{done} of {planned} trainings").format(
        done=count(found["trainings"]), planned=count(found["planned"])
    )
    if found["resumed"]:
        text += _(", {known} of them from the store").format(known=count(found["resumed"]))
    return text + " · " + duration(result.seconds)


def _configurations(found: Row, width: int, glyphs: Glyphs) -> Lines:
    rows = found["rows"][:_MOST_ROWS]
    yield from table(
        _("Configurations, the best first"), _columns(found, rows, glyphs), width, glyphs
    )
    hidden = len(found["rows"]) - len(rows)
    if hidden:
        text = _("{hidden} more: nndiag runs export {name} FILE.csv has every run").format(
            hidden=count(hidden), name=found["sweep"]
        )
        yield from sentence(glyphs.text(text), width, style="dim")


def _columns(found: Row, rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    metric = found["metric"]
    other = metric.replace("val_", "test_")

    def measured(name: str, **facts: Any) -> Column:
        def cell(row: Row) -> str:
            return metric_interval(row[name], name, glyphs.plus_minus)

        return column(metric_title(name), rows, cell, **facts)

    def varied(name: str) -> Column:
        return column(name, rows, lambda row: setting_text(row[name]), left=True, group=" ")

    columns = [varied(axis["name"]) for axis in found["axes"] if axis["name"] in rows[0]]
    columns.append(measured(metric))
    if "fold_spread" in rows[0]:
        columns += [
            column(_("spread"), rows, lambda row: metric_value(row["fold_spread"], metric), rank=1),
            column(
                _("pooled %"),
                rows,
                lambda row: metric_value(row["pooled_accuracy"], "test_accuracy"),
            ),
        ]
    elif other != metric:
        columns.append(measured(other))
    columns += [
        measured(name, rank=2)
        for name in ("val_accuracy", "val_loss", "train_loss")
        if name not in (metric, other)
    ]
    columns.append(column(_("div."), rows, lambda row: count(row["diverged"])))
    if "rung" in rows[0]:
        columns.append(column(_("rung"), rows, lambda row: count(row["rung"])))
    columns += [
        column(_("p"), rows, _p_value, rank=1),
        column(_("s/run"), rows, lambda row: compact(row["seconds"], 2), rank=2),
    ]
    return columns


def _p_value(row: Row) -> str:
    return "-" if row["p_value"] is None else compact(row["p_value"], 2)


def _rungs(found: Row, width: int, glyphs: Glyphs) -> Lines:
    rows, metric = found["rungs"], found["metric"]
    columns = [
        column(_("steps"), rows, lambda row: count(row["steps"]), group=" "),
        column(_("configurations"), rows, lambda row: count(row["configurations"])),
        column(
            metric_title(metric),
            rows,
            lambda row: "-" if row[metric] is None else metric_value(row[metric], metric),
        ),
        column(_("best"), rows, lambda row: row["best"] or "-", left=True, shrinks_to=20),
    ]
    yield from table(_("Rungs of successive halving"), columns, width, glyphs)


def _effect(effect: Row, found: Row, width: int, glyphs: Glyphs) -> Lines:
    metric, rows = found["metric"], effect["rows"]
    title = _("{axis}: {metric} by value, mean over the rest").format(
        axis=effect["axis"], metric=metric_title(metric)
    )
    if math.isfinite(effect["share"]):
        title += " · " + _("{share} % of the differences").format(share=percent(effect["share"]))
    means = [row[metric].mean for row in rows]
    axis = LinearAxis(max((mean for mean in means if math.isfinite(mean)), default=1.0))
    columns = [
        column(" ", rows, lambda row: level_text(row["label"]), left=True),
        column(" ", rows, lambda row: metric_interval(row[metric], metric, glyphs.plus_minus)),
        column(
            " ", rows, lambda row: bar(row[metric].mean, axis, _BAR, glyphs).rstrip(), left=True
        ),
    ]
    if any(row["diverged"] for row in rows):
        columns.insert(2, column(_("div."), rows, lambda row: f"{row['diverged']}/{row['runs']}"))
    for place, line in enumerate(table(title, columns, width, glyphs)):
        if place != 1 or len(columns) > 3:  # titles of which none says anything
            yield line
