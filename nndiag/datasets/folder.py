"""A folder of images, a sub-folder a class (`--data folder:PATH`).

Where PATH holds `train` beside `val` or `test`, these parts are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nndiag.datasets import image_files
from nndiag.datasets.images import (
    VALIDATION,
    Labelled,
    TargetImages,
    most_held_out,
    too_few,
)
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
_LEAST = 2  # images of a class to measure with, in validation and in test

_Pools = Mapping[tuple[str, str], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the images of a folder are.

    Attributes:
        parts: for `train`, and for `validation` and `test` where the folder has them, the folder of
            each class.
        problems: what is of no use.
    """

    root: Path
    parts: Mapping[str, Mapping[str, Path]]
    problems: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.parts["train"])


def load(
    root: Path,
    *,
    labels_per_class: int,
    image_size: int,
    resize: int,
    seed: int,
    classes: Sequence[str] | None = None,
    watch: Watch | None = None,
) -> TargetImages:
    """Return `labels_per_class` images of every class to learn from, and others to measure with.

    Only the images that are used are decoded. A file that cannot be read is replaced by another of
    its class and listed in `problems`. Of parts that the folder has, `test` is used as it is (or
    `val` without it); a missing validation part is what is left of `train`, else a quarter of the
    test part.

    Args:
        image_size: side in pixels; resize: of the short side before cropping.
        seed: which images are used.
        classes: those wanted, None for all.

    Raises:
        UsageError: unknown class.
        DataError: as `layout`; a class has too few images.
    """
    found, files = listed(root, labels_per_class, classes)
    need = _needed(found, labels_per_class, image_size)
    pools, problems = _read(files, need, found.root, image_size, resize, seed, watch)
    for key, pool in pools.items():
        _check_enough(key, len(pool), labels_per_class, found)
    train, validation, test = _divided(pools, found.classes, labels_per_class)
    return TargetImages(
        train=train,
        validation=validation,
        test=test,
        classes=found.classes,
        source=_("{folder}: {classes} classes, {images} images").format(
            folder=root, classes=len(found.classes), images=sum(map(len, files.values()))
        ),
        problems=(*found.problems, *problems),
    )


def listed(
    root: Path, labels_per_class: int, classes: Sequence[str] | None = None
) -> tuple[Layout, dict[tuple[str, str], list[Path]]]:
    """Return the layout and the files of each part and class; reads no image.

    Raises:
        UsageError, DataError: as `load`.
    """
    found = layout(root, classes)
    files = {
        (part, name): image_files.below(place)
        for part, places in found.parts.items()
        for name, place in places.items()
    }
    if not any(files.values()):
        raise DataError(_("--data: there are no images in '{path}'").format(path=root))
    for key, paths in files.items():
        _check_enough(key, len(paths), labels_per_class, found)
    return found, files


def layout(root: Path, classes: Sequence[str] | None = None) -> Layout:
    """Find the classes and parts of a folder; reads no image.

    Raises:
        UsageError: unknown class.
        DataError: fewer than two classes; a class that is in a part but not in training.
    """
    inside = _folders(root)
    parts, problems = _parts(inside) if _is_divided(inside) else ({"train": inside}, [])
    known = list(parts["train"])
    for name in classes or ():
        if name not in known:
            raise unknown_name("--classes", name, known)
    wanted = [name for name in known if classes is None or name in classes]
    if len(wanted) < 2:
        raise _too_few_classes(root, wanted)
    for places in parts.values():
        for name in places:
            if name not in known:
                raise DataError(
                    _("--data: '{folder}' is no class of training; known are {names}").format(
                        folder=places[name], names=", ".join(known)
                    )
                )
    chosen = {
        part: {name: places.get(name, root / part / name) for name in wanted}
        for part, places in parts.items()
    }
    return Layout(root=root, parts=chosen, problems=tuple(problems))


def _parts(inside: Mapping[str, Path]) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Return the class folders of each part, and what is neither part nor class."""
    parts: dict[str, dict[str, Path]] = {}
    problems = []
    for name, place in inside.items():
        part = _PARTS.get(name.lower())
        places = _folders(place)
        if part and places:
            parts[part] = places
        else:
            problems.append(_("{name}: not used, no class folders").format(name=name))
    return parts, problems


def _is_divided(inside: Mapping[str, Path]) -> bool:
    """Say whether the sub-folders are parts of the data rather than classes."""
    parts = {_PARTS[name.lower()] for name in inside if name.lower() in _PARTS}
    has_classes = any(
        _PARTS.get(name.lower()) == "train" and _folders(place) for name, place in inside.items()
    )
    return has_classes and (len(parts) > 1 or len(inside) == 1)


def _folders(place: Path) -> dict[str, Path]:
    """Return the sub-folders by name, sorted, without hidden ones."""
    try:
        inside = sorted(place.iterdir())
    except OSError as error:
        raise DataError(
            _("--data: '{path}' cannot be read: {reason}").format(path=place, reason=error.strerror)
        ) from None
    return {one.name: one for one in inside if not image_files.hidden(one.name) and one.is_dir()}


def _too_few_classes(root: Path, names: Sequence[str]) -> DataError:
    if not names and not image_files.below(root):
        return DataError(_("--data: there are no images in '{path}'").format(path=root))
    if not names:
        return DataError(
            _("--data: '{path}' holds images but no sub-folder for each class").format(path=root)
        )
    inner = root / names[0]
    message = _("--data: '{path}' holds one class, '{name}'; at least two are needed").format(
        path=root, name=names[0]
    )
    if len(_folders(inner) if inner.is_dir() else ()) > 1:
        message += "; " + _("did you mean {name}?").format(name=inner)
    return DataError(message)


def _needed(found: Layout, count: int, image_size: int) -> dict[tuple[str, str], int]:
    """Return how many images of each part and class are worth reading."""
    most = max(2 * _LEAST, most_held_out(image_size) // len(found.classes))
    few = max(_LEAST, round(VALIDATION * most))
    sizes = {
        1: {"train": count + most},
        2: {"train": count + few, "validation": most, "test": most},
        3: {"train": count, "validation": few, "test": most - few},
    }[len(found.parts)]
    return {(part, name): sizes[part] for part in found.parts for name in found.classes}


def _check_enough(key: tuple[str, str], have: int, count: int, found: Layout) -> None:
    part, name = key
    if len(found.parts) == 1:
        if have < count + 2 * _LEAST:
            raise too_few(name, have, count)
        return
    least = count if part == "train" else 2 * _LEAST if len(found.parts) == 2 else _LEAST
    if have < least:
        raise DataError(
            _("--data: class '{name}' has {have} images for {part}; {least} are needed").format(
                name=name, have=have, part=part, least=least
            )
        )


def _read(
    files: Mapping[tuple[str, str], Sequence[Path]],
    need: Mapping[tuple[str, str], int],
    root: Path,
    image_size: int,
    resize: int,
    seed: int,
    watch: Watch | None,
) -> tuple[_Pools, list[str]]:
    """Return images of each part and class in random order, and the files that failed."""
    waiting = {
        key: [paths[k] for k in np.random.default_rng([seed, n]).permutation(len(paths))]
        for n, (key, paths) in enumerate(files.items())
    }
    squares: dict[tuple[str, str], list[NDArray[np.uint8]]] = {key: [] for key in files}
    problems: list[str] = []
    while True:
        batch = []
        for key, paths in waiting.items():
            missing = need[key] - len(squares[key])
            batch += [(key, path) for path in paths[:missing]]
            waiting[key] = paths[missing:]
        if not batch:
            break
        result = image_files.read(
            [path for _key, path in batch],
            image_size=image_size,
            resize=resize,
            root=root,
            watch=watch,
        )
        problems += result.problems
        for index, square in zip(result.read, result.x, strict=True):
            squares[batch[index][0]].append(square)
    empty = np.empty((0, 3, image_size, image_size), dtype=np.uint8)
    return {key: np.stack(some) if some else empty for key, some in squares.items()}, problems


def _divided(
    pools: _Pools, classes: Sequence[str], count: int
) -> tuple[Labelled, Labelled, Labelled]:
    """Return training, validation and test; no image is in two of them."""
    given = {part for part, _name in pools}
    train = [pools["train", name][:count] for name in classes]
    rest = [pools["train", name][count:] for name in classes]
    if given == {"train", "validation", "test"}:
        validation = [pools["validation", name] for name in classes]
        return _joined(train), _joined(validation), _joined([pools["test", n] for n in classes])
    if given != {"train"}:
        held = [pools[next(iter(given - {"train"})), name] for name in classes]
        if min(map(len, rest)) >= _LEAST:
            return _joined(train), _joined(rest), _joined(held)
        rest = held
    cut = [max(_LEAST, round(VALIDATION * len(pool))) for pool in rest]
    first = [pool[:k] for pool, k in zip(rest, cut, strict=True)]
    last = [pool[k:] for pool, k in zip(rest, cut, strict=True)]
    return _joined(train), _joined(first), _joined(last)


def _joined(by_class: Sequence[NDArray[np.uint8]]) -> Labelled:
    labels = [label for label, images in enumerate(by_class) for _image in images]
    x = torch.from_numpy(np.concatenate(by_class)).float().div_(255)
    return Labelled(x=x, y=torch.tensor(labels))
