"""One or several results as one HTML page that works offline.

Any result can be shown: what the page says follows from the envelope (command, environment,
findings), from the lists of rows in the numbers, and from the panels that the command draws.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nndiag import __version__
from nndiag.lessons import Lesson, lesson
from nndiag.locales import _
from nndiag.report import drawings
from nndiag.report.numbers import duration
from nndiag.report.page import charts, comparing, findings, tables, templates, words
from nndiag.report.page.charts import Chart
from nndiag.report.page.findings import Symptomatic
from nndiag.report.page.tables import Table
from nndiag.report.reading import said
from nndiag.schema.errors import RunError
from nndiag.schema.result import Result, plain


@dataclass(frozen=True, kw_only=True)
class Part:
    """A result as the template shows it; texts are plain, the template escapes them.

    Attributes:
        anchor: identifier on the page.
        command: what was typed; empty where that is not known.
        facts: the environment.
        diagnosed: whether the command looks for symptoms.
        said: what follows from the numbers, in sentences.
        tried: commands to type next.
        spec: settings as JSON.
        raw: the whole result as JSON, packed.
        size: of it in bytes.
    """

    anchor: str
    name: str
    title: str
    command: str
    facts: Sequence[tuple[str, str]]
    diagnosed: bool
    said: Sequence[str]
    tried: Sequence[str]
    findings: Sequence[Symptomatic]
    lessons: Sequence[Lesson]
    charts: Sequence[Chart]
    tables: Sequence[Table]
    spec: str
    raw: str
    size: int


def write(results: Mapping[str, Result], path: str | Path, *, figures_only: bool = False) -> Path:
    """Write the page of results; see `html`.

    Raises:
        RunError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.write_text(html(results, figures_only=figures_only), encoding="utf-8")
    except OSError as error:
        raise RunError(
            _("'{path}' cannot be written: {reason}").format(path=path, reason=error.strerror)
        ) from None
    return path


def html(results: Mapping[str, Result], *, figures_only: bool = False) -> str:
    """Return the page.

    Args:
        results: by the name that tells them apart.
        figures_only: leave everything else out.
    """
    parts = [_part(place, name, result) for place, (name, result) in enumerate(results.items(), 1)]
    several = len(parts) > 1
    overlaid = list(comparing.overlaid(results)) if several else []
    drawn = [*overlaid, *(chart for part in parts for chart in part.charts)]
    return (
        templates.get("page.html")
        .render(
            version=__version__,
            spoken=words.spoken(),
            title=_("{count} runs compared").format(count=len(parts))
            if several
            else parts[0].title,
            parts=parts,
            compared=comparing.table(results) if several else None,
            overlaid=overlaid,
            figures_only=figures_only,
            plotly=_pack(charts.library()) if drawn else "",
            drawings=_pack(json.dumps({chart.anchor: chart.drawing for chart in drawn})),
            css=templates.text("page.css"),
            js=templates.text("page.js"),
        )
        .lstrip()
    )


def _part(place: int, name: str, result: Result) -> Part:
    anchor, raw = f"run-{place}", result.to_json()
    verdict: Mapping[str, Any] = result.result.get("verdict", {})
    environment = {**result.environment}
    return Part(
        anchor=anchor,
        name=name,
        title=drawings.title(result),
        command=str(environment.pop("command", "")),
        facts=[
            ("nndiag", result.version),
            *((key, str(value)) for key, value in environment.items()),
            (_("duration"), duration(result.seconds)),
        ],
        diagnosed=bool(result.findings or verdict),
        said=said(result),
        tried=list(verdict.get("try", ())),
        findings=list(findings.findings(result)),
        lessons=_lessons(result),
        charts=list(_charts(drawings.panels(result), anchor)),
        tables=list(tables.tables(result)),
        spec=json.dumps(plain(result.spec), indent=2, ensure_ascii=False),
        raw=_pack(raw),
        size=len(raw.encode()),
    )


def _lessons(result: Result) -> list[Lesson]:
    """Return the lessons that a result consists of, in the language of the page."""
    if result.command == "lessons":
        return [lesson(row["name"]) for row in result.result["rows"]]
    return [lesson(result.result["name"])] if result.command == "explain" else []


def _charts(panels: Iterable[Any], anchor: str) -> Iterable[Chart]:
    for place, panel in enumerate(panels, 1):
        yield from charts.charts(panel, f"{anchor}-figure-{place}")


def _pack(text: str) -> str:
    """Return a text as base64 of gzip: small, and nothing in it can end a script element."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
