"""Names, numbers after a colon, and imports, with the whole text of every message."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.schema.errors import UsageError
from nndiag.zoo.registry import (
    Registry,
    is_import,
    number_text,
    parameters,
    resolve_import,
)


@dataclass(frozen=True)
class _Fruit:
    name: str


_FRUITS = (_Fruit("apple"), _Fruit("pear"))


def test_get_returns_the_row_and_names_keep_the_order() -> None:
    table = Registry(_FRUITS)
    assert table.get("pear", "--fruit") is _FRUITS[1]
    assert table.find("fig") is None
    assert table.names == ("apple", "pear")


@pytest.mark.parametrize(
    ("is_open", "text", "message"),
    [
        (False, "aple", "--fruit: unknown name 'aple'; did you mean apple?"),
        (
            True,
            "aple",
            "--fruit: unknown name 'aple'; did you mean apple? (or package.module:Name)",
        ),
        (False, "xyz", "--fruit: unknown name 'xyz'; accepted: apple, pear"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(
    is_open: bool, text: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Registry(_FRUITS, is_open=is_open).get(text, "--fruit")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("relu", False), ("relu:0.2", False), ("relu:1e-3", False), ("a.b:C", True), ("a:", True)],
)
def test_numbers_are_told_from_imports(text: str, expected: bool) -> None:
    assert is_import(text) is expected


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3))
def test_parameters_read_back_every_finite_number(numbers: list[float]) -> None:
    text = ":".join(["name", *map(number_text, numbers)])
    assert parameters(text, "--init", "", lambda given: True) == tuple(numbers)


@pytest.mark.parametrize("text", ["name:", "name:x", "name:nan", "name:inf", "name:1:", "name:2"])
def test_parameters_refuse_what_is_not_accepted(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parameters(text, "--init", "name:1", lambda given: given == (1.0,))
    assert str(caught.value) == f"--init: got '{text}'; accepted: name:1"


def test_resolve_import_splits_at_the_last_colon() -> None:
    assert resolve_import("pathlib:Path", "--act") is Path


@pytest.mark.parametrize("text", ["math:", ":sqrt", "ma th:sqrt", "a:b:c", "math:a.b", "..m:x"])
def test_resolve_import_refuses_other_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_import(text, "--act")
    assert str(caught.value) == (
        f"--act: got '{text}'; accepted: package.module:Name, such as torch.nn:Hardswish"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("math:sqrtt", "--act: module 'math' has no 'sqrtt'; did you mean sqrt?"),
        ("math:zzzzzz", "--act: module 'math' has no 'zzzzzz'"),
        (
            "no_such_module_here:f",
            "--act: no module named 'no_such_module_here', neither in the current folder "
            "nor among the installed packages",
        ),
        (
            "xml.no_such_module_here:f",
            "--act: no module named 'xml.no_such_module_here', neither in the current folder "
            "nor among the installed packages",
        ),
    ],
)
def test_resolve_import_says_what_is_missing(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_import(text, "--act")
    assert str(caught.value) == message


def test_modules_in_the_current_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_mine_ok.py").write_text("def swish(x):\n    return x\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert resolve_import("zoo_mine_ok:swish", "--act")(3) == 3
    assert sys.path == before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import zoo_not_there", "ModuleNotFoundError: No module named 'zoo_not_there'"),
    ],
)
def test_modules_that_fail_on_import_say_why(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_mine_bad.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        resolve_import("zoo_mine_bad:f", "--act")
    assert str(caught.value) == f"--act: importing 'zoo_mine_bad' failed with {reason}"
