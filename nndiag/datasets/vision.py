"""MNIST, FashionMNIST, KMNIST, CIFAR10 and CIFAR100, in torchvision's own layout on disk.

The official test split stays apart as our test; the official training split is divided 75/25 by
class into training and validation.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from nndiag.datasets import fetch
from nndiag.datasets.splits import Array, Split, Splits, scaling_of, stratified
from nndiag.locales import _
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Watch

CLASSES = {
    "mnist": "MNIST",
    "fashionmnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}
_TRAINING_SHARE = (0.75, 0.25)


def data_root(root: str | None = None) -> Path:
    """Return `root`, else NNDIAG_DATA_ROOT, else nndiag/data in the user's cache folder."""
    chosen = root or os.environ.get("NNDIAG_DATA_ROOT")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nndiag" / "data"


def load(
    name: str, *, root: str | None = None, seed: int = 0, progress: Watch | None = None
) -> Splits:
    """Return a torchvision set, standardised per channel by the training split.

    Files that are in `root` are used as they are; archives that are there are unpacked; what is
    missing is downloaded.

    Args:
        name: a key of `CLASSES`.
        root: the folder that holds `MNIST`, `cifar-10-batches-py` ...; see `data_root`.
        seed: draws the division into training and validation.
        progress: told how many bytes of a download have arrived.

    Raises:
        DataError: neither there nor reachable (names what to put where), or damaged.
    """
    kind, folder = fetched(name, root, progress)
    x, y, classes = _read(kind, folder, name, train=True)
    x_test, y_test, _classes = _read(kind, folder, name, train=False)
    parts = stratified(y, _TRAINING_SHARE, seed)
    axes = (0, 2, 3)
    scaling = scaling_of(x[parts[0]], axes)
    train, validation, test = map(scaling.apply, (x[parts[0]], x[parts[1]], x_test))
    return Splits(
        name=name,
        train=Split(x=train, y=y[parts[0]]),
        validation=Split(x=validation, y=y[parts[1]]),
        test=Split(x=test, y=y_test),
        classes=classes,
        input_shape=tuple(x.shape[1:]),
        source=_("torchvision's {name} in {folder}, official test split").format(
            name=CLASSES[name], folder=folder
        ),
        scaling=scaling,
    )


def fetched(name: str, root: str | None, progress: Watch | None = None) -> tuple[Any, Path]:
    """Return torchvision's class of a set and the folder that holds its files, all of them.

    Raises:
        DataError: as `load`.
    """
    from torchvision import datasets

    kind = getattr(datasets, CLASSES[name])
    folder = data_root(root)
    fetch.complete(kind, folder, name, progress)
    return kind, folder


def _read(
    kind: Any, folder: Path, name: str, *, train: bool
) -> tuple[Array, Array, tuple[str, ...]]:
    """Return images (N, C, H, W) uint8, labels (N,) int64 and class names."""
    try:
        read = kind(folder, train=train)
    except Exception as error:  # torchvision meets damaged files with whatever comes up
        altered = fetch.altered(kind, folder)
        reason = (
            _("{file} is not the published file").format(file=altered[0]) if altered else str(error)
        )
        raise _damaged(name, fetch.home(kind, folder), reason) from None
    x, y = np.asarray(read.data), np.asarray(read.targets, dtype=np.int64)
    classes = tuple(str(label).split(" - ")[0] for label in read.classes)
    if len(x) != len(y):
        reason = _("{images} images and {labels} labels").format(images=len(x), labels=len(y))
        raise _damaged(name, fetch.home(kind, folder), reason)
    if not len(y) or y.min() < 0 or y.max() >= len(classes):
        reason = _("labels are not 0 to {last}").format(last=len(classes) - 1)
        raise _damaged(name, fetch.home(kind, folder), reason)
    return (x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)), y, classes


def _damaged(name: str, folder: Path, reason: str) -> DataError:
    return DataError(
        _("--data {name}: damaged files ({reason}); delete {folder} and run again").format(
            name=name, reason=reason or _("unreadable"), folder=folder
        )
    )
