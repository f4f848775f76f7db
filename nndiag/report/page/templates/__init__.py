"""The templates, filled in with every text escaped."""

from __future__ import annotations

from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING

from nndiag.locales import language
from nndiag.report.page import words

if TYPE_CHECKING:
    from jinja2 import Template


def get(name: str) -> Template:
    """Return a template that knows the words of the language in use."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "word": SimpleNamespace(**words.words()),
        "language": language(),
    }
    return environment.get_template(name)


def text(name: str) -> str:
    """Return a file of this folder."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
