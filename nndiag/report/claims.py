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
        _("paper"): row["reference"],
        _("claim"): row["claim"],
        _("published"): row["published"],
        _("criterion"): row["criterion"],
    }
    margin = max(map(len, parts)) + 2
    for label, text in parts.items():
        yield from labelled(label, glyphs.text(text), width, margin=margin)
    for figure in row["figures"]:
        number = within(figure["measured"])
        if figure["paper"] is not None:
            number += _("; paper {value} ({deviation})").format(
                value=compact(figure["paper"]), deviation=_deviation(figure)
            )
        text = _("{text}: {number}").format(text=figure["text"], number=number)
        yield from sentence(glyphs.text(text), width, indent="  ", bullet=f"{glyphs.dot} ")


def _deviation(figure: Row) -> str:
    """Return the distance from the paper: in percent, or as it is where the paper has 0."""
    value = figure["deviation"]
    size = f"{percent(abs(value))} %" if figure["paper"] else compact(abs(value))
    return f"{'-' if value < 0 else '+'}{size}"


def _columns(rows: Sequence[Row]) -> list[Column]:
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
        column(_("measured"), rows, lambda row: within(row["measured"])),
        column(_("paper"), rows, lambda row: _maybe(row["paper"])),
        column(_("s"), rows, lambda row: compact(row["seconds"], 2)),
    ]


def _maybe(value: float | None) -> str:
    return "-" if value is None else compact(value)


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
        (f"{row['label']}: {figure['name']}", figure["measured"], figure["paper"])
        for row in rows
        for figure in row["figures"]
        if figure["paper"]
    ]
    yield Panel(
        title=_("Measured over paper [95 %]"),
        x_name=_("measured / paper"),
        down=[label for label, _number, _value in shown],
        lines=[
            Line(
                x=[number.mean / value for _label, number, value in shown],
                y=list(range(1, len(shown) + 1)),
                low=[min(number.low / value, number.high / value) for _l, number, value in shown],
                high=[max(number.low / value, number.high / value) for _l, number, value in shown],
                dots=True,
            )
        ],
        note=_("no figure with a value in the paper"),
    )
    yield Panel(
        title=_("Seeds that meet the criterion"),
        x_name=_("share of the seeds"),
        x_limits=(0.0, 1.05),
        down=[row["label"] for row in rows],
        lines=[
            Line(
                x=[sum(row["held"]) / row["seeds"] for row in rows],
                y=list(range(1, len(rows) + 1)),
                dots=True,
            )
        ],
    )
