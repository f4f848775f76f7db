"""What the presets print: header, table, curves, then the reading."""

from __future__ import annotations

from rich.console import RenderableType

from nndiag.locales import _
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact
from nndiag.report.principle_parts import View, column
from nndiag.report.variants import (
    Parts,
    closing,
    header,
    maybe,
    sensitivity,
    shown_labels,
    variant_columns,
    variant_table,
)
from nndiag.schema.result import Result


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
