"""A column of numbers from the user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nndiag.datasets import series
from nndiag.schema.errors import UsageError


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("1\n2.5\n-3e2\n", None, (1.0, 2.5, -300.0)),
        ("loss\n1\n\n2\n", None, (1.0, 2.0)),
        ("step,loss\n1,9\n2,8\n", "loss", (9.0, 8.0)),
        ("step; loss\n1; 9\n2; 8\n", "loss", (9.0, 8.0)),
        ("1,9\n2,8\n", "2", (9.0, 8.0)),
        ("\ufeffloss\r\n4\r\n5\r\n", "loss", (4.0, 5.0)),
    ],
)
def test_read(tmp_path: Path, text: str, column: str | None, expected: tuple[float, ...]) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(text.encode())
    assert series.read(path, column) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", None, "{file}: the file is empty"),
        ("loss\n", None, "{file}: there is no row below the header"),
        ("a,b\n1,2\n", None, "--column: {file} has 2 columns; accepted: one of a, b"),
        ("loss,b\n1,2\n", "los", "--column: unknown name 'los'; did you mean loss?"),
        ("a\n1\nx\n", None, "{file}, row 3, column 'a': got 'x'; accepted: a number"),
        ("a,b\n1,2\n3\n", "b", "{file}, row 3, column 'b': got ''; accepted: a number"),
        ("a\n1\nnan\n", None, "{file}, row 3, column 'a': got 'nan'; accepted: a number"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, column: str | None, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        series.read(path, column)
    assert str(caught.value) == message.format(file=path)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\)$"):
        series.read(tmp_path / "none.csv", None)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"not UTF-8 text$"):
        series.read(tmp_path / "binary.csv", None)
