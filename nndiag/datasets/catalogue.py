"""Every data set by name, and where each is read from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError, nearest, unknown_name
from nndiag.schema.progress import Watch
from nndiag.schema.spec import DataSpec

if TYPE_CHECKING:
    from nndiag.datasets.splits import Splits

SYNTHETIC = ("moons", "circles", "spirals", "xor", "blobs")
VISION = ("mnist", "fashionmnist", "kmnist", "cifar10", "cifar100")
BUILT_IN = ("digits", *SYNTHETIC, *VISION)
SUFFIXES = (".csv", ".npz")


def check(spec: DataSpec) -> None:
    """Find what is wrong with `--data` and `--target` without reading the data.

    A CSV file is read up to its header, an NPZ file up to the names of its arrays.

    Raises:
        UsageError: unknown name, or a target where none belongs, or none where one is needed.
        DataError: no such file, or the file cannot be what it says.
    """
    if not _is_file(spec.name):
        name = _built_in(spec.name)
        if spec.target is not None:
            raise UsageError(
                _("--target: only for a .csv or .npz file; {name} brings its own labels").format(
                    name=name
                )
            )
        return
    path = _existing(spec.name)
    if path.suffix.lower() == ".csv":
        from nndiag.datasets import csv_file

        csv_file.check(path, spec.target)
    else:
        from nndiag.datasets import npz_file

        npz_file.check(path, spec.target)


def load(spec: DataSpec, *, seed: int = 0, progress: Watch | None = None) -> Splits:
    """Return the standardised, stratified splits of a data set.

    Args:
        spec: a name of `BUILT_IN` (case, `-` and `_` do not matter) or the path of a file.
        seed: draws the splits, and the points of a synthetic set; at least 0.
        progress: told how many bytes of a download have arrived.

    Raises:
        UsageError: as `check`.
        DataError: the data cannot be used; the sentence names file, column and row.
    """
    check(spec)
    if _is_file(spec.name):
        from nndiag.datasets import table

        return table.load(Path(spec.name).expanduser(), spec.target, seed=seed)
    name = _built_in(spec.name)
    if name in SYNTHETIC:
        from nndiag.datasets import synthetic

        return synthetic.load(name, seed=seed)
    if name in VISION:
        from nndiag.datasets import vision

        return vision.load(name, root=spec.root, seed=seed, progress=progress)
    from nndiag.datasets import embedded

    return embedded.load(seed=seed)


def _is_file(name: str) -> bool:
    """Say whether `name` is meant as a path: no built-in name has a dot or a separator."""
    return any(mark in name for mark in (".", os.sep, os.altsep) if mark)


def _built_in(name: str) -> str:
    """Return the table's spelling of `name`: `Fashion-MNIST` is `fashionmnist`."""
    plain = name.lower().replace("-", "").replace("_", "")
    if plain not in BUILT_IN:
        raise unknown_name("--data", name, BUILT_IN, also=_("the path of a .csv or .npz file"))
    return plain


def _existing(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        raise DataError(
            _("--data: '{name}' is a folder; accepted: a .csv or .npz file").format(name=name)
        )
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            _("--data: '{name}' ends in '{suffix}'; accepted: a .csv or .npz file").format(
                name=name, suffix=path.suffix
            )
        )
    if not path.exists():
        raise DataError(_("--data: there is no file '{name}'").format(name=name) + _neighbour(path))
    return path


def _neighbour(path: Path) -> str:
    """Return `; did you mean ...?` for the data file beside `path` with the nearest name."""
    try:
        beside = [file.name for file in path.parent.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError:
        return ""
    close = nearest(path.name, beside)
    return "; " + _("did you mean {name}?").format(name=path.parent / close[0]) if close else ""
