"""The terminal reports of the comparisons: a row a candidate, then what follows from the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.numbers import compact, count, duration, percent, scientific
from nndiag.report.prose import labelled, sentence
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]
_MARGIN = 9
_CURVES = 6
_VERDICT_STYLES = {"cures": "bold green", "helps": "cyan", "harms": "bold red"}


@dataclass(frozen=True)
class _View:
    """Draws itself as wide as the console."""

    lines: Callable[[int, Glyphs], Iterator[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width, glyphs_for(options.ascii_only))


def compare_optimizers(result: Result) -> RenderableType:
    """Return what `nndiag compare-optimizers` prints."""

    def lines(width: int, glyphs: Glyphs) -> Iterator[Text]:
        found = result.result
        yield from _header(result, width, glyphs)
        yield from _table(_optimizer_columns(found["rows"], glyphs), len(found["rows"]), width)
        yield Text()
        for text in _optimizer_reading(found):
            yield from sentence(glyphs.text(text), width)
        yield from _sensitivity(found, width, glyphs)
        yield from _closing(found, width, glyphs)

    return _View(lines)


def compare_fixes(result: Result) -> RenderableType:
    """Return what `nndiag compare-fixes` prints."""

    def lines(width: int, glyphs: Glyphs) -> Iterator[Text]:
        found = result.result
        yield from _header(result, width, glyphs)
        yield from _table(_fix_columns(found["rows"], glyphs), len(found["rows"]), width)
        yield Text()
        text = _(
            "Verdicts: paired t-test over seeds against the baseline of the same optimizer, "
            "Holm-corrected at 5 %; cures: better, and at least {target} % on the test set."
        ).format(target=percent(found["target"]))
        yield from sentence(glyphs.text(text), width, style="dim")
        yield Text()
        for text in found["reading"]:
            yield from sentence(glyphs.text(text), width, bullet=f"{glyphs.dot} ")
        yield from _norms(found, width, glyphs)
        yield from _closing(found, width, glyphs)

    return _View(lines)


def _header(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    spec, network = result.spec, result.spec["network"]
    names = f"{network['net']}, {network['act']}, {network['init']}"
    facts = {
        _("network"): _("{names}, depth {depth}, width {width}").format(
            names=names, depth=network["depth"], width=network["width"]
        ),
        _("budget"): _(
            "{steps} steps, batches of {batch}, {rates} learning rates, {seeds} seeds"
        ).format(
            steps=spec["steps"],
            batch=spec["batch_size"],
            rates=spec["rates"],
            seeds=spec["seeds"],
        ),
        _("run"): _("{trainings} trainings on {data} in {time}").format(
            trainings=count(result.result["trainings"]),
            data=result.result["data"],
            time=duration(result.seconds),
        ),
    }
    for label, text in facts.items():
        yield from labelled(label, glyphs.text(text), width, margin=_MARGIN)
    yield Text()


def _table(columns: Sequence[Column], rows: int, width: int) -> Iterator[Text]:
    chosen = fit(columns, width)
    yield from heading(chosen)
    for row in range(rows):
        yield body(chosen, row)


def _accuracy(number: Interval, glyphs: Glyphs) -> str:
    half = (number.high - number.low) / 2
    return f"{percent(number.mean)} {glyphs.plus_minus}{percent(half)}"


def _steps(number: Interval | None) -> str:
    return "-" if number is None else compact(number.mean)


def _cells(rows: Sequence[Row], cell: Callable[[Row], str]) -> tuple[str, ...]:
    return tuple(cell(row) for row in rows)


def _column(title: str, rows: Sequence[Row], cell: Callable[[Row], str], **facts: Any) -> Column:
    return Column(title=title, cells=_cells(rows, cell), **facts)


def _optimizer_columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    tuned = any(row["options"] for row in rows)
    columns = [
        _column(_("optimizer"), rows, lambda r: r["label"], left=True, shrinks_to=12, group=" "),
        _column(_("rank"), rows, lambda r: compact(r["rank"], 2)),
        _column(_("best lr"), rows, lambda r: compact(r["best_lr"], 2)),
        _column(_("test %"), rows, lambda r: _accuracy(r["test_accuracy"], glyphs)),
        _column(_("steps"), rows, lambda r: _steps(r["steps_to_target"]), rank=int(tuned)),
        _column(_("decades"), rows, lambda r: compact(r["decades"], 2)),
        _column(_("diverged %"), rows, lambda r: percent(r["diverged_share"]), rank=int(tuned)),
        _column(_("ms"), rows, lambda r: compact(1000 * r["seconds"], 2), rank=1),
        _column(_("test loss"), rows, lambda r: compact(r["test_loss"].mean, 2), rank=2),
    ]
    if tuned:
        columns.append(_column(_("options"), rows, lambda r: _options(r["options"]), left=True))
    if rows and "textbook_lr" in rows[0]:
        columns[4:4] = [
            _column(_("textbook"), rows, lambda r: _accuracy(r["textbook_test_accuracy"], glyphs))
        ]
    return columns


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _optimizer_reading(found: Mapping[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    if len(rows) > 1:
        yield _(
            "Mean ranks over seeds differ by chance up to {difference} (Nemenyi, 5 %): {winners}."
        ).format(difference=compact(found["critical_difference"], 2), winners=_tied(rows, found))
    yield _(
        "steps: to the target on the validation set. decades: width of the range of rates within "
        "one point of the best."
    )
    for check in found["inclusions"]:
        holds = _("as it should be") if check["holds"] else _("against expectation")
        yield _(
            "{general} can imitate {special}: {gain:+.1f} points after tuning, {holds}."
        ).format(
            general=check["general"],
            special=check["special"],
            gain=100 * check["gain"].mean,
            holds=holds,
        )
    if rows and "textbook_lr" in rows[0]:
        order = sorted(rows, key=lambda row: row["textbook_rank"])
        yield _("At the textbook rates the order would be: {names}.").format(
            names=", ".join(row["label"] for row in order)
        )


def _tied(rows: Sequence[Row], found: Mapping[str, Any]) -> str:
    limit = rows[0]["rank"] + found["critical_difference"]
    alike = [row["label"] for row in rows if row["rank"] <= limit]
    if len(alike) == len(rows):
        return _("no optimizer is shown to be better than another")
    return _("not told apart from the first: {names}").format(names=", ".join(alike))


def _sensitivity(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    best = [row["label"] for row in found["rows"][:_CURVES]]
    curves = [
        Curve(
            one["label"],
            [math.log10(rate) for rate in one["rates"]],
            [100 * point.mean for point in one["validation_accuracy"]],
        )
        for one in found["sensitivity"]
        if one["label"] in best
    ]
    if curves:
        yield Text()
        title = _("Validation accuracy (%) by learning rate")
        plot = Plot(curves=curves, title=title, x_name=_("log10 of the learning rate"))
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _fix_columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    styles = tuple(_VERDICT_STYLES.get(row["verdict"], "") for row in rows)
    return [
        _column(_("fix"), rows, lambda r: r["fix"], left=True, shrinks_to=24, group=" "),
        _column(_("optimizer"), rows, lambda r: r["optimizer"], left=True, shrinks_to=8),
        _column(_("ratio"), rows, lambda r: _maybe(r["grad_ratio"], scientific)),
        _column(_("sat%"), rows, lambda r: _maybe(r["saturated_fraction"], percent), rank=2),
        _column(_("dead%"), rows, lambda r: _maybe(r["dead_fraction"], percent), rank=2),
        _column(_("best lr"), rows, lambda r: compact(r["best_lr"], 2), rank=1),
        _column(_("steps"), rows, lambda r: _steps(r["steps_to_target"]), rank=1),
        _column(_("decades"), rows, lambda r: compact(r["usable_decades"], 2), rank=1),
        _column(_("test %"), rows, lambda r: _accuracy(r["test_accuracy"], glyphs)),
        _column(_("div."), rows, lambda r: count(r["diverged"])),
        _column(_("verdict"), rows, lambda r: _verdict(r["verdict"]), left=True, styles=styles),
        _column(_("p"), rows, lambda r: compact(r["p_value"], 2), rank=2),
    ]


def _maybe(number: Interval | None, write: Callable[[float], str]) -> str:
    return "-" if number is None else write(number.mean)


def _verdict(name: str) -> str:
    words = {
        "baseline": _("baseline"),
        "cures": _("cures"),
        "helps": _("helps"),
        "no effect": _("no effect"),
        "harms": _("harms"),
    }
    return words[name]


def _norms(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    curves = [
        Curve(f"{one['label']} ({one['optimizer']})", one["steps"], one["gradient_norm"])
        for one in found["norms"]
        if one["label"] != "clip_value"
    ][:_CURVES]
    if curves:
        yield Text()
        title = _("Gradient norm over time, before clipping (log scale)")
        plot = Plot(curves=curves, title=title, log=True, x_name=_("step"))
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _closing(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    notes = list(found["notes"])
    if found["interrupted"]:
        notes.append(_("Interrupted: only what was complete is shown."))
    for note in notes:
        yield from sentence(glyphs.text(note), width, style="yellow")
