"""A folder of images, a sub-folder a class (`--data folder:PATH`).

Where PATH holds `train` beside `val` or `test`, the parts stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nndiag.datasets import image_files
from nndiag.datasets.images import Labelled, TargetImages, most_held_out
from nndiag.datasets.image_files import hidden
from nndiag.locales import _
from nndiag.schema.errors import DataError, unknown_name
from nndiag.schema.progress import Watch

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_LEAST = 2  # images of a class in a part that is measured with
_SHOWN = 3
_VALIDATION = 0.25


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the images of a folder are.

    Attributes:
        parts: for `train`, and `validation` and `test` where there are such sub-folders, the folder
            of each class.
        problems: what is in the folder and of no use.
    """

    root: Path
    parts: dict[str, dict[str, Path]]
    problems: tuple[str, ...] = ()


@dataclass(kw_only=True)
class _Drawn:
    """Squares of a part, class after class."""

    x: list[NDArray[np.uint8]] = field(default_factory=list)
    y: list[int] = field(default_factory=list)

    def add(self, x: NDArray[np.uint8], label: int) -> None:
        self.x.append(x)
        self.y += [label] * len(x)

    def labelled(self) -> Labelled:
        x = torch.from_numpy(np.concatenate(self.x))
        return Labelled(x=x.float().div_(255), y=torch.tensor(self.y))


def layout(root: Path, classes: Sequence[str] | None = None) -> Layout:
    """Find the classes and parts of a folder; reads no image.

    Args:
        classes: those wanted, None for all.

    Raises:
        UsageError: unknown class.
        DataError: no sub-folders, fewer than two classes, parts with different classes.
    """
    inside = _folders(root)
    parts: dict[str, dict[str, Path]] = {}
    problems = []
    for name, place in inside.items() if _is_divided(inside) else ():
        part = _PARTS.get(name.lower())
        found = _folders(place) if part else {}
        if part and found:
            parts[part] = found
        else:
            problems.append(_("{name}: no sub-folder a class in it, not used").format(name=name))
    parts = parts or {"train": inside}
    known = list(parts["train"])
    for name in classes or ():
        if name not in known:
            raise unknown_name("--classes", name, known)
    wanted = [name for name in known if classes is None or name in classes]
    if len(wanted) < 2:
        raise _too_few_classes(root, wanted)
    for part, found in parts.items():
        for name in found:
            if name not in known:
                raise DataError(
                    _("--data: class '{name}' is in '{folder}' but not among those of training")
                    .format(name=name, folder=found[name].parent)
                )
        parts[part] = {name: found[name] for name in wanted if name in found}
    return Layout(root=root, parts=parts, problems=tuple(problems))
