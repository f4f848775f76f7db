"""Lessons: complete, found by any of their names, and with commands that can be typed."""

from __future__ import annotations

import importlib
import json
import pkgutil
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nndiag.experiments
from nndiag import locales
from nndiag.cli import app
from nndiag.lessons import FAMILIES, LESSONS, Lesson, lesson
from nndiag.lessons.catalogue import _spelling
from nndiag.schema.errors import UsageError
from nndiag.schema.finding import Symptom

Run = Callable[..., Any]


def test_every_symptom_has_one() -> None:
    assert set(Symptom) <= LESSONS.keys()
    assert {row.symptom for row in LESSONS.values()} - {None} == set(Symptom)


def test_names_are_unique_and_neighbours_exist() -> None:
    assert len(LESSONS) == sum(map(len, FAMILIES.values()))
    owners: dict[str, str] = {}
    for row in LESSONS.values():
        for text in {_spelling(text) for text in (row.name, row.title, *row.aliases)}:
            assert owners.setdefault(text, row.name) == row.name, text
        assert set(row.see) <= LESSONS.keys() - {row.name}


@pytest.mark.parametrize("row", LESSONS.values(), ids=lambda row: row.name)
def test_short_and_complete(row: Lesson) -> None:
    assert 25 <= len(row.what.split()) <= 80
    assert 5 <= len(row.look.split()) <= 45
    assert row.formula
    assert row.papers
    assert len(set(row.commands)) == 2


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("évanescence du gradient", "vanishing-gradients"),
        ("Disparition du gradient", "vanishing-gradients"),
        ("disparition-des-gradients", "vanishing-gradients"),
        ("VANISHING_GRADIENTS", "vanishing-gradients"),
        ("normalisation par lot", "batch-normalisation"),
        ("taux d’apprentissage", "learning-rate"),
        ("surapprentissage", "overfitting"),
        ("xor", "perceptron"),
        ("compare-optimizers", "optimizers"),
    ],
)
def test_other_names(typed: str, name: str) -> None:
    assert lesson(typed).name == name


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("vanishing gradiant", "no lesson 'vanishing gradiant'; did you mean vanishing-gradients?"),
        ("batchnrom", "no lesson 'batchnrom'; did you mean batch-normalisation?"),
        ("zzz", "no lesson 'zzz'; `nndiag lessons` lists them all"),
    ],
)
def test_unknown(typed: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        lesson(typed)
    assert str(caught.value) == message


class Reached(Exception):  # noqa: N818 - no error: the command line was accepted
    """The experiment would start now."""


@pytest.fixture
def no_experiment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let each experiment stop where its spec is complete and checked."""

    def reached(*_spec: object, **_rest: object) -> None:
        raise Reached

    for module in pkgutil.iter_modules(nndiag.experiments.__path__):
        loaded = importlib.import_module(f"nndiag.experiments.{module.name}")
        if hasattr(loaded, "run"):
            monkeypatch.setattr(loaded, "run", reached)
    (tmp_path / "train.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def group() -> Any:
    return app.build()


@pytest.fixture(autouse=True)
def built_once(monkeypatch: pytest.MonkeyPatch, group: Any) -> None:
    monkeypatch.setattr(app, "build", lambda: group)


@pytest.mark.usefixtures("no_experiment")
@pytest.mark.parametrize(
    "typed", sorted({command for row in LESSONS.values() for command in row.commands})
)
def test_commands_can_be_typed(run_cli: Run, typed: str) -> None:
    with pytest.raises(Reached):
        run_cli(*shlex.split(typed)[1:])


def test_listed(run_cli: Run) -> None:
    done = run_cli("lessons")
    assert done.code == 0
    for name in LESSONS:
        assert f" {name} " in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert run_cli("explain").out == done.out


@pytest.mark.parametrize("name", LESSONS)
def test_read(run_cli: Run, name: str) -> None:
    done = run_cli("explain", *name.split("-"))
    assert done.code == 0, done.err
    found = lesson(name)
    for command in found.commands:
        assert command in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_json(run_cli: Run) -> None:
    rows = json.loads(run_cli("lessons", "--json", "-").out)["result"]["rows"]
    assert [row["label"] for row in rows] == list(LESSONS)
    found = json.loads(run_cli("explain", "dead units", "--json", "-").out)
    assert found["command"] == "explain"
    assert (found["result"]["name"], found["result"]["symptom"]) == ("dead-units", "dead-units")
    assert len(found["result"]["commands"]) == 2


def test_wrong_topic(run_cli: Run) -> None:
    done = run_cli("explain", "dropuot")
    assert (done.code, done.err) == (2, "nndiag: no lesson 'dropuot'; did you mean dropout?\n")


def test_in_french() -> None:
    locales.use("fr")
    try:
        french = lesson("évanescence du gradient")
    finally:
        locales.use("en")
    english = lesson("vanishing-gradients")
    assert (french.name, french.commands) == (english.name, english.commands)
    assert french.title == "Évanescence du gradient"
    assert french.what != english.what


def test_needs_no_torch(python: Run) -> None:
    code = (
        "import sys; from nndiag.cli.app import main; main(['explain', 'xor'])\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
