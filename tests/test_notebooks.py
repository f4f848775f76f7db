"""The notebooks of docs run to their end, and their results show as HTML."""

from __future__ import annotations

from pathlib import Path

import pytest

from nndiag.lessons import FAMILIES

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_every_family_of_lessons_has_one() -> None:
    assert [book.stem for book in BOOKS] == sorted(family.lower() for family in FAMILIES)


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_they_are_kept_without_output(book: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    read = nbformat.read(book, as_version=4)
    nbformat.validate(read)
    assert all(not cell.outputs for cell in read.cells if cell.cell_type == "code")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Jupyter's own are not ours to mend
@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_they_run(book: Path, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    read = nbformat.read(book, as_version=4)
    resources = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(read, timeout=600, resources=resources).execute()
    shown = [output for cell in read.cells for output in cell.get("outputs", ())]
    assert any("text/html" in output.get("data", {}) for output in shown)
