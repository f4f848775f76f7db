"""What `nndiag predict` prints: a line an image, ready for other programs."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from nndiag.locales import _
from nndiag.report.numbers import percent
from nndiag.schema.result import Result


def predictions(result: Result) -> RenderableType:
    """Return class, probability and file of every image, the most certain columns first."""
    rows = result.result["rows"]
    wide = max(len(row["class"]) for row in rows)
    lines = [
        Text(
            f"{row['class']:<{wide}}  {percent(row['probability']):>5} %  {row['file']}",
            no_wrap=True,
            overflow="ignore",
        )
        for row in rows
    ]
    notes = [
        Text(_("Not read: {file}").format(file=name), style="yellow")
        for name in result.result["problems"]
    ]
    return Group(*lines, *notes)
