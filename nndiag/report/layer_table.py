"""One row a layer: activations, gradients, weights, and a bar on a common log axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.text import Text

from nndiag.locales import _
from nndiag.report.bars import bar, log_axis
from nndiag.report.columns import Column, body, fit, heading, total_width
from nndiag.report.folding import shown_rows
from nndiag.report.glyphs import STYLES, Glyphs
from nndiag.report.numbers import column, compact, count, limits, percent, spread
from nndiag.report.reading import (
    Row,
    concerning,
    finite_means,
    mean,
    measured,
    off_or_saturated,
    worst,
)
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.result import Interval

# Columns beyond this rank are extras of wide terminals: the bar and the names come first there.
_EXTRA = 8
_BAR_LEAST, _BAR_GOOD, _BAR_ROOMY, _BAR_MOST = 9, 12, 20, 40
_NAME_LEAST, _NAME_ROOMY = 8, 24

_GRADIENT = {Symptom.VANISHING_GRADIENTS, Symptom.EXPLODING_GRADIENTS, Symptom.NON_FINITE}


def layer_table(
    rows: Sequence[Row], findings: Sequence[Finding], *, width: int, glyphs: Glyphs, whole: bool
) -> Iterator[Text]:
    """Yield the table's lines, none longer than `width`.

    Args:
        rows: `result.layers`.
        whole: show every layer instead of folding the middle ones.
    """
    keep = [place for place, row in enumerate(rows) if concerning(findings, row["name"])]
    places = list(range(len(rows))) if whole else shown_rows(len(rows), keep)
    shown = [rows[place] for place in places]
    yield from table_lines(
        _columns(shown, findings, glyphs),
        rows,
        shown,
        width=width,
        glyphs=glyphs,
        styles=_styles(shown, findings, _GRADIENT),
    )
    if len(shown) < len(rows):
        yield Text(
            _("{gap} {folded} of {all} layers folded (--all-layers)").format(
                gap=glyphs.gap, folded=count(len(rows) - len(shown)), all=count(len(rows))
            ),
            style="dim",
        )


def table_lines(
    columns: Sequence[Column],
    rows: Sequence[Row],
    shown: Sequence[Row],
    *,
    width: int,
    glyphs: Glyphs,
    styles: Sequence[str],
) -> Iterator[Text]:
    """Yield heading and rows of the columns that fit, with a bar of `output_grad_norm` at the end.

    Args:
        rows: all rows: the bars' axis spans them, so that folding does not change the picture.
        shown: the rows that the columns' cells stand for.
        styles: of the bars, one a shown row.
    """
    names = ("output_grad_norm", "predicted_output_grad_norm")
    axis = log_axis(finite_means(rows, *names))
    chosen, gap = _fit_beside_bar(columns, width)
    room = min(_BAR_MOST, width - total_width(chosen, gap) - gap)
    if axis is not None and room >= _BAR_LEAST:
        cells = (bar(mean(row, names[0]), axis, room, glyphs, mean(row, names[1])) for row in shown)
        chosen.append(
            Column(
                title=axis.title(room),
                group=_("log scale"),
                cells=tuple(cells),
                styles=tuple(style or STYLES[None] for style in styles),
                left=True,
            )
        )
    yield from heading(chosen, gap)
    for row in range(len(shown)):
        yield body(chosen, row, gap)


def _fit_beside_bar(columns: Sequence[Column], width: int) -> tuple[list[Column], int]:
    """Return the richest columns that leave room for a bar, and the gap between their groups."""
    roomy = [replace(c, shrinks_to=max(c.shrinks_to, _NAME_ROOMY)) for c in columns]
    chosen = fit(roomy, width - _BAR_ROOMY - 2)
    if any(column.rank >= _EXTRA for column in chosen):
        return chosen, 2
    plain = [column for column in columns if column.rank < _EXTRA]
    everything = max(column.rank for column in plain)
    chosen = fit(plain, width - _BAR_GOOD - 2)
    if any(column.rank == everything for column in chosen):
        return chosen, 2
    return fit(plain, width - _BAR_LEAST - 1, gap=1), 1


def _columns(rows: Sequence[Row], findings: Sequence[Finding], glyphs: Glyphs) -> list[Column]:
    candidates = [
        *_identity(rows, findings, glyphs),
        *_activation(rows, findings),
        *_gradient(rows, findings, glyphs),
        *_weight(rows, findings),
    ]
    return [column for column in candidates if any(cell.strip("- ") for cell in column.cells)]


def _identity(rows: Sequence[Row], findings: Sequence[Finding], glyphs: Glyphs) -> Iterator[Column]:
    levels = [worst(concerning(findings, row["name"])) for row in rows]
    yield Column(
        title=" ",
        cells=tuple(" " if level is None else glyphs.severity(level) for level in levels),
        styles=tuple(STYLES[level] for level in levels),
        left=True,
    )
    yield Column(
        title="#",
        cells=tuple(str(row.get("index", i + 1)) for i, row in enumerate(rows)),
        rank=_EXTRA + 1,
    )
    yield Column(
        title=_("layer"),
        cells=tuple(glyphs.text(row["name"]) for row in rows),
        left=True,
        shrinks_to=_NAME_LEAST,
    )
    yield Column(
        title=_("kind"),
        cells=tuple(_kind(row, glyphs) for row in rows),
        left=True,
        rank=_EXTRA + 4,
    )


def _kind(row: Row, glyphs: Glyphs) -> str:
    sizes = f" {row['fan_in']}{glyphs.text('→')}{row['fan_out']}" if row.get("fan_in") else ""
    return f"{row.get('kind', '')}{sizes}"


def _activation(rows: Sequence[Row], findings: Sequence[Finding]) -> Iterator[Column]:
    group = _("activation")
    finite = _styles(rows, findings, {Symptom.NON_FINITE})
    for name, title, rank in (
        ("activation_mean", _("mean"), 4),
        ("activation_std", _("std"), 0),
        ("predicted_activation_std", _("theory"), _EXTRA + 2),
    ):
        cells = tuple(_short(measured(row, name)) for row in rows)
        yield Column(title=title, group=group, cells=cells, styles=finite, rank=rank)
    shares = [off_or_saturated(row) for row in rows]
    for label, title in (("sat", _("sat%")), ("off", _("off%"))):
        yield Column(
            title=title,
            group=group,
            cells=tuple(_share(number) if kind == label else "-" for kind, number in shares),
            styles=_styles(rows, findings, {Symptom.SATURATED_ACTIVATIONS}),
            rank=2,
        )
    yield Column(
        title=_("dead"),
        group=group,
        cells=tuple(_share(measured(row, "dead_fraction")) for row in rows),
        styles=_styles(rows, findings, {Symptom.DEAD_UNITS}),
        rank=5,
    )


def _short(number: Interval | None) -> str:
    return "-" if number is None else compact(number.mean, 2)


def _share(number: Interval | None) -> str:
    return "-" if number is None else percent(number.mean)


def _gradient(rows: Sequence[Row], findings: Sequence[Finding], glyphs: Glyphs) -> Iterator[Column]:
    group = _("output gradient")
    styles = _styles(rows, findings, _GRADIENT)
    norms = [measured(row, "output_grad_norm") for row in rows]
    predicted = [measured(row, "predicted_output_grad_norm") for row in rows]
    # One notation for both, so that measurement and theory compare digit by digit.
    cells = column([*norms, *predicted])
    yield Column(title=_("norm"), group=group, cells=tuple(cells[: len(rows)]), styles=styles)
    yield Column(
        title=glyphs.plus_minus,
        group=group,
        cells=tuple(spread(number, glyphs.plus_minus, glyphs.times) for number in norms),
        rank=6,
        until=_EXTRA,
        left=True,
    )
    yield Column(
        title=_("95 % interval"),
        group=group,
        cells=tuple(limits(norms)),
        rank=_EXTRA,
    )
    yield Column(title=_("theory"), group=group, cells=tuple(cells[len(rows) :]), rank=1)


def _weight(rows: Sequence[Row], findings: Sequence[Finding]) -> Iterator[Column]:
    group = _("weight")
    styles = _styles(rows, findings, {Symptom.NON_FINITE})
    for name, title, rank in (
        ("weight_grad_norm", _("grad"), 3),
        ("relative_grad", _("grad/w"), _EXTRA + 3),
    ):
        cells = tuple(column([measured(row, name) for row in rows]))
        yield Column(title=title, group=group, cells=cells, styles=styles, rank=rank)
    cells = tuple(_short(measured(row, "update_ratio")) for row in rows)
    yield Column(title=_("update"), group=group, cells=cells, styles=styles, rank=7)


def _styles(
    rows: Sequence[Row], findings: Sequence[Finding], symptoms: set[Symptom]
) -> tuple[str, ...]:
    """Return the colour of each row's cell in a column that `symptoms` speak of."""
    relevant = [finding for finding in findings if finding.symptom in symptoms]
    levels: list[Severity | None] = [worst(concerning(relevant, row["name"])) for row in rows]
    return tuple("" if level is None else STYLES[level] for level in levels)
