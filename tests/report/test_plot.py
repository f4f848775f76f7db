from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nndiag.report import plot
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.result import Result

Maker = Callable[..., Result]


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG\r\n"), ("pdf", b"%PDF-"), ("SVG", b"<?xml")]
)
def test_the_suffix_chooses_the_format(
    suffix: str, magic: bytes, tmp_path: Path, make_result: Maker
) -> None:
    path = plot.write(make_result(), tmp_path / f"figure.{suffix}")
    assert path.read_bytes().startswith(magic)


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_result_gives_the_same_bytes(
    suffix: str, tmp_path: Path, make_result: Maker
) -> None:
    first = plot.write(make_result(), tmp_path / f"first.{suffix}").read_bytes()
    assert plot.write(make_result(), tmp_path / f"second.{suffix}").read_bytes() == first


def test_svg_parses_and_fetches_nothing(tmp_path: Path, make_result: Maker) -> None:
    path = plot.write(make_result(), tmp_path / "figure.svg")
    links = [
        value
        for element in ElementTree.parse(path).iter()
        for name, value in element.attrib.items()
        if name.endswith("href") and not value.startswith(("#", "data:"))
    ]
    assert links == []


def test_an_unknown_suffix_names_the_accepted_ones(tmp_path: Path) -> None:
    path = tmp_path / "figure.jpg"
    with pytest.raises(UsageError) as caught:
        plot.check_path(path)
    assert str(caught.value) == (
        f"--plot: got '{path}'; accepted: a file name that ends in .png, .svg, .pdf, .html"
    )


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "figure.png"
    with pytest.raises(UsageError) as caught:
        plot.check_path(path)
    assert str(caught.value) == f"--plot: the folder '{path.parent}' does not exist"


@pytest.mark.parametrize(
    ("suffix", "library", "extra"), [(".png", "matplotlib", "plot"), (".html", "plotly", "report")]
)
def test_a_missing_library_says_what_to_install(
    suffix: str, library: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == library else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(UsageError) as caught:
        plot.check_path(tmp_path / f"figure{suffix}")
    assert str(caught.value) == (
        f"--plot: {suffix} files need {library}; pip install 'nndiag[{extra}]'"
    )


def test_a_file_that_cannot_be_written_is_a_failed_run(tmp_path: Path, make_result: Maker) -> None:
    path = tmp_path / "figure.svg"
    path.mkdir()
    with pytest.raises(RunError, match=re.escape(f"'{path}' cannot be written: Is a directory")):
        plot.write(make_result(), path)
