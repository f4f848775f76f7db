from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

from nndiag.report import tables
from nndiag.report.screenshot import terminal_svg
from nndiag.schema.result import Result


def test_the_picture_is_stable_local_and_holds_the_output(
    make_result: Callable[..., Result],
) -> None:
    svg = terminal_svg(tables.gradients(make_result()), title="nndiag gradients")
    assert svg == terminal_svg(tables.gradients(make_result()), title="nndiag gradients")
    assert "@font-face" not in svg
    assert "url(http" not in svg
    assert 'url("http' not in svg
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "vanishing-gradients" in text
    assert "nndiag gradients --depth 20 --act sigmoid --norm batch" in text
