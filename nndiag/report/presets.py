"""What the presets print: header, table, curves, then the reading."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.learning_curves import learning_curve
from nndiag.report.metrics import metric_interval, setting_text
from nndiag.report.numbers import compact, count, percent
from nndiag.report.principle_parts import Lines, Row, View, column, table
from nndiag.report.shapes import compare_shapes
from nndiag.report.variants import (
    Parts,
    accuracy_cell,
    closing,
    gain_cell,
    header,
    maybe,
    sensitivity,
    shown_labels,
    variant_columns,
    variant_table,
)
from nndiag.schema.result import Result

__all__ = ["compare_schedules", "compare_shapes", "learning_curve"]


def compare_schedules(result: Result) -> RenderableType:
    """Return what `nndiag compare-schedules` prints."""
    return View(result, _schedules)


def _schedules(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    yield header(result, width, glyphs)
    if rows:
        extra = [
            column(
                _("decades"), rows, lambda r: maybe(r["usable_decades"], lambda v: compact(v, 2))
            )
        ]
        yield variant_table(
            _("Schedules, each at its own best rate"),
            variant_columns(rows, glyphs, _("schedule"), extra),
            width,
            glyphs,
            _(
                "gain: test accuracy against the constant rate, paired by seed. decades: range of "
                "rates within two points of the best. steps: to {target} % on validation."
            ).format(target=f"{100 * result.spec['target_accuracy']:.0f}"),
        )
        yield sensitivity(found, width, glyphs, shown_labels(rows, "constant"))
    yield closing(found, width, glyphs)


def compare_batch_sizes(result: Result) -> RenderableType:
    """Return what `nndiag compare-batch-sizes` prints."""
    return View(result, _batch_sizes)


def _batch_sizes(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    yield header(result, width, glyphs)
    if rows:
        yield variant_table(
            _("Batch sizes, each at its own best rate"),
            _batch_columns(rows, glyphs),
            width,
            glyphs,
            _(
                "it.: iterations an epoch. noise: |g_B - g| / |g| before training. scaled %: at "
                "the reference's rate in proportion to the size. steps, ms: to {target} %."
            ).format(target=f"{100 * result.spec['target_accuracy']:.0f}"),
        )
        yield sensitivity(found, width, glyphs, _spread(found["sensitivity"]))
    yield closing(found, width, glyphs)


def _batch_columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    return [
        column(_("batch"), rows, lambda r: count(r["batch_size"]), group=" "),
        column(_("it."), rows, lambda r: count(r["iterations_per_epoch"])),
        column(_("lr"), rows, lambda r: compact(r["lr"], 2)),
        column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs)),
        column(_("scaled %"), rows, lambda r: _accuracy_of(r["scaled"], glyphs)),
        column(_("same lr %"), rows, lambda r: _accuracy_of(r["unscaled"], glyphs), rank=2),
        column(_("noise"), rows, lambda r: maybe(r.get("noise"), lambda v: compact(v, 2))),
        column(_("steps"), rows, lambda r: maybe(r["steps_to_target"], lambda v: count(round(v)))),
        column(
            _("ms"), rows, lambda r: maybe(r["seconds_to_target"], lambda v: compact(1000 * v, 2))
        ),
        column(_("kB"), rows, lambda r: compact(r["step_bytes"] / 1000, 2), rank=1),
        column(_("rates"), rows, lambda r: count(r["rates_that_work"]), rank=1),
        column(_("p"), rows, lambda r: "" if r["reference"] else compact(r["p_value"], 2), rank=2),
    ]


def _accuracy_of(one: Row | None, glyphs: Glyphs) -> str:
    return "-" if one is None else accuracy_cell(one["test_accuracy"], glyphs)


def _spread(entries: Sequence[Row]) -> list[str]:
    """Return a few labels, evenly over the list."""
    count_of = min(5, len(entries))
    places = [round(k * (len(entries) - 1) / max(count_of - 1, 1)) for k in range(count_of)]
    return [entries[place]["label"] for place in places]


def compare_regularizers(result: Result) -> RenderableType:
    """Return what `nndiag compare-regularizers` prints."""
    return View(result, _regularizers)


def _regularizers(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    yield header(result, width, glyphs)
    if rows:
        yield variant_table(
            _("Regularisers, each at its own best strength and rate"),
            _regularizer_columns(rows, glyphs),
            width,
            glyphs,
            _(
                "gain: test accuracy against none (cnn), paired by seed. train %: right on the "
                "training labels, wrong ones among them. gap: train - validation, in points. "
                "zeros: share of weights below {zero:g}. norm: of all weight matrices."
            ).format(zero=found["zero"]),
        )
    if found["decay"]:
        yield _decay_table(found, width, glyphs)
    for name, title in (
        ("train_loss", _("Training loss (log scale)")),
        ("val_loss", _("Validation loss (log scale)")),
    ):
        yield _loss_curves(found, name, title, width, glyphs)
    yield closing(found, width, glyphs)


def _regularizer_columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    return [
        column(_("regulariser"), rows, _regularizer_name, left=True, shrinks_to=20, group=" "),
        column(_("lr"), rows, lambda r: compact(r["lr"], 2), rank=1),
        column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs)),
        column(_("gain"), rows, lambda r: gain_cell(r, glyphs)),
        column(_("p"), rows, lambda r: "" if r["reference"] else compact(r["p_value"], 2), rank=2),
        column(_("train %"), rows, lambda r: percent(r["train_accuracy"].mean)),
        column(_("gap"), rows, lambda r: f"{100 * r['gap'].mean:+.0f}"),
        column(_("norm"), rows, lambda r: compact(r["weight_norm"].mean, 2)),
        column(_("zeros"), rows, lambda r: percent(r["sparsity"].mean) + " %"),
        column(_("stopped"), rows, lambda r: maybe(r["stopped_at"], compact), rank=2),
    ]


def _regularizer_name(row: Row) -> str:
    chosen = ", ".join(setting_text(value) for value in row["chosen"].values())
    return f"{row['label']} {chosen}".rstrip()


def _decay_table(found: Row, width: int, glyphs: Glyphs) -> Lines:
    rows, strength = found["decay"], found["decay_strength"]
    columns = [
        column(_("training"), rows, lambda r: r["label"], left=True, group=" "),
        column(_("norm"), rows, lambda r: metric_interval(r["weight_norm"], "", glyphs.plus_minus)),
        column(_("train %"), rows, lambda r: percent(r["train_accuracy"].mean)),
        column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs)),
    ]
    title = _("Penalty {l2:g}/N sum |W|^2 beside weight decay of 2 x {l2:g}/N = {decay:.3g}")
    yield from table(
        title.format(l2=strength["l2"], decay=strength["weight_decay"]), columns, width, glyphs
    )


def _loss_curves(found: Row, name: str, title: str, width: int, glyphs: Glyphs) -> Lines:
    labels = shown_labels([r for r in found["rows"] if not r["label"].startswith("cnn")], "none")
    curves = [
        Curve(one["label"], one["steps"], [value.mean for value in one[name]])
        for one in found["curves"]
        if one["label"] in labels and name in one
    ]
    if curves:
        plot = Plot(curves=curves, title=title, x_name=_("step"), log=True)
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def lr_find(result: Result) -> RenderableType:
    """Return what `nndiag lr-find` prints."""
    return View(result, _lr_find)


def _lr_find(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    yield header(result, width, glyphs)
    if found["range"]:
        yield _range_curve(found["range"], width, glyphs)
    if rows:
        yield variant_table(
            _("Too small, good, too large"),
            variant_columns(rows, glyphs, _("rate")),
            width,
            glyphs,
            _("gain: against the suggested rate, paired by seed. steps: to {target} %.").format(
                target=f"{100 * result.spec['target_accuracy']:.0f}"
            ),
        )
        yield _batch_losses(found, width, glyphs)
    if found["fixed"]:
        yield _fixed_rates(found["fixed"], width, glyphs)
    yield closing(found, width, glyphs)


def _range_curve(one: Row, width: int, glyphs: Glyphs) -> Lines:
    logs = [math.log10(rate) for rate in one["rates"]]
    plot = Plot(
        curves=[Curve("", logs, [value.mean for value in one["loss"]])],
        title=_("Training loss while the rate rises (log scale)"),
        x_name=_("log10 of the learning rate"),
        log=True,
    )
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _batch_losses(found: Row, width: int, glyphs: Glyphs) -> Lines:
    curves = [
        Curve(one["label"], one["batch_loss"]["steps"], one["batch_loss"]["values"])
        for one in found["curves"]
    ]
    plot = Plot(curves=curves, title=_("Training loss (log scale)"), x_name=_("step"), log=True)
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _fixed_rates(rows: Sequence[Row], width: int, glyphs: Glyphs) -> Lines:
    columns = [
        column(_("fixed rate"), rows, lambda r: compact(r["lr"], 2), group=" "),
        column(_("val %"), rows, lambda r: accuracy_cell(r["val_accuracy"], glyphs)),
        column(_("test %"), rows, lambda r: accuracy_cell(r["test_accuracy"], glyphs)),
        column(_("div."), rows, lambda r: count(r["diverged"])),
    ]
    yield from table(_("Check: trainings with fixed rates"), columns, width, glyphs)


def compare_inits(result: Result) -> RenderableType:
    """Return what `nndiag compare-inits` prints."""
    return View(result, _inits)


def _inits(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    yield header(result, width, glyphs)
    if rows:
        extra = [
            column(_("factor"), rows, lambda r: maybe(r["decay_per_layer"], _two)),
            column(_("theory"), rows, lambda r: maybe(r["predicted_decay_per_layer"], _two)),
            column(_("ratio"), rows, lambda r: maybe(r["grad_ratio"], _two), rank=1),
            column(_("signal"), rows, lambda r: maybe(r["activation_rms"], _two), rank=2),
        ]
        yield variant_table(
            _("Initialisations, each at its own best rate"),
            variant_columns(rows, glyphs, _("init"), extra),
            width,
            glyphs,
            _(
                "gain: test accuracy against the best on validation, paired by seed. factor: of "
                "the gradient a layer towards the input, before training; theory: the same in a "
                "wide network. ratio: gradient of the first hidden layer over the last."
            ),
        )
        yield _profiles(found, width, glyphs)
        yield sensitivity(found, width, glyphs, shown_labels(rows))
    yield closing(found, width, glyphs)


def _two(value: float) -> str:
    return compact(value, 2)


def _profiles(found: Row, width: int, glyphs: Glyphs) -> Lines:
    curves = [
        Curve(one["label"], one["layers"], [value.mean for value in one["output_grad_norm"]])
        for one in found["profiles"]
        if any(value.mean > 0 for value in one["output_grad_norm"])
    ]
    if curves:
        plot = Plot(
            curves=sorted(curves, key=lambda one: one.y[0] / one.y[-1])[:: -(-len(curves) // 5)],
            title=_("Gradient by layer before training (log scale)"),
            x_name=_("layer"),
            log=True,
        )
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def compare_activations(result: Result) -> RenderableType:
    """Return what `nndiag compare-activations` prints."""
    return View(result, _activations)


def _activations(result: Result, width: int, glyphs: Glyphs) -> Parts:
    found = result.result
    rows = found["rows"]
    slopes = {one["label"]: one["slope_max"] for one in found["functions"]}
    yield header(result, width, glyphs)
    if rows:
        extra = [
            column(_("slope"), rows, lambda r: compact(slopes[r["label"]], 2)),
            column(_("sat%"), rows, lambda r: maybe(r["saturated_fraction"], percent)),
            column(_("dead%"), rows, lambda r: maybe(r["dead_fraction"], percent)),
        ]
        yield variant_table(
            _("Activations, each with its own initialisation and best rate"),
            variant_columns(rows, glyphs, _("activation"), extra),
            width,
            glyphs,
            _(
                "gain: test accuracy against the best on validation, paired by seed. slope: the "
                "largest. sat%, dead%: saturated outputs, units off for a whole batch, at the end."
            ),
        )
        yield _dead_by_rate(found["dying"], width, glyphs)
        yield sensitivity(found, width, glyphs, shown_labels(rows))
    yield closing(found, width, glyphs)


def _dead_by_rate(dying: Sequence[Row], width: int, glyphs: Glyphs) -> Lines:
    curves = [
        Curve(
            one["label"],
            [math.log10(rate) for rate in one["rates"]],
            [100 * value.mean for value in one["dead_fraction"]],
        )
        for one in dying
        if any(value.mean > 0 for value in one["dead_fraction"])
    ]
    if curves:
        plot = Plot(
            curves=curves,
            title=_("Dead units (%) after training, by learning rate"),
            x_name=_("log10 of the learning rate"),
            height=6,
        )
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)
