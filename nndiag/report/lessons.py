"""What `nndiag lessons` and `nndiag explain` print."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nndiag.lessons import FAMILIES, Lesson, lesson
from nndiag.locales import _
from nndiag.report.glyphs import glyphs_for
from nndiag.report.numbers import widest
from nndiag.report.prose import command, labelled, ruled, sentence


@dataclass(frozen=True)
class Catalogue:
    """Every lesson in one line, by family."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, glyphs = options.max_width, glyphs_for(options.ascii_only)
        margin = widest(row.name for rows in FAMILIES.values() for row in rows) + 4
        for family, rows in FAMILIES.items():
            yield Text(glyphs.text(_(family)), style="bold")
            for row in rows:
                mark = glyphs.dot if row.symptom else " "
                line = f"{mark} {row.name}".ljust(margin) + lesson(row.name).title
                yield Text(glyphs.text(line)[:width])
            yield Text()
        text = _("{mark} a symptom that nndiag finds. Read one: nndiag explain TOPIC")
        yield from sentence(glyphs.text(text.format(mark=glyphs.dot)), width, style="dim")


@dataclass(frozen=True)
class Page:
    """One lesson, to be read in a minute."""

    found: Lesson

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, glyphs, found = options.max_width, glyphs_for(options.ascii_only), self.found
        yield ruled(glyphs.text(found.title), width, glyphs.rule, "bold")
        yield from sentence(glyphs.text(found.what), width)
        yield Text()
        parts = [
            (_("Formula"), found.formula),
            (_("Look at"), found.look),
            (_("Papers"), "; ".join(found.papers)),
        ]
        if found.see:
            parts.append((_("See also"), ", ".join(found.see)))
        margin = widest(label for label, _text in parts) + 2
        for label, text in parts:
            yield from labelled(glyphs.text(label), glyphs.text(text), width, margin=margin)
        yield Text()
        yield Text(_("Try"), style="bold")
        for line in found.commands:
            yield from command(line, width)
