"""Regenerate data/digits from scikit-learn's copy of the UCI digits, byte for byte.

python scripts/make_data.py [FOLDER]     (default: the checkout's data/)
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

CHECKOUT = Path(__file__).resolve().parents[1]


def main(folder: Path) -> None:
    """Write images.npy, (1797, 8, 8) uint8, and labels.npy, (1797,) uint8; print their SHA-256."""
    digits = load_digits()
    target = folder / "digits"
    target.mkdir(parents=True, exist_ok=True)
    for name, values in (("images.npy", digits.images), ("labels.npy", digits.target)):
        array = np.ascontiguousarray(values.astype(np.uint8))
        if not (array == values).all():
            raise SystemExit(f"{name}: scikit-learn's values do not fit a byte")
        np.save(target / name, array, allow_pickle=False)
        print(hashlib.sha256((target / name).read_bytes()).hexdigest(), f"digits/{name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "data")
