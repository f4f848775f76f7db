from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nndiag.datasets import embedded
from nndiag.schema.errors import DataError

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def damaged_copy(tmp_path, monkeypatch):
    shutil.copytree(embedded.data_folder() / "digits", tmp_path / "digits")
    monkeypatch.setattr(embedded, "data_folder", lambda: tmp_path)
    return tmp_path / "digits"


def test_digits_are_scikit_learns():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    theirs = load_digits()
    images, labels = embedded.read()
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


def test_digits_become_images_of_one_channel():
    splits = embedded.load(seed=1)
    assert splits.name == "digits"
    assert splits.input_shape == (1, 8, 8)
    assert splits.classes == tuple("0123456789")
    parts = (splits.train, splits.validation, splits.test)
    assert [part.x.shape for part in parts] == [(1078, 1, 8, 8), (360, 1, 8, 8), (359, 1, 8, 8)]
    assert {part.x.dtype for part in parts} == {np.dtype(np.float32)}


def test_class_shares_are_those_of_the_whole_set():
    everyone = np.bincount(embedded.read()[1])
    splits = embedded.load()
    for part, share in ((splits.train, 0.6), (splits.validation, 0.2), (splits.test, 0.2)):
        assert (np.abs(np.bincount(part.y) - share * everyone) < 1).all()


def test_each_pixel_is_standardised_by_training_samples_only():
    splits = embedded.load()
    pixels = splits.train.x.reshape(len(splits.train.y), 64)
    deviation = pixels.std(axis=0, dtype=np.float64)
    varying = deviation > 0
    assert 55 <= varying.sum() < 64
    np.testing.assert_allclose(pixels.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(deviation[varying], 1, atol=1e-5)
    for part in (splits.validation, splits.test):
        assert (part.x.reshape(-1, 64)[:, ~varying] == 0).all()
        assert np.abs(part.x.mean()) > 1e-5


def test_loading_needs_neither_scikit_learn_nor_torch_and_takes_milliseconds():
    code = (
        "import sys, time; from nndiag import datasets; from nndiag.schema.spec import DataSpec\n"
        "import numpy; datasets.load(DataSpec()); started = time.process_time()\n"
        "datasets.load(DataSpec()); print(time.process_time() - started)\n"
        "print(sorted({'sklearn', 'torch', 'torchvision', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert float(seconds) < 0.1


def test_the_data_folder_is_found_in_a_checkout_and_in_an_installed_package(tmp_path, monkeypatch):
    assert embedded.data_folder() == CHECKOUT / "data"
    module = tmp_path / "site" / "nndiag" / "datasets" / "embedded.py"
    monkeypatch.setattr(embedded, "__file__", str(module))
    installed = tmp_path / "site" / "nndiag" / "data"
    (tmp_path / "site" / "data").mkdir(parents=True)  # another package's, without digits
    with pytest.raises(DataError) as caught:
        embedded.data_folder()
    assert str(caught.value) == (
        f"--data digits: the folder {installed / 'digits'} is missing; install nndiag again"
    )
    (installed / "digits").mkdir(parents=True)
    assert embedded.data_folder() == installed


def test_a_changed_file_is_refused(damaged_copy):
    path = damaged_copy / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError) as caught:
        embedded.read()
    assert str(caught.value) == (
        f"--data digits: {path} is not the file that was shipped (its SHA-256 differs); "
        "install nndiag again"
    )


def test_a_missing_file_is_named(damaged_copy):
    (damaged_copy / "labels.npy").unlink()
    with pytest.raises(DataError) as caught:
        embedded.read()
    assert str(caught.value) == (
        f"--data digits: {damaged_copy / 'labels.npy'} cannot be read "
        "(No such file or directory); install nndiag again"
    )


def test_the_script_regenerates_the_files_byte_for_byte(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    script = CHECKOUT / "scripts" / "make_data.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    for name, digest in embedded.SHA256.items():
        shipped = embedded.data_folder() / "digits" / name
        assert (tmp_path / "digits" / name).read_bytes() == shipped.read_bytes()
        assert f"{digest} digits/{name}\n" in printed


def test_the_readme_states_the_checksums_the_code_enforces():
    readme = (embedded.data_folder() / "README.md").read_text()
    for name, digest in embedded.SHA256.items():
        assert f"`digits/{name}`" in readme
        assert digest in readme
