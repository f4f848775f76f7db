"""Results and traces as notebooks show them: a piece of HTML without scripts."""

from __future__ import annotations

import base64
import importlib.util
import io

from nndiag.diagnosis.rows import layer_rows
from nndiag.locales import _
from nndiag.report import canvas, drawings
from nndiag.report.page import describing, findings, tables, templates
from nndiag.report.panels import Panel
from nndiag.report.reading import said
from nndiag.schema.result import Result
from nndiag.schema.trace import Trace

_DOTS_PER_INCH = 80


def result(shown: Result) -> str:
    """Return findings, sentences, the figure as a picture, and tables."""
    panels = drawings.panels(shown)
    return templates.get("fragment.html").render(
        title=drawings.title(shown),
        findings=list(findings.findings(shown)),
        said=said(shown),
        picture=_picture(panels),
        described=" ".join(f"{panel.title}. {describing.of_any(panel)}" for panel in panels),
        tables=sorted(tables.tables(shown), key=lambda table: not table.main),
    )


def trace(shown: Trace) -> str:
    """Return the statistics of every layer at the last recorded step, mean over the members."""
    last = int(shown.steps[-1]) if len(shown.steps) else 0
    table = tables.of_rows(_("Layers at step {step}").format(step=last), layer_rows(shown))
    return templates.get("fragment.html").render(
        title=_("{layers} layers, {steps} recorded steps").format(
            layers=len(shown.layers), steps=len(shown.steps)
        ),
        findings=[],
        said=[],
        picture="",
        described="",
        tables=[table] if table is not None else [],
    )


def _picture(panels: list[Panel]) -> str:
    """Return a PNG as base64; empty without matplotlib."""
    if not panels or importlib.util.find_spec("matplotlib") is None:
        return ""
    file = io.BytesIO()
    canvas.figure(panels).savefig(file, format="png", dpi=_DOTS_PER_INCH)
    return base64.b64encode(file.getvalue()).decode()
