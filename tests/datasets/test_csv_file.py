from __future__ import annotations

import time

import numpy as np
import pytest

from nndiag import datasets
from nndiag.datasets import csv_file
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.spec import DataSpec

GOOD = "age,label,height\n1,b,0.5\n2,a,-1e3\n"


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes):
        path = tmp_path / "mine.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refusal(path, target="label") -> str:
    """Return what `read` says, without the folder."""
    with pytest.raises(UsageError) as caught:
        csv_file.read(path, target)
    return str(caught.value).replace(str(path), "mine.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_is_read_whatever_program_wrote_it(write, delimiter, ending, mark):
    text = GOOD.replace(",", delimiter).replace("\n", ending)
    x, labels, where = csv_file.read(write(mark + text.encode()), "label")
    np.testing.assert_array_equal(x, [[1, 0.5], [2, -1000]])
    assert labels.tolist() == ["b", "a"]
    assert where.endswith("mine.csv, column 'label'")


def test_quotes_spaces_blank_lines_and_a_missing_last_newline(write):
    text = '\n"a ""quoted"" name", label \n 1 , x\n\n   \n"2","y, z"'
    x, labels, _where = csv_file.read(write(text), "label")
    assert x.tolist() == [[1], [2]]
    assert labels.tolist() == ["x", "y, z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.csv: the file is empty"),
        ("\n \n", "mine.csv: the file is empty"),
        ("a,label\n", "mine.csv: there is no row below the header"),
        (
            "label\n1\n",
            "mine.csv, row 1: one column only ('label'); accepted: two or more, separated by "
            "comma, semicolon or tab",
        ),
        ("a,a,label\n1,2,x\n", "mine.csv, row 1: column 'a' is there twice"),
        (",a,label\n0,1,x\n", "mine.csv, row 1: column 1 has no name"),
        ("a,label\n1,x\nfive,y\n", "mine.csv, row 3, column 'a': 'five' is not a number"),
        ("a,label,b\n1,x,2\n1,y,N/A\n", "mine.csv, row 3, column 'b': 'N/A' is not a number"),
        ("a,label\n1,x\n,y\n", "mine.csv, row 3, column 'a': the cell is empty"),
        ("a,label\n1,x\nnan,y\n", "mine.csv, row 3, column 'a': nan is not a finite number"),
        (
            "a,b,label\n1,2,x\n1,-inf,y\n",
            "mine.csv, row 3, column 'b': -inf is not a finite number",
        ),
        ("a,b,label\nnan,oops,x\n", "mine.csv, row 2, column 'a': nan is not a finite number"),
        ("a,label\n1,x\n2,\n", "mine.csv, row 3, column 'label': the label is missing"),
        ("a,label\n1,x\n2,NaN\n", "mine.csv, row 3, column 'label': the label is missing"),
        ("a,label\n1,x\n2\n", "mine.csv, row 3: 1 cells under a header of 2"),
        ("a,label\n1,x\n,\n", "mine.csv, row 3, column 'label': the label is missing"),
        ("a,label\n1,x\n2,y,3\n", "mine.csv, row 3: 3 cells under a header of 2"),
        ('a,label\n\n"1",x\n\n"oops",y\n', "mine.csv, row 5, column 'a': 'oops' is not a number"),
        ('a,label\n1,"x\nx"\nbad,y\n', "mine.csv, row 4, column 'a': 'bad' is not a number"),
        (b"a,label\n1,x\n2,\xe9\n", "mine.csv, row 3: not UTF-8 text"),
        (
            "a,label\n1," + "x" * 200_000 + "\n",
            "mine.csv, row 2: not a CSV file (field larger than field limit (131072))",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write, text, message):
    assert refusal(write(text)) == message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            None,
            "--target: name the column of mine.csv that holds the labels: age, label, height",
        ),
        ("lable", "--target: mine.csv has no column 'lable'; did you mean label?"),
        ("zzz", "--target: mine.csv has no column 'zzz'; columns: age, label, height"),
    ],
)
def test_the_target_is_asked_for_with_the_columns_there_are(write, target, message):
    path = write(GOOD)
    assert refusal(path, target) == message
    with pytest.raises(UsageError) as caught:
        datasets.check(DataSpec(name=str(path), target=target))
    assert str(caught.value).replace(str(path), "mine.csv") == message


def test_a_wide_header_is_shown_up_to_twelve_names(write):
    path = write(",".join(f"pixel{k}" for k in range(785)) + "\n")
    assert refusal(path, "zzz") == (
        "--target: mine.csv has no column 'zzz'; columns: "
        + "".join(f"pixel{k}, " for k in range(12))
        + "..."
    )


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "mine.csv").mkdir()
    assert refusal(tmp_path / "mine.csv") == "mine.csv: cannot be read (Is a directory)"


def test_check_reads_the_header_only(write):
    datasets.check(DataSpec(name=str(write("a,label\nfive,x\n")), target="label"))
    with pytest.raises(DataError):
        datasets.load(DataSpec(name=str(write("a,label\nfive,x\n")), target="label"))


def test_a_hundred_thousand_rows_take_seconds_at_most(write):
    line = ",".join(["0.123456"] * 20)
    rows = "".join(f"{k}.5,{line},{'abc'[k % 3]}\n" for k in range(100_000))
    path = write(",".join(f"f{k}" for k in range(21)) + ",label\n" + rows)
    started = time.process_time()
    splits = datasets.load(DataSpec(name=str(path), target="label"))
    assert time.process_time() - started < 5
    assert splits.train.x.shape == (60_000, 21)
    assert (splits.train.x[:, 1:] == 0).all()
