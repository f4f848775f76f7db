"""Sets of quiz questions: our own, and those that teachers write as TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nndiag.lessons.catalogue import lesson
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
    deep = {"depth": 20, "width": 64}
    return QuizSpec(
        title=_("What happens in a network"),
        source="built-in",
        questions=(
            Question(
                ask=_(
                    "A network of 20 sigmoid layers, just initialised (Xavier). Which hidden "
                    "layer gets the smallest gradient?"
                ),
                measure="output_grad_norm",
                pick="lowest",
                lesson="vanishing-gradients",
                base={**deep, "act": "sigmoid", "init": "xavier_normal"},
                layers=("first", "middle", "last"),
            ),
            Question(
                ask=_(
                    "Networks of 20 ReLU layers, just initialised. Whose gradient is as large in "
                    "the first layer as in the last?"
                ),
                measure="grad_ratio",
                pick="nearest-1",
                lesson="initialisation",
                base={**deep, "act": "relu"},
                options=(
                    Option(label=_("PyTorch's default"), settings={"init": "torch"}),
                    Option(label="Xavier", settings={"init": "xavier_normal"}),
                    Option(label="He", settings={"init": "he_normal"}),
                    Option(label="N(0, 1)", settings={"init": "normal"}),
                ),
                tolerance=0.3,
                seeds=5,
            ),
            Question(
                ask=_(
                    "The 20 sigmoid layers are trained on the digits, 200 steps. Which one change "
                    "makes them learn?"
                ),
                measure="test_accuracy",
                lesson="batch-normalisation",
                base={**deep, "act": "sigmoid", "init": "xavier_normal", "optimizer": "adam",
                      "lr": 0.003, "steps": 200},
                options=(
                    Option(label=_("a larger learning rate, 0.03"), settings={"lr": 0.03}),
                    Option(label=_("He's initialisation"), settings={"init": "he_normal"}),
                    Option(label=_("batch normalisation"), settings={"norm": "batch"}),
                    Option(label=_("gradient clipping at 1"), settings={"clip_norm": 1.0}),
                ),
                tolerance=0.05,
            ),
            Question(
                ask=_(
                    "Three ReLU layers with He's initialisation, 300 steps of Adam. Does batch "
                    "normalisation help here, by two points or more of test accuracy?"
                ),
                measure="test_accuracy",
                lesson="batch-normalisation",
                base={"depth": 3, "width": 32, "act": "relu", "optimizer": "adam", "steps": 300},
                options=(
                    Option(label=_("yes, it helps"), settings={"norm": "batch"}),
                    Option(label=_("no, it harms"), settings={"norm": "none"}),
                ),
                tie=_("neither: less than two points"),
                tolerance=0.02,
                seeds=5,
            ),
            Question(
                ask=_(
                    "Plain stochastic gradient descent on five ReLU layers, 100 steps. Which "
                    "learning rate diverges?"
                ),
                measure="diverged",
                lesson="learning-rate-too-high",
                base={"depth": 5, "width": 32, "act": "relu", "optimizer": "sgd", "steps": 100},
                options=tuple(
                    Option(label=f"{rate:g}", settings={"lr": rate})
                    for rate in (0.01, 0.1, 0.5, 5.0)
                ),
            ),
            Question(
                ask=_(
                    "Ten tanh layers, just initialised. With which weights are most outputs on the "
                    "flat part of tanh?"
                ),
                measure="saturated_fraction",
                lesson="saturated-activations",
                base={"depth": 10, "width": 64, "act": "tanh"},
                options=(
                    Option(label="Xavier", settings={"init": "xavier_normal"}),
                    Option(label="He", settings={"init": "he_normal"}),
                    Option(label="N(0, 1)", settings={"init": "normal"}),
                ),
            ),
            Question(
                ask=_(
                    "Fifty tanh layers, 200 steps of Adam. Weights of the same variance: which "
                    "learn more?"
                ),
                measure="test_accuracy",
                lesson="dynamical-isometry",
                base={"depth": 50, "width": 64, "act": "tanh", "optimizer": "adam", "lr": 3e-4,
                      "steps": 200},
                options=(
                    Option(label=_("Gaussian weights"), settings={"init": "lecun_normal"}),
                    Option(label=_("orthogonal weights"), settings={"init": "orthogonal"}),
                ),
                tie=_("no difference"),
            ),
        ),
    )  # fmt: skip


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
