"""The words of the interface: English in the source, other languages in gettext catalogues.

Identifiers (JSON keys, symptom names, exit codes) are never translated.
"""

from __future__ import annotations

import gettext
import os
import sys
import unicodedata
from pathlib import Path

LANGUAGES = ("en", "fr")
_FOLDER = Path(__file__).parent
_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"
_plain = False
_SPELLED = str.maketrans({"’": "'", "×": "x", "œ": "oe", "σ": "sigma"})


def choose(language: str | None = None) -> str:
    """Return the language to speak: the one asked for, else NNDIAG_LANG, else the locale's."""
    wanted = language or os.environ.get("NNDIAG_LANG")
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        wanted = wanted or os.environ.get(name)
    code = (wanted or "en").split(":")[0][:2].lower()
    return code if code in LANGUAGES else "en"


def use(language: str) -> None:
    """Speak `language` ('en' or 'fr') from now on."""
    global _catalogue, _language, _plain
    _language = language
    _catalogue = gettext.translation(
        "nndiag", localedir=_FOLDER, languages=[language], fallback=True
    )
    _plain = not _shows_accents(getattr(sys.stdout, "encoding", None) or "utf-8")


def _shows_accents(encoding: str) -> bool:
    """Return whether a stream of this encoding can write every sign of our words."""
    try:
        "éσ’".encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def language() -> str:
    """Return the language in use: numbers for people follow it too."""
    return _language


def localised(number: str) -> str:
    """Write the decimal point of a number as the language in use has it."""
    return number.replace(".", ",") if _language == "fr" else number


def _(text: str) -> str:
    """Return `text` in the language in use; placeholders are filled by the caller."""
    said = _catalogue.gettext(text)
    if not _plain or said == text:
        return said
    quoted = said.replace("«\u00a0", '"').replace("\u00a0»", '"')
    spelled = unicodedata.normalize("NFKD", quoted.translate(_SPELLED))
    return "".join(sign for sign in spelled if not unicodedata.combining(sign))


def to_translate(text: str) -> str:
    """Return `text` as it is: marks a constant that `_` translates when it is shown."""
    return text
