"""The French interface: nothing left out, nothing left in English, same layout."""

from __future__ import annotations

import os
import re
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nndiag import locales

pytest.importorskip("babel")

RunCli = Callable[..., Any]
CHECKOUT = Path(__file__).parents[2]
NO_BREAK = "\u00a0"
# What must never show in French; identifiers, names of papers and options are left out of it.
ENGLISH = (
    *("network", "layer", "layers", "seed", "seeds", "measured", "theory", "factor", "output"),
    *("weight", "hidden", "the", "of", "and", "step", "steps", "loss", "run", "data", "inputs"),
    *("training", "samples", "batches", "warning", "critical", "Why", "Try", "See", "at", "by"),
    *("mean", "std", "dead", "update", "interval", "intervals", "folded", "towards", "first"),
)


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    locales.use("en")


@pytest.fixture(scope="module")
def translate() -> Any:
    sys.path.insert(0, str(CHECKOUT / "scripts"))
    try:
        import translate
    finally:
        sys.path.pop(0)
    return translate


@pytest.fixture(scope="module")
def entries(translate: Any) -> dict[str, str]:
    with translate.PO.open("rb") as stream:
        catalogue = translate.read_po(stream, locale="fr")
    return {message.id: message.string for message in catalogue if message.id}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: help texts are drawn once, on import."""
    inherited = {**os.environ, "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-m", "nndiag", *arguments],
        env={**inherited, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def placeholders(text: str) -> list[tuple[str, str | None, str | None]]:
    return sorted(
        (name, form or "", conversion or "")
        for _text, name, form, conversion in string.Formatter().parse(text)
        if name is not None
    )


def words(text: str) -> set[str]:
    """Return the words of a page, commands to copy, option names and symptoms left out."""
    text = re.sub(r"^ *nndiag .*$|--[\w-]+|\w+(?:[-_]\w+)+", " ", text, flags=re.MULTILINE)
    return set(re.findall(r"[^\W\d_]+", text))


def test_files_are_in_step_with_the_sources(translate: Any) -> None:
    assert translate.problems() == []


def test_check_finds_what_is_missing(translate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate, "collect", lambda: {"text that is nowhere": [], "layer": []})
    found = translate.problems()
    assert "not in nndiag.po: 'text that is nowhere'" in found
    assert "no longer in the sources: 'network'" in found


def test_stale_catalogue_is_found(
    translate: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(translate, "MO", tmp_path / "nndiag.mo")
    assert translate.problems() == ["nndiag.mo is stale"]


def test_implicit_concatenation_is_one_text(translate: Any, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text('_("a "\n  "b")\nlocales._("c")\nother("d")\n')
    assert list(translate.collect(tmp_path)) == ["a b", "c"]


def test_every_text_keeps_its_placeholders(entries: dict[str, str]) -> None:
    assert len(entries) > 300
    for text, french in entries.items():
        assert french, text
        assert placeholders(french) == placeholders(text), text
        if text[0] != ";":
            assert (french[0] == " ", french[-1] == " ") == (text[0] == " ", text[-1] == " "), text


def test_double_punctuation_has_a_no_break_space(entries: dict[str, str]) -> None:
    for french in entries.values():
        plain = re.sub(r"\{[^}]*\}", "x", french)
        assert not re.search(r" [:;?!»](\W|$)| %|« ", plain), french
        assert not re.search(r"\w[;?!»](\s|$)|\w:\s", plain), french
        assert "'" not in re.sub(r"phi'|'[^']*'", "", plain), french


def test_column_titles_stay_short() -> None:
    locales.use("fr")
    for title in ("sat%", "off%", "dead", "norm", "mean", "std", "grad", "dead%", "steps", "rank"):
        assert len(locales._(title)) <= 5, title
    for title in ("best lr", "test %", "diverged %", "decades", "textbook", "update", "weight"):
        assert len(locales._(title)) <= len(title), title


def test_help_is_french() -> None:
    done = run("--help", NNDIAG_LANG="fr")
    assert done.returncode == 0
    for text in (
        "Comparer et guérir",
        "Affiche ce message et quitte.",
        "Affiche la version et quitte.",
    ):
        assert text in done.stdout
    assert not words(done.stdout) & {"Show", "Commands", "Install", "Print", "the", "and"}
    done = run("gradients", "-h", NNDIAG_LANG="fr")
    assert "[par défaut :" in done.stdout.replace(NO_BREAK, " ")
    assert not words(done.stdout) & {"Show", "default", "the", "and", "of", "Clip", "with"}


def test_english_help_under_a_french_locale() -> None:
    done = run("gradients", "--help", "--lang", "en", LANG="fr_FR.UTF-8", COLUMNS="160")
    assert "[default: mlp]" in done.stdout
    assert "Show this message and exit." in done.stdout


@pytest.mark.parametrize(
    "environment",
    [{"NNDIAG_LANG": "fr"}, {"LANG": "fr_FR.UTF-8"}, {"LC_ALL": "fr_CA.UTF-8"}],
    ids=str,
)
def test_environment_chooses_the_language(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = run_cli("gradients", "--depth", "0")
    assert done.code == 2
    assert done.err.replace(NO_BREAK, " ") == "nndiag: --depth : reçu 0 ; accepté : de 1 à 10000\n"


def test_option_beats_the_environment(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDIAG_LANG", "fr")
    done = run_cli("gradients", "--depth", "0", "--lang", "en")
    assert done.err == "nndiag: --depth: got 0; accepted: from 1 to 10000\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("gradients --bogus", "L’option --bogus n’existe pas"),
        ("gradients --depth x", "Valeur incorrecte pour '--depth' : un nombre entier est attendu"),
        ("gradients --depth", "L’option '--depth' exige une valeur."),
        ("summary", "Il manque l’argument 'MODEL'."),
        ("gradients extra", "Argument(s) en trop : (extra)"),
        ("nope", "La commande 'nope' n’existe pas."),
        ("gradient", "La commande 'gradient' n’existe pas ; vouliez-vous dire 'gradients' ?"),
        ("gradients --net mpl", "--net : nom inconnu « mpl » ; vouliez-vous dire mlp ?"),
    ],
)
def test_usage_errors(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.setenv("NNDIAG_LANG", "fr")
    done = run_cli(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.replace(NO_BREAK, " ") == f"nndiag: {message}\n"


def test_unknown_language_is_a_usage_error(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_cli("gradients", "--lang", "de")
    assert done.code == 2
    assert done.err.startswith("nndiag: --lang: unknown name 'de'; ")
    monkeypatch.setenv("NNDIAG_LANG", "fr")
    done = run_cli("gradients", "--lang=de")
    assert done.code == 2
    assert done.err.replace(NO_BREAK, " ").startswith("nndiag: --lang : nom inconnu « de » ; ")


def test_gradients_has_the_same_table_in_french(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    command = ("gradients", "--depth", "20", "--act", "sigmoid", "--lang")
    french, english = run_cli(*command, "fr"), run_cli(*command, "en")
    assert french.code == english.code == 0
    assert max(map(len, french.out.splitlines())) <= 80
    assert columns(french.out) == columns(english.out)
    assert not words(french.out) & set(ENGLISH)
    assert len(words(english.out) & set(ENGLISH)) > 20  # the list would notice


def columns(page: str) -> int:
    """Return the number of cells in the row of the fifth layer."""
    return next(len(line.split()) for line in page.splitlines() if " fc5 " in line)


@pytest.mark.parametrize("command", ["perceptron", "ewma", "losses"])
def test_no_decimal_point_is_left(run_cli: RunCli, command: str) -> None:
    page = run_cli(command, "--lang", "fr").out
    labels = r"beta 0\.\d+|^0\.\d+|huber 0\.5"  # as they were typed
    assert re.findall(r".*\d\.\d.*", re.sub(labels, "", page, flags=re.MULTILINE)) == []


def test_language_before_the_command(run_cli: RunCli) -> None:
    done = run_cli("--lang", "fr", "gradients", "--seeds", "0")
    assert done.err.replace(NO_BREAK, " ") == "nndiag: --seeds : reçu 0 ; accepté : au moins 1\n"


def test_json_is_the_same_in_both_languages(run_cli: RunCli) -> None:
    command = ("gradients", "--depth", "4", "--seeds", "2", "--json", "-", "--lang")
    french, english = (run_cli(*command, language).out for language in ("fr", "en"))
    assert re.findall(r'"(\w+)":', french) == re.findall(r'"(\w+)":', english)


def test_a_stream_without_accents_gets_plain_letters() -> None:
    arguments = ("gradients", "--depth", "3", "--seeds", "2", "--lang", "fr")
    done = run(*arguments, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert done.stdout.startswith("reseau ")
