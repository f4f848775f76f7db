"""Several results beside one another: their scalars in one table, their curves in one chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nndiag.locales import _
from nndiag.report import drawings
from nndiag.report.page.charts import Chart, charts
from nndiag.report.page.tables import Table, of_rows, scalars
from nndiag.report.panels import Line, Panel
from nndiag.schema.result import Result


def table(results: Mapping[str, Result]) -> Table | None:
    """Return a row a result: its command, its findings and the numbers that stand alone."""
    rows = [
        {
            "run": name,
            "command": result.command,
            "findings": ", ".join(finding.symptom.value for finding in result.findings) or None,
            **scalars(result.result),
            "seconds": result.seconds,
        }
        for name, result in results.items()
    ]
    return of_rows(_("Runs compared"), rows, main=True)


def overlaid(results: Mapping[str, Result]) -> Iterator[Chart]:
    """Yield a chart for each panel of curves that several results have."""
    by_title: dict[str, dict[str, Panel]] = {}
    for name, result in results.items():
        for panel in drawings.panels(result):
            if panel.lines and panel.heights is None:
                by_title.setdefault(panel.title, {})[name] = panel
    for place, (title, panels) in enumerate(by_title.items(), 1):
        first = next(iter(panels.values()))
        # Names of places must mean the same in all of them.
        alike = {n: p for n, p in panels.items() if (p.ticks, p.down) == (first.ticks, first.down)}
        if len(alike) > 1:
            lines = [line for run in enumerate(alike.items()) for line in _named(*run)]
            yield from charts(replace(first, title=title, lines=lines), f"together-{place}")


def _named(place: int, run: tuple[str, Panel]) -> Iterator[Line]:
    """Yield the curves of one run under its name, all in its colour where it has but one."""
    name, panel = run
    several = len([line for line in panel.lines if not line.dashed]) > 1
    for number, line in enumerate(panel.lines):
        label = f"{name}: {line.name}" if line.name else name
        colour = place * len(panel.lines) + number if several else place
        yield replace(line, name=label, colour=None if line.colour is None else colour)
