"""What `nndiag bias-variance` and `nndiag split` print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact, count, percent
from nndiag.report.principle_parts import Lines, Row, View, column, within
from nndiag.report.principle_parts import table as drawn_table
from nndiag.schema.result import Interval, Result


def bias_variance(result: Result) -> RenderableType:
    """Return what `nndiag bias-variance` prints."""
    return View(result, _bias_variance)


def _bias_variance(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    rows: Sequence[Row] = found["rows"]
    if not rows:
        return
    squared = found["task"] == "regression"
    title = _("{about}: {models} models a row, each on its own training set").format(
        about=found["data"], models=found["models"]
    )
    columns = _regression_columns(rows) if squared else _classification_columns(rows)
    yield drawn_table(
        title, [_axis_column(found["axis"], rows), *columns, _verdict_column(rows)], width, glyphs
    )
    yield _complexity_curve(result, width, glyphs)


def _axis_column(axis: str, rows: Sequence[Row]) -> Column:
    words = {"degree": _("degree"), "width": _("width"), "epochs": _("epochs")}
    return column(words[axis], rows, lambda row: str(row[axis]))


def _verdict_column(rows: Sequence[Row]) -> Column:
    words = verdict_words()
    return column(_("verdict"), rows, lambda row: words[row["verdict"]], left=True)


def verdict_words() -> dict[str, str]:
    """Return the verdicts in the language in use."""
    return {
        "best": _("best"),
        "as good": _("as good"),
        "underfits": _("underfits"),
        "overfits": _("overfits"),
    }


def _regression_columns(rows: Sequence[Row]) -> list[Column]:
    parts = _("= bias^2 + variance + noise")
    theory = _("closed form")

    def number(name: str) -> tuple[str, ...]:
        return tuple(compact(row[name].mean, 3) for row in rows)

    columns = [
        Column(title="MSE", cells=number("mse"), until=1),
        column("MSE [95 %]", rows, lambda row: within(row["mse"]), rank=1),
        Column(title=_("bias^2"), cells=number("bias_squared"), group=parts),
        Column(title=_("variance"), cells=number("variance"), group=parts),
        Column(title=_("noise"), cells=number("noise"), group=parts),
        Column(title=_("train"), cells=number("train_error")),
    ]
    if "predicted_variance" in rows[0]:
        columns += [
            column(
                _("bias^2"), rows, lambda row: compact(row["predicted_bias_squared"]), group=theory
            ),
            column(
                _("variance"), rows, lambda row: compact(row["predicted_variance"]), group=theory
            ),
        ]
    return columns


def _classification_columns(rows: Sequence[Row]) -> list[Column]:
    parts = _("= net parts (%)")

    def share(name: str, **facts: object) -> Column:
        title = {
            "error": _("error"),
            "bias": _("bias"),
            "net_variance": _("variance"),
            "net_noise": _("noise"),
            "train_error": _("train"),
            "variance": _("plain variance"),
        }[name]
        cells = tuple(_percent(row[name]) for row in rows)
        return Column(title=title, cells=cells, **facts)  # type: ignore[arg-type]

    return [
        share("error", until=1),
        column(_("error [95 %]"), rows, lambda row: _spread(row["error"]), rank=1),
        share("bias", group=parts),
        share("net_variance", group=parts),
        share("net_noise", group=parts),
        share("variance", rank=1),
        share("train_error"),
    ]


def _percent(number: Interval) -> str:
    return percent(number.mean) if number.mean >= 0 else f"{100 * number.mean:.1f}"


def _spread(number: Interval) -> str:
    return f"{percent(number.mean)} [{percent(number.low)}, {percent(number.high)}]"


def _complexity_curve(result: Result, width: int, glyphs: Glyphs) -> Lines:
    found = result.result
    rows, names = found["rows"], found["parts"]
    if len(rows) < 2:
        return
    counted = found["axis"] == "degree"
    places = [float(row["degree"] if counted else at) for at, row in enumerate(rows, start=1)]
    words = {
        "error": _("error"),
        "bias": _("bias^2") if found["task"] == "regression" else _("bias"),
        "variance": _("variance"),
        "noise": _("noise"),
    }
    curves = [
        Curve(word, places, [row[names[part]].mean for row in rows])
        for part, word in words.items()
        if any(row[names[part]].mean > 0 for row in rows)
    ]
    plot = Plot(
        curves=curves,
        title=_("The error and its parts, from the simplest to the most complex (log scale)"),
        x_name=_("degree") if counted else _("row of the table"),
        height=9,
        log=True,
    )
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def split(result: Result) -> RenderableType:
    """Return what `nndiag split` prints."""
    return View(result, _split)


#: More classes than this are not all shown.
_MOST_CLASSES, _SHOWN = 24, 12


def _split(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    yield _class_table(found, width, glyphs)
    title = _("{count} divisions by class and at random [95 %]").format(
        count=found["rows"][0]["divisions"]
    )
    yield drawn_table(title, _division_columns(found["rows"]), width, glyphs)


def _class_table(found: Row, width: int, glyphs: Glyphs) -> Lines:
    rows, parts = found["classes"], found["parts"]
    title = _("{data}: {samples} samples, {classes} classes, divided {fractions} by class").format(
        data=found["data"],
        samples=count(found["samples"]),
        classes=len(rows),
        fractions="/".join(f"{100 * part['fraction']:g}" for part in parts),
    )
    if len(rows) > _MOST_CLASSES:
        title += _("; the {shown} smallest").format(shown=_SHOWN)
        rows = sorted(rows, key=lambda row: row["samples"])[:_SHOWN]
    words = {"train": _("training"), "validation": _("validation"), "test": _("test")}
    everything = found["samples"]
    columns = [
        column(_("class"), rows, lambda row: row["label"], left=True, shrinks_to=12),
        column("n", rows, lambda row: count(row["samples"]), group=_("whole")),
        column("%", rows, lambda row: _share(row["samples"], everything), group=_("whole")),
    ]
    for place, part in enumerate(parts):
        group = f"{words[part['name']]} ({count(part['samples'])})"
        columns += [
            Column(
                title="n",
                cells=tuple(count(row["parts"][place]) for row in rows),
                group=group,
            ),
            Column(
                title="%",
                cells=tuple(_share(row["parts"][place], part["samples"]) for row in rows),
                group=group,
            ),
        ]
    yield from drawn_table(title, columns, width, glyphs)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}"


def _division_columns(rows: Sequence[Row]) -> list[Column]:
    words = {"stratified": _("by class"), "random": _("at random")}
    return [
        column("", rows, lambda row: words[row["label"]], left=True),
        column(_("largest deviation (points)"), rows, lambda row: _points(row)),
        column(_("chi-square"), rows, lambda row: within(row["chi_square"])),
        column(_("p below 5 %"), rows, lambda row: f"{row['rejected']}/{row['divisions']}"),
        column(_("mean p"), rows, lambda row: within(row["p_value"]), rank=1),
    ]


def _points(row: Row) -> str:
    number = row["largest_deviation"]
    low, mean, high = (compact(100 * value) for value in (number.low, number.mean, number.high))
    return mean if low == high else f"{mean} [{low}, {high}]"
