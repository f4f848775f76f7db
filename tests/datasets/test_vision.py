"""The real loaders on tiny files in torchvision's formats: IDX for MNIST, pickles for CIFAR."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from nndiag import datasets
from nndiag.datasets import vision
from nndiag.datasets.catalogue import VISION
from nndiag.schema.errors import DataError
from nndiag.schema.spec import DataSpec

FILES = {True: "train", False: "t10k"}
LIKE_MNIST = [("mnist", "MNIST"), ("fashionmnist", "FashionMNIST"), ("kmnist", "KMNIST")]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError("the test has no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def grey(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (samples, 28, 28)).astype(np.uint8)
    return images, (np.arange(samples) % 10).astype(np.uint8)


def write_mnist(folder: Path, *, compressed: bool) -> None:
    folder.mkdir(parents=True)
    for train, samples in ((True, 80), (False, 30)):
        images, labels = grey(samples, seed=train)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{FILES[train]}-{kind}-ubyte"
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(idx(array)))
            else:
                path.write_bytes(idx(array))


def cifar_members(fine: bool) -> dict[str, bytes]:
    generator = np.random.default_rng(0)
    key, classes = ("fine_labels", 100) if fine else ("labels", 10)

    def batch(samples: int) -> bytes:
        pixels = generator.integers(0, 256, (samples, 3072)).astype(np.uint8)
        return pickle.dumps({"data": pixels, key: [k % classes for k in range(samples)]})

    names = [f"class {k}" for k in range(classes)]
    if fine:
        meta = pickle.dumps({"fine_label_names": names})
        return {"train": batch(400), "test": batch(100), "meta": meta}
    batches = {f"data_batch_{k}": batch(20) for k in range(1, 6)}
    meta = pickle.dumps({"label_names": names})
    return batches | {"test_batch": batch(20), "batches.meta": meta}


@pytest.fixture
def cifar(monkeypatch):
    """Return a maker of tiny CIFAR members whose checksums torchvision takes for the real ones."""
    from torchvision import datasets as theirs

    def make(name: str) -> dict[str, bytes]:
        kind = getattr(theirs, name)
        members = cifar_members(fine=name == "CIFAR100")
        sums = {file: hashlib.md5(content).hexdigest() for file, content in members.items()}
        for table in ("train_list", "test_list"):
            changed = [[file, sums[file]] for file, _digest in getattr(kind, table)]
            monkeypatch.setattr(kind, table, changed)
        meta = kind.meta | {"md5": sums[kind.meta["filename"]]}
        monkeypatch.setattr(kind, "meta", meta)
        return members

    return make


def write_cifar(folder: Path, members: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in members.items():
        (folder / name).write_bytes(content)


def load(name: str, root: Path, seed: int = 0):
    return datasets.load(DataSpec(name=name, root=str(root)), seed=seed)


def refusal(name: str, root: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(name, root)
    return str(caught.value).replace(str(root), "ROOT")


def test_every_name_of_the_catalogue_has_its_class():
    assert tuple(vision.CLASSES) == VISION


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("name", "folder"), LIKE_MNIST)
def test_idx_files_in_the_folder_are_used(tmp_path, name, folder, compressed):
    write_mnist(tmp_path / folder / "raw", compressed=compressed)
    splits = load(name, tmp_path)
    assert splits.input_shape == (1, 28, 28)
    assert len(splits.classes) == 10
    assert [len(part.y) for part in (splits.train, splits.validation, splits.test)] == [60, 20, 30]
    assert np.bincount(splits.train.y).tolist() == [6] * 10
    assert splits.source == f"torchvision's {folder} in {tmp_path}, official test split"


def test_the_official_test_split_is_ours_standardised_by_training_statistics(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw", compressed=False)
    splits = load("mnist", tmp_path, seed=4)
    images, labels = grey(80, seed=True)
    test_images, test_labels = grey(30, seed=False)
    np.testing.assert_array_equal(splits.test.y, test_labels)

    # the inverse of an affine map fixed by the training images must give every image back
    assert abs(float(splits.train.x.mean())) < 1e-6
    assert abs(float(splits.train.x.std()) - 1) < 1e-5
    slope, offset = np.polyfit(splits.test.x.ravel(), test_images.ravel().astype(float), 1)
    restored = np.rint(splits.train.x[:, 0] * slope + offset).astype(np.uint8)
    chosen = [int((images == image).all(axis=(1, 2)).argmax()) for image in restored]
    assert len(set(chosen)) == 60
    np.testing.assert_array_equal(labels[chosen], splits.train.y)
    assert abs(images[chosen].mean() - offset) < 1e-3
    assert abs(images[chosen].std() - slope) < 1e-3


@pytest.mark.parametrize(
    ("name", "kind", "folder", "sizes"),
    [
        ("cifar10", "CIFAR10", "cifar-10-batches-py", [75, 25, 20]),
        ("cifar100", "CIFAR100", "cifar-100-python", [300, 100, 100]),
    ],
)
def test_pickles_in_the_folder_are_used(tmp_path, cifar, name, kind, folder, sizes):
    members = cifar(kind)
    write_cifar(tmp_path / folder, members)
    splits = load(name, tmp_path)
    assert splits.input_shape == (3, 32, 32)
    assert splits.classes[:2] == ("class 0", "class 1")
    assert [len(part.y) for part in (splits.train, splits.validation, splits.test)] == sizes
    np.testing.assert_allclose(splits.train.x.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(splits.train.x.std(axis=(0, 2, 3)), 1, atol=1e-5)
    raw = pickle.loads(members["test" if name == "cifar100" else "test_batch"])["data"]
    red = np.corrcoef(splits.test.x[3, 0].ravel(), raw[3, :1024])[0, 1]
    assert red == pytest.approx(1, abs=1e-5)


def test_the_archive_alone_is_unpacked_without_what_else_it_holds(tmp_path, cifar):
    members = cifar("CIFAR10")
    write_cifar(tmp_path / "made" / "cifar-10-batches-py", members)
    (tmp_path / "made" / "cifar-10-batches-py" / "stranger").touch()
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
        tar.add(tmp_path / "made" / "cifar-10-batches-py" / "stranger", "../outside")
    assert load("cifar10", root).name == "cifar10"
    unpacked = {path.name for path in (root / "cifar-10-batches-py").iterdir()}
    assert unpacked == set(members)
    assert not (tmp_path / "outside").exists()


def test_without_network_and_files_the_error_says_what_to_put_where(tmp_path):
    assert refusal("mnist", tmp_path) == (
        "--data mnist: its files are not all in ROOT/MNIST/raw and could not be downloaded "
        "(the test has no network); put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz there, or name another folder "
        "with --data-root"
    )
    assert refusal("cifar100", tmp_path) == (
        "--data cifar100: its files are not all in ROOT and could not be downloaded "
        "(the test has no network); put cifar-100-python.tar.gz there, or name another folder "
        "with --data-root"
    )


def test_only_what_is_missing_is_asked_for(tmp_path):
    folder = tmp_path / "KMNIST" / "raw"
    write_mnist(folder, compressed=True)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "; put t10k-labels-idx1-ubyte.gz there," in refusal("kmnist", tmp_path)


@pytest.mark.parametrize("cut", [5, 100])
def test_a_damaged_archive_is_named(tmp_path, cut):
    folder = tmp_path / "MNIST" / "raw"
    write_mnist(folder, compressed=True)
    archive = folder / "t10k-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:cut])
    assert refusal("mnist", tmp_path) == (
        "--data mnist: ROOT/MNIST/raw/t10k-images-idx3-ubyte.gz is damaged; delete it and run again"
    )


def test_a_changed_batch_is_named_and_not_unpickled(tmp_path, cifar):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar(folder, cifar("CIFAR10"))
    (folder / "data_batch_3").write_bytes(b"cposix\nabort\n(tR.")
    assert refusal("cifar10", tmp_path) == (
        "--data cifar10: damaged files (data_batch_3 is not the published file); "
        "delete ROOT/cifar-10-batches-py and run again"
    )


def test_labels_that_do_not_fit_are_refused(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    write_mnist(folder, compressed=False)
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(79, dtype=np.uint8)))
    assert refusal("mnist", tmp_path) == (
        "--data mnist: damaged files (80 images and 79 labels); delete ROOT/MNIST/raw and run again"
    )
    labels.write_bytes(idx(np.full(80, 10, dtype=np.uint8)))
    assert refusal("mnist", tmp_path) == (
        "--data mnist: damaged files (labels are not 0 to 9); delete ROOT/MNIST/raw and run again"
    )


def test_a_file_that_is_no_idx_is_refused_in_one_sentence(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    write_mnist(folder, compressed=False)
    (folder / "train-images-idx3-ubyte").write_bytes(b"")
    message = refusal("mnist", tmp_path)
    assert message.startswith("--data mnist: damaged files (")
    assert message.endswith("); delete ROOT/MNIST/raw and run again")
    assert "\n" not in message


def test_the_tensors_of_older_torchvisions_are_still_read(tmp_path):
    import torch

    folder = tmp_path / "MNIST" / "processed"
    folder.mkdir(parents=True)
    for file, samples in (("training.pt", 80), ("test.pt", 30)):
        images, labels = grey(samples, seed=0)
        torch.save((torch.from_numpy(images), torch.from_numpy(labels).long()), folder / file)
    assert load("mnist", tmp_path).train.x.shape == (60, 1, 28, 28)


@pytest.mark.parametrize(
    ("given_root", "environment", "expected"),
    [
        ("/asked", {"NNDIAG_DATA_ROOT": "/set", "XDG_CACHE_HOME": "/cache"}, "/asked"),
        (None, {"NNDIAG_DATA_ROOT": "/set", "XDG_CACHE_HOME": "/cache"}, "/set"),
        (None, {"XDG_CACHE_HOME": "/cache"}, "/cache/nndiag/data"),
        (None, {}, "/home/me/.cache/nndiag/data"),
        ("~/here", {}, "/home/me/here"),
    ],
)
def test_the_root_is_the_option_else_the_environment_else_the_cache(
    monkeypatch, given_root, environment, expected
):
    monkeypatch.setenv("HOME", "/home/me")
    for name in ("NNDIAG_DATA_ROOT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert vision.data_root(given_root) == Path(expected)
