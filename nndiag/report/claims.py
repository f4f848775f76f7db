"""What `nndiag reproduce` prints and draws: each claim with its evidence, then all verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact, duration, percent
from nndiag.report.panels import Line, Panel
from nndiag.report.principle_parts import Lines, Row, View, column, table, within
from nndiag.report.prose import labelled, sentence
from nndiag.schema.claim import Claim
from nndiag.schema.result import Result

_STYLES = {"PASS": "bold green", "FAIL": "bold red", "INCONCLUSIVE": "bold yellow"}


def reproduce(result: Result) -> RenderableType:
    """Return what `nndiag reproduce` prints."""
    return View(result, _parts)


def _parts(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    rows: Sequence[Row] = result.result["rows"]
    for row in rows:
        yield _evidence(row, width, glyphs)
    if rows:
        yield table(_("Claims at this scale"), _columns(rows), width, glyphs)
    if result.result["interrupted"]:
        text = _("Interrupted: only what was complete is shown.")
        yield sentence(glyphs.text(text), width, style="yellow")


def _evidence(row: Row, width: int, glyphs: Glyphs) -> Lines:
    """Yield a claim, what was asked, what was measured beside the paper, and the verdict."""
    head = Text(f"{row['verdict']} ", style=_STYLES[row["verdict"]])
    held = _("{held} of {seeds} seeds").format(held=sum(row["held"]), seeds=row["seeds"])
    yield head.append(f"{row['label']}  ", style="bold").append(
        f"{held}, {duration(row['seconds'])}", style="dim"
    )
    parts = {
        _("paper"): row["paper"],
        _("claim"): row["claim"],
        _("published"): row["published"],
        _("criterion"): row["criterion"],
    }
    margin = max(map(len, parts)) + 2
    for label, text in parts.items():
        yield from labelled(label, glyphs.text(text), width, margin=margin)
    for name, text in row["figures"].items():
        number = within(row["measured"][name])
        if name in row["expected"]:
            number += _("; paper {value} ({deviation})").format(
                value=compact(row["expected"][name]), deviation=_deviation(row, name)
            )
        yield from sentence(
            glyphs.text(f"{text}: {number}"), width, indent="  ", bullet=f"{glyphs.dot} "
        )


def _deviation(row: Row, name: str) -> str:
    value = row["deviation"][name]
    if row["expected"][name] == 0:
        return f"{'+' if value >= 0 else '-'}{compact(abs(value))}"
    return f"{'+' if value >= 0 else '-'}{percent(abs(value))} %"


def _columns(rows: Sequence[Row]) -> list[Column]:
    def main(row: Row) -> str:
        return next(iter(row["figures"]))

    def expected(row: Row) -> str:
        value = row["expected"].get(main(row))
        return "-" if value is None else compact(value)

    return [
        column(_("claim"), rows, lambda row: row["label"], left=True),
        column(
            _("verdict"),
            rows,
            lambda row: row["verdict"],
            left=True,
            styles=tuple(_STYLES[row["verdict"]] for row in rows),
        ),
        column(_("seeds"), rows, lambda row: f"{sum(row['held'])}/{row['seeds']}"),
        column(_("measured"), rows, lambda row: within(row["measured"][main(row)])),
        column(_("paper"), rows, expected),
        column(_("s"), rows, lambda row: compact(row["seconds"], 2)),
    ]


def listing(title: str, claims: Sequence[Claim], width: int) -> Lines:
    """Yield the names of claims with what they say, under a title."""
    if not claims:
        return
    yield Text(title, style="bold")
    margin = max(len(claim.name) for claim in claims) + 2
    for claim in claims:
        yield from labelled(claim.name, _(claim.says), width, margin=margin)


def panels(result: Result) -> Iterator[Panel]:
    """Yield the figures that have a value in the paper, each over that value."""
    rows: Sequence[Row] = result.result["rows"]
    shown = [
        (row["label"], name, row["measured"][name], value)
        for row in rows
        for name, value in row["expected"].items()
        if value
    ]
    yield Panel(
        title=_("Measured over the paper's value, 95 % interval over seeds"),
        x_name=_("measured / paper"),
        down=[f"{label}: {name}" for label, name, _number, _value in shown],
        lines=[
            Line(
                x=[number.mean / value for _label, _name, number, value in shown],
                y=list(range(1, len(shown) + 1)),
                low=[min(n.low / v, n.high / v) for _l, _n, n, v in shown],
                high=[max(n.low / v, n.high / v) for _l, _n, n, v in shown],
                dots=True,
            )
        ],
    )
