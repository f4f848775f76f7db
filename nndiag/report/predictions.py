"""What `nndiag predict` prints: a line an image, ready for other programs, and its figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column, body, heading
from nndiag.report.numbers import count, percent
from nndiag.report.panels import Line, Panel
from nndiag.schema.result import Result


def predictions(result: Result) -> RenderableType:
    """Return class, probability and file of every image, and what they come to."""
    found = result.result
    rows = found["rows"]
    columns = [
        Column(title=_("class"), cells=tuple(row["class"] for row in rows), left=True),
        Column(
            title=_("sure %"),
            cells=tuple(percent(row["probability"]) for row in rows),
        ),
        Column(title=_("file"), cells=tuple(row["file"] for row in rows), left=True, group=" "),
    ]
    lines = [*heading(columns), *(body(columns, place) for place in range(len(rows)))]
    for line in lines:
        line.overflow = "ignore"  # a file's name is to be used
    notes = list(_notes(result))
    return Group(*lines, *([Text()] if notes else []), *notes)


def _notes(result: Result) -> Iterator[Text]:
    found = result.result
    if len(found["rows"]) > 1:
        yield from _counts(found)
    for problem in found["problems"]:
        yield Text(_("Not read: {file}").format(file=problem), style="yellow")
    if found["interrupted"]:
        yield Text(_("Interrupted: only what was complete is shown."), style="yellow")


def _counts(found: Mapping[str, Any]) -> Iterator[Text]:
    counts = Counter(row["class"] for row in found["rows"])
    told = ", ".join(f"{name} {count(number)}" for name, number in counts.most_common())
    yield Text(_("{count} images: {classes}").format(count=count(len(found["rows"])), classes=told))
    if found["known"]:
        yield Text(
            _("{right} of {known} agree with the name of their folder ({share} %)").format(
                right=count(found["right"]),
                known=count(found["known"]),
                share=percent(found["right"] / found["known"]),
            )
        )


def panels(result: Result) -> Iterator[Panel]:
    """Yield how sure the network is of each image, by the class that it sees."""
    found = result.result
    names = found["classes"]
    parts = {
        _("image"): [row for row in found["rows"] if row["folder"] in (None, row["class"])],
        _("in the folder of another class"): [
            row for row in found["rows"] if row["folder"] not in (None, row["class"])
        ],
    }
    yield Panel(
        title=_("How sure it is of what it sees"),
        x_name=_("probability of that class (%)"),
        down=names,
        lines=[
            Line(
                x=[100 * row["probability"] for row in rows],
                y=[names.index(row["class"]) + 1 for row in rows],
                name=name if all(parts.values()) else "",
                points=[row["file"] for row in rows],
                dots=True,
                colour=place,
            )
            for place, (name, rows) in enumerate(parts.items())
            if rows
        ],
    )
