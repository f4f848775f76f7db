"""Sentences, labelled lines and commands, wrapped to a width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.text import Text

from nndiag.report.numbers import decimals


def sentence(
    text: str, width: int, *, indent: str = "", bullet: str = "", style: str = ""
) -> Iterator[Text]:
    """Yield the lines of a paragraph, with `bullet` before the first."""
    for line in textwrap.wrap(
        decimals(text),
        max(width, 20),
        initial_indent=indent + bullet,
        subsequent_indent=indent + " " * len(bullet),
    ):
        yield Text(line, style=style)


def labelled(label: str, text: str, width: int, *, margin: int) -> Iterator[Text]:
    """Yield a label and its text, continued below the text's beginning."""
    for place, line in enumerate(textwrap.wrap(text, max(width - margin, 20))):
        head = Text((label if place == 0 else "").ljust(margin), style="dim")
        yield head.append(line, style="none")


def command(text: str, width: int, *, indent: str = "  ") -> Iterator[Text]:
    """Yield a command so that it can be copied: long ones are broken with a backslash.

    Args:
        text: the command, optionally followed by two spaces and a `# comment`.
    """
    code, _gap, comment = text.partition("  # ")
    if len(indent + text) <= width:
        yield Text(indent + code, style="bold").append(
            f"  # {comment}" if comment else "", style="dim"
        )
        return
    if comment:
        yield from sentence(f"# {comment}", width, indent=indent, style="dim")
    lines = textwrap.wrap(
        code,
        width - 2,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for place, line in enumerate(lines):
        yield Text(line + (" \\" if place < len(lines) - 1 else ""), style="bold")


def ruled(title: str, width: int, rule: str, style: str) -> Text:
    """Return a title in a horizontal line across the width."""
    head = f"{rule * 2} {title} "
    return Text(head + rule * max(0, width - len(head)), style=style)
