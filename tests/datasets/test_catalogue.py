from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from nndiag import datasets
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.spec import DataSpec


def refusal(name: str, target: str | None = None, kind: type[UsageError] = UsageError) -> str:
    spec = DataSpec(name=name, target=target)
    with pytest.raises(kind) as caught:
        datasets.check(spec)
    with pytest.raises(kind) as again:
        datasets.load(spec)
    assert str(caught.value) == str(again.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", [*datasets.BUILT_IN, "Fashion-MNIST", "fashion_mnist", "CIFAR-10", "Digits", "KMNIST"]
)
def test_names_are_known_in_any_spelling(name):
    datasets.check(DataSpec(name=name))


@pytest.mark.parametrize("name", ["moons", "Moons"])
def test_a_name_leads_to_its_set(name):
    assert datasets.load(DataSpec(name=name)).name == "moons"


def test_the_seed_reaches_the_splits():
    first, again, other = (datasets.load(DataSpec(), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.test.y, again.test.y)
    assert not np.array_equal(first.test.y, other.test.y)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "minst",
            "--data: unknown name 'minst'; did you mean mnist? "
            "(or the path of a .csv or .npz file)",
        ),
        (
            "zzz",
            "--data: unknown name 'zzz'; accepted: digits, moons, circles, spirals, xor, blobs, "
            "mnist, fashionmnist, kmnist, cifar10, cifar100 (or the path of a .csv or .npz file)",
        ),
    ],
)
def test_an_unknown_name_answers_with_the_nearest(name, message):
    assert refusal(name) == message


def test_a_target_is_for_files_only():
    assert refusal("digits", "label") == (
        "--target: only for a .csv or .npz file; digits brings its own labels"
    )


def test_a_missing_file_names_its_neighbour(tmp_path):
    wanted = tmp_path / "irises.csv"
    assert refusal(str(wanted), kind=DataError) == f"--data: there is no file '{wanted}'"
    (tmp_path / "iris.csv").touch()
    assert refusal(str(wanted), kind=DataError) == (
        f"--data: there is no file '{wanted}'; did you mean {tmp_path / 'iris.csv'}?"
    )
    assert refusal("nowhere-at-all.npz", kind=DataError) == (
        "--data: there is no file 'nowhere-at-all.npz'"
    )


def test_a_folder_or_another_suffix_is_no_data_file(tmp_path):
    assert refusal(str(tmp_path), kind=DataError) == (
        f"--data: '{tmp_path}' is a folder; accepted: a .csv or .npz file"
    )
    assert refusal("./mine.xlsx", kind=DataError) == (
        "--data: './mine.xlsx' ends in '.xlsx'; accepted: a .csv or .npz file"
    )
    assert refusal("mine.tsv", kind=DataError) == (
        "--data: 'mine.tsv' ends in '.tsv'; accepted: a .csv or .npz file"
    )
    assert refusal("./mine", kind=DataError) == (
        "--data: './mine' ends in ''; accepted: a .csv or .npz file"
    )


def test_a_file_in_the_home_folder_and_with_a_capital_suffix(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "MINE.CSV").write_text("a,label\n" + "1,x\n2,y\n" * 5)
    splits = datasets.load(DataSpec(name="~/MINE.CSV", target="label"))
    assert splits.classes == ("x", "y")
    assert splits.input_shape == (1,)
    assert [len(part.y) for part in (splits.train, splits.validation, splits.test)] == [6, 2, 2]


def test_checking_loads_neither_torch_nor_numpy(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,label\n")
    code = (
        "import sys\nfrom nndiag import datasets\nfrom nndiag.schema.spec import DataSpec\n"
        "for name, target in (('digits', None), ('mnist', None), (sys.argv[1], 'label')):\n"
        "    datasets.check(DataSpec(name=name, target=target))\n"
        "print(sorted({'torch', 'torchvision', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
