"""Sets of quiz questions: our own, and those that teachers write as TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nndiag.lessons.catalogue import lesson
from nndiag.lessons.questions import questions
from nndiag.locales import _, to_translate
from nndiag.schema.axes import KINDS, setting
from nndiag.schema.errors import DataError, UsageError, unknown_name
from nndiag.schema.spec_quiz import Option, Question, QuizSpec

_KEYS = (
    *("ask", "measure", "lesson", "pick", "base", "options", "layers"),
    *("tolerance", "tie", "seeds"),
)
_NEEDED = ("ask", "measure", "lesson")
#: What each key holds, for a check and in words.
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("ask", "measure", "lesson", "pick", "tie"), (str, to_translate("a text"))),
    **dict.fromkeys(("options", "layers"), (list, to_translate("a list"))),
    "base": (dict, to_translate("a table")),
    "tolerance": ((int, float), to_translate("a number")),
    "seeds": (int, to_translate("a whole number")),
}


def built_in() -> QuizSpec:
    """Return our own questions, in the language in use."""
    return QuizSpec(title=_("What happens in a network"), source="built-in", questions=questions())


def read(path: Path) -> QuizSpec:
    """Return the questions of a TOML file.

    Raises:
        DataError: the file cannot be read, or is wrong; the sentence names file, question and
            option.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise DataError(
            _("--set: {path} cannot be read: {reason}").format(path=path, reason=error.strerror)
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            _("{path}: not a TOML file: {reason}").format(path=path, reason=error)
        ) from None
    try:
        _require_keys(found, ("title", "question"), "")
        rows = found.get("question", [])
        if not isinstance(rows, list) or not rows:
            raise UsageError(_("no question; accepted: one or more tables [[question]]"))
        return QuizSpec(
            title=str(found.get("title", path.stem)),
            source=path.name,
            questions=[_question(row, number) for number, row in enumerate(rows, start=1)],
        )
    except UsageError as error:
        raise DataError(f"{path}: {error}") from None


def _question(row: Any, number: int) -> Question:
    where = _("question {number}").format(number=number)
    try:
        return _built(row)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _built(row: Any) -> Question:
    _require_keys(row, _KEYS, "")
    for key in _NEEDED:
        if key not in row:
            raise UsageError(_("{key} is missing").format(key=key))
    for key, value in row.items():
        kind, words = _TYPES[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UsageError(
                _("{key}: got {value!r}; accepted: {form}").format(
                    key=key, value=value, form=_(words)
                )
            )
    lesson(row["lesson"])
    given = {
        **row,
        "base": _settings(row.get("base", {})),
        "options": [_option(one, number) for number, one in enumerate(row.get("options", []), 1)],
    }
    return Question(**given)


def _option(row: Any, number: int) -> Option:
    try:
        if not isinstance(row, dict) or not isinstance(row.get("label"), str):
            raise UsageError(_("{key} is missing").format(key="label"))
        settings = {name: value for name, value in row.items() if name != "label"}
        return Option(label=row["label"], settings=_settings(settings))
    except UsageError as error:
        where = _("option {number}").format(number=number)
        raise UsageError(f"{where}: {error}") from None


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with their values checked."""
    _require_keys(given, tuple(KINDS), _("setting "))
    found = {}
    for name, value in given.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            found[name] = setting(name, text)
        except UsageError as error:
            raise UsageError(str(error).removeprefix("--")) from None
    return found


def _require_keys(row: Any, known: Sequence[str], kind: str) -> None:
    if not isinstance(row, dict):
        raise UsageError(_("got {value!r}; accepted: a table").format(value=row))
    for key in row:
        if key not in known:
            raise unknown_name(kind + _("key"), key, known)
