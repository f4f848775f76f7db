"""The words of the interface: English in the source, other languages in gettext catalogues.

Identifiers (JSON keys, symptom names, exit codes) are never translated.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

LANGUAGES = ("en", "fr")
_FOLDER = Path(__file__).parent
_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"


def choose(language: str | None = None) -> str:
    """Return the language to speak: the one asked for, else NNDIAG_LANG, else the locale's."""
    wanted = language or os.environ.get("NNDIAG_LANG")
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        wanted = wanted or os.environ.get(name)
    code = (wanted or "en").split(":")[0][:2].lower()
    return code if code in LANGUAGES else "en"


def use(language: str) -> None:
    """Speak `language` ('en' or 'fr') from now on, in our own words and in Typer's."""
    global _catalogue, _language
    _language = language
    _catalogue = gettext.translation(
        "nndiag", localedir=_FOLDER, languages=[language], fallback=True
    )
    gettext.bindtextdomain("nndiag", str(_FOLDER))
    gettext.textdomain("nndiag")


def language() -> str:
    """Return the language in use: numbers for people follow it too."""
    return _language


def _(text: str) -> str:
    """Return `text` in the language in use; placeholders are filled by the caller."""
    return _catalogue.gettext(text)
