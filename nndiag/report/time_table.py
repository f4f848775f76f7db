"""One row a time step of a recurrent network: how far back in time the gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.folding import shown_rows
from nndiag.report.glyphs import Glyphs
from nndiag.report.layer_table import table_lines
from nndiag.report.numbers import column, compact, count, limits, percent, spread
from nndiag.report.reading import Row, measured


def time_table(rows: Sequence[Row], *, width: int, glyphs: Glyphs, whole: bool) -> Iterator[Text]:
    """Yield the table's lines, none longer than `width`.

    Args:
        rows: `result.time_steps`, in order of time.
        whole: show every step instead of folding the middle ones.
    """
    places = list(range(len(rows))) if whole else shown_rows(len(rows))
    shown = [rows[place] for place in places]
    yield Text(_("Through time (the loss stands after the last step)"), style="bold")
    columns = [c for c in _columns(shown, glyphs) if any(cell.strip("- ") for cell in c.cells)]
    yield from table_lines(
        columns, rows, shown, width=width, glyphs=glyphs, styles=[""] * len(shown)
    )
    if len(shown) < len(rows):
        yield Text(
            _("{gap} {folded} of {all} time steps folded (--all-layers)").format(
                gap=glyphs.gap, folded=count(len(rows) - len(shown)), all=count(len(rows))
            ),
            style="dim",
        )


def _columns(rows: Sequence[Row], glyphs: Glyphs) -> Iterator[Column]:
    norms = [measured(row, "output_grad_norm") for row in rows]
    stds = [measured(row, "activation_std") for row in rows]
    shares = [measured(row, "saturated_fraction") for row in rows]
    yield Column(title=_("time step"), cells=tuple(str(row["step"]) for row in rows))
    yield Column(
        title=_("std"),
        group=_("activation"),
        cells=tuple("-" if number is None else compact(number.mean, 2) for number in stds),
    )
    yield Column(
        title=_("sat%"),
        group=_("activation"),
        cells=tuple("-" if number is None else percent(number.mean) for number in shares),
    )
    yield Column(title=_("norm"), group=_("output gradient"), cells=tuple(column(norms)))
    yield Column(
        title=glyphs.plus_minus,
        group=_("output gradient"),
        cells=tuple(spread(number, glyphs.plus_minus, glyphs.times) for number in norms),
        left=True,
        rank=1,
        until=2,
    )
    yield Column(
        title=_("95 % interval"),
        group=_("output gradient"),
        cells=tuple(limits(norms)),
        rank=2,
    )
