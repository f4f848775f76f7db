"""Bring the French catalogue in step with the sources, and compile it.

    python scripts/translate.py [--check]

Every text inside `_("...")` or `to_translate("...")` in nndiag/ gets an entry in nndiag.po, texts
that are gone leave it, and nndiag.mo is compiled. Prints what has no translation yet. `--check`
writes nothing and exits with 1 when a text is missing or untranslated, or when nndiag.mo is stale.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / "nndiag" / "locales" / "fr" / "LC_MESSAGES"
#: Where a text that was marked elsewhere is translated.
_MARKED = (
    "nndiag/cli/settings",
    "nndiag/cli/typer_words",
    "nndiag/experiments/reproduce",
    "nndiag/lessons/",
    "nndiag/report/claims",
    "nndiag/report/keys",
    "nndiag/report/lessons",
)
PO, MO = FOLDER / "nndiag.po", FOLDER / "nndiag.mo"


def collect(package: Path = CHECKOUT / "nndiag") -> dict[str, list[str]]:
    """Return every text to translate with the files that hold it."""
    found: dict[str, list[str]] = {}
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package.parent).as_posix()
        for text in _marked(ast.parse(file.read_text(encoding="utf-8")), place):
            places = found.setdefault(text, [])
            if place not in places:
                places.append(place)
    return found


def _marked(tree: ast.AST, place: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        if name not in ("_", "to_translate") or not node.args:
            continue
        match node.args[0]:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Name() | ast.Attribute() if place.startswith(_MARKED):
                pass  # translates what `to_translate` has marked
            case _:
                raise SystemExit(f"{place}:{node.lineno}: _() takes a literal text")


def merged(known: Catalog, texts: dict[str, list[str]]) -> Catalog:
    """Return a catalogue of exactly `texts`, with the translations of `known`."""
    catalogue = Catalog(
        locale="fr",
        project="nndiag",
        version="French",
        msgid_bugs_address="",
        header_comment="# French texts of nndiag; written by scripts/translate.py.",
        creation_date=known.creation_date,
        revision_date=known.revision_date,
        last_translator="nndiag",
        language_team="French",
        fuzzy=False,
    )
    for text, places in texts.items():
        before = known.get(text)
        message = catalogue.add(
            text,
            before.string if before else "",
            locations=[(place, None) for place in places],
            user_comments=before.user_comments if before else (),
        )
        # Babel takes "95 % interval" for a format of the % operator, which we never use.
        message.flags.discard("python-format")
    return catalogue


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the texts without a translation."""
    return [str(message.id) for message in catalogue if message.id and not message.string]


def _load() -> Catalog:
    if not PO.exists():
        return Catalog(locale="fr")
    with PO.open("rb") as stream:
        return read_po(stream, locale="fr")


def _pairs(catalogue: Catalog) -> dict[str, str]:
    return {str(m.id): str(m.string) for m in catalogue if m.id and m.string}


def problems() -> list[str]:
    """Return what `--check` complains of, a line each."""
    known, texts = _load(), collect()
    listed = {str(message.id) for message in known if message.id}
    compiled: dict[str, str] = {}
    if MO.exists():
        with MO.open("rb") as stream:
            compiled = _pairs(read_mo(stream))
    return [
        *(f"not in nndiag.po: {text!r}" for text in texts if text not in listed),
        *(f"no longer in the sources: {text!r}" for text in sorted(listed - set(texts))),
        *(f"untranslated: {text!r}" for text in untranslated(known)),
        *(["nndiag.mo is stale"] if compiled != _pairs(known) else []),
    ]


def write() -> list[str]:
    """Write both files; return what has no translation."""
    catalogue = merged(_load(), collect())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, writer in ((PO, _po), (MO, write_mo)):
        buffer = io.BytesIO()
        writer(buffer, catalogue)
        path.write_bytes(buffer.getvalue())
    return [f"untranslated: {text!r}" for text in untranslated(catalogue)]


def _po(stream: io.BytesIO, catalogue: Catalog) -> None:
    write_po(stream, catalogue, width=100, sort_by_file=True, include_lineno=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if out of step")
    checking = parser.parse_args().check
    lines = problems() if checking else write()
    print("\n".join(lines) or "French: complete")
    return int(checking and bool(lines))


if __name__ == "__main__":
    sys.exit(main())
