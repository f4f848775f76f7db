"""What `nndiag runs list` and `nndiag runs compare` print."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.glyphs import Glyphs
from nndiag.report.metrics import metric_interval, metric_title
from nndiag.report.numbers import compact, count, duration
from nndiag.report.principle_parts import Lines, Row, View, column, table
from nndiag.report.prose import sentence
from nndiag.schema.result import Result


def listing(result: Result) -> RenderableType:
    """Return the table of stored sweeps."""
    return View(result, _listing)


def comparison(result: Result) -> RenderableType:
    """Return the table of the best configurations, and what the sweeps share."""
    return View(result, _comparison)


def _listing(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    rows, store = result.result["rows"], result.result["store"]
    if not rows:
        text = _("No sweep is stored in {store} yet; nndiag sweep begins one.").format(store=store)
        yield sentence(glyphs.text(text), width)
        return
    columns = [
        column(_("name"), rows, lambda r: r["label"], left=True, shrinks_to=20, group=" "),
        column(_("runs"), rows, lambda r: f"{count(r['done'])}/{count(r['planned'])}"),
        column(_("failed"), rows, lambda r: count(r["failed"]), rank=1),
        column(_("time"), rows, lambda r: duration(r["seconds"])),
        column(_("begun"), rows, lambda r: r["created"]),
        column(_("axes"), rows, lambda r: " ".join(r["axes"]), rank=1, left=True),
    ]
    title = _("Sweeps in {store}").format(store=store)
    yield table(title, columns, width, glyphs)


def _comparison(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    metric, rows, sign = found["metric"], found["rows"], glyphs.plus_minus

    def measured(name: str) -> Column:
        return column(metric_title(name), rows, lambda row: metric_interval(row[name], name, sign))

    columns = [
        column(_("name"), rows, lambda r: r["label"], left=True, shrinks_to=20, group=" "),
        *(measured(name) for name in dict.fromkeys((metric, metric.replace("val_", "test_")))),
        column(_("runs"), rows, lambda r: count(r["trainings"])),
        column(_("div."), rows, lambda r: count(r["diverged"])),
        column(_("best"), rows, lambda r: r["best"], left=True, shrinks_to=24),
    ]
    yield table(_("The best configuration of each sweep"), columns, width, glyphs)
    pairs = found["pairs"]
    if pairs:

        def difference(row: Row) -> str:
            number = row["difference"]
            return "-" if number is None else metric_interval(number, metric, sign)

        shared = [
            column(_("name"), pairs, lambda r: r["label"], left=True, shrinks_to=20, group=" "),
            column(_("shared runs"), pairs, lambda r: count(r["shared"])),
            column(metric_title(metric), pairs, difference),
            column(_("p"), pairs, lambda r: compact(r["p_value"], 2)),
        ]
        title = _("Difference to {first}, over the trainings that both have").format(
            first=rows[0]["label"]
        )
        yield table(title, shared, width, glyphs)
