"""Every lesson by name, and how a name is found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from nndiag.lessons import data, generalisation, networks, optimisation, signal, wiring
from nndiag.lessons.lesson import Lesson
from nndiag.locales import _, to_translate
from nndiag.schema.errors import UsageError, nearest

#: Lessons by family, in the order of the course.
FAMILIES: Mapping[str, tuple[Lesson, ...]] = {
    to_translate("Signal"): signal.LESSONS,
    to_translate("Networks"): networks.LESSONS,
    to_translate("Optimisation"): optimisation.LESSONS,
    to_translate("Wiring"): wiring.LESSONS,
    to_translate("Data"): data.LESSONS,
    to_translate("Generalisation"): generalisation.LESSONS,
}
LESSONS: Mapping[str, Lesson] = {row.name: row for family in FAMILIES.values() for row in family}


def lesson(name: str) -> Lesson:
    """Return the lesson of that name or alias, its texts in the language in use.

    Case, accents, spaces, hyphens and apostrophes do not matter.

    Raises:
        UsageError: there is none; the sentence names the nearest.
    """
    known = _by_spelling()
    spelled = _spelling(name)
    if spelled not in known:
        close = nearest(spelled, known)
        hint = (
            _("did you mean {name}?").format(name=known[close[0]])
            if close
            else _("`nndiag lessons` lists them all")
        )
        raise UsageError(_("no lesson '{name}'; {hint}").format(name=name, hint=hint))
    return _in_words(LESSONS[known[spelled]])


@cache
def _by_spelling() -> dict[str, str]:
    """Return the lesson's name for every way to write a name or an alias."""
    return {
        _spelling(text): row.name
        for row in LESSONS.values()
        for text in (row.name, row.title, *row.aliases)
    }


def _spelling(text: str) -> str:
    """Return `evanescence-du-gradient` for `Évanescence du gradient`."""
    letters = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _in_words(row: Lesson) -> Lesson:
    title, what, formula, look = row.title, row.what, row.formula, row.look
    return replace(row, title=_(title), what=_(what), formula=_(formula), look=_(look))
