"""The user's own file: CSV or NPZ to splits."""

from __future__ import annotations

from pathlib import Path

from nndiag.datasets import csv_file, labels, npz_file
from nndiag.datasets.splits import Splits, divide
from nndiag.locales import _


def load(path: Path, target: str | None, *, seed: int = 0) -> Splits:
    """Return the stratified 60/20/20 splits of a .csv or .npz file, standardised.

    Args:
        path: an existing file.
        target: the label's column of a CSV file; the labels' array of an NPZ file (default y).

    Raises:
        UsageError: the target is needed and not given.
        DataError: with file, column or array, and row or index.
    """
    if path.suffix.lower() == ".csv":
        x, cells, where = csv_file.read(path, target)
    else:
        x, cells, where = npz_file.read(path, target)
    y, classes = labels.encode(cells, where)
    source = _("the file {name}").format(name=path.name)
    return divide(x, y, name=path.name, classes=classes, source=source, seed=seed)
