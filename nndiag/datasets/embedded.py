"""The data that ship with nndiag: 1,797 real handwritten digits."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from nndiag.datasets.splits import Array, Splits, divide
from nndiag.locales import _
from nndiag.schema.errors import DataError

SHA256 = {
    "images.npy": "88e52eb3e11cb9cc0130dc8fc4b6256aa919b3275fec17e6c2f880e1ae8d34ae",
    "labels.npy": "03ec0343bca84958ae3df825f252a3680415fa07fccb1ed1125ed521c13169e5",
}


def data_folder() -> Path:
    """Return the folder `data`: inside an installed package, at the top of a checkout.

    Raises:
        DataError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data", package.parent / "data"):
        if (folder / "digits").is_dir():
            return folder
    raise DataError(
        _("--data digits: the folder {folder} is missing; install nndiag again").format(
            folder=package / "data" / "digits"
        )
    )


def load(*, seed: int = 0) -> Splits:
    """Return `digits`: images of shape (1, 8, 8) with 17 grey levels, ten classes.

    Standardised per pixel; pixels that never change in the training split are 0.

    Raises:
        DataError: a file is missing or is not the one that was shipped.
    """
    images, labels = read()
    return divide(
        images[:, np.newaxis],
        labels,
        name="digits",
        classes=[str(digit) for digit in range(10)],
        source=_(
            "Optical Recognition of Handwritten Digits, test part (Alpaydin and Kaynak 1998; "
            "UCI, CC BY 4.0)"
        ),
        seed=seed,
    )


def read() -> tuple[Array, Array]:
    """Return the raw images, (1797, 8, 8) uint8 from 0 to 16, and labels, (1797,) uint8."""
    folder = data_folder() / "digits"
    images, labels = (_verified(folder / name, digest) for name, digest in SHA256.items())
    return images, labels


def _verified(path: Path, digest: str) -> Array:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            _("--data digits: {path} cannot be read ({reason}); install nndiag again").format(
                path=path, reason=error.strerror
            )
        ) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(
            _(
                "--data digits: {path} is not the file that was shipped (its SHA-256 differs); "
                "install nndiag again"
            ).format(path=path)
        )
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array
