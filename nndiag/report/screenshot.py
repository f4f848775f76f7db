"""A terminal's picture as SVG, for the README and the docs."""

from __future__ import annotations

import io
import re

from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI

_FONT_FACES = re.compile(r"\s*@font-face \{.*?\n    \}", re.DOTALL)


def terminal_svg(renderable: RenderableType, *, title: str, width: int = 80) -> str:
    """Return the SVG of what a terminal of `width` columns shows.

    The same output gives the same bytes, and nothing is fetched from elsewhere: the font is the
    viewer's monospace one.
    """
    console = Console(
        width=width,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(renderable)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id="nndiag")
    return _FONT_FACES.sub("", svg)
