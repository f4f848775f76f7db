"""Image files of any kind that Pillow reads, as squares of one size."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch

if TYPE_CHECKING:
    from PIL.Image import Image

_THREADS = 8
_CACHED = 4096  # squares kept in memory: the seeds of an experiment read the same files
_TWELVE_BITS, _SIXTEEN_BITS = 4095, 65535
_FOREIGN = ("EPS",)  # read by another program, Ghostscript


@dataclass(frozen=True, kw_only=True, eq=False)
class Squares:
    """What could be read.

    Attributes:
        x: (N, 3, S, S) uint8.
        read: index into the paths of each image.
        problems: one line for every file that could not be read.
    """

    x: NDArray[np.uint8]
    read: tuple[int, ...]
    problems: tuple[str, ...]


def below(folder: Path) -> list[Path]:
    """Return the image files of a folder and its sub-folders in the order of their names.

    A file counts by its ending, or by having none; hidden files and folders do not.
    """
    known = _endings()
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not hidden(name))
        found += [
            Path(place, name)
            for name in sorted(files)
            if not hidden(name) and (Path(name).suffix.lower() in known or "." not in name)
        ]
    return found


def hidden(name: str) -> bool:
    """Say whether a file or folder is none of the user's: `.DS_Store`, `__MACOSX`, `@eaDir`."""
    return name.startswith((".", "@", "__"))


def read(
    paths: Sequence[Path],
    *,
    image_size: int,
    resize: int,
    root: Path | None = None,
    watch: Watch | None = None,
) -> Squares:
    """Read files in several threads.

    The short side becomes `resize` pixels (bilinear, antialiased), then the middle is cut out, as
    torchvision's classifiers have it. Photographs are turned upright, transparent places become
    white, grey levels of up to 16 bits become 8, of an animation the first picture counts.

    Args:
        image_size: side S of the squares.
        resize: at least `image_size`.
        root: folder that the names of problems start from.
        watch: told how many files have been read.
    """
    watch = watch or Silent()
    watch.stage(_("reading images"), len(paths))
    squares: list[NDArray[np.uint8]] = []
    kept: list[int] = []
    problems: list[str] = []
    one = functools.partial(_square, size=image_size, resize=max(resize, image_size))
    with warnings.catch_warnings(), ThreadPoolExecutor(_workers()) as pool:
        warnings.simplefilter("ignore")  # Pillow's, about metadata and large photographs
        for index, square in enumerate(pool.map(one, paths)):
            if isinstance(square, str):
                name = paths[index].relative_to(root) if root else paths[index]
                problems.append(f"{name}: {square}")
            else:
                kept.append(index)
                squares.append(square)
            watch.update(index + 1)
    shape = (0, 3, image_size, image_size)
    x = np.stack(squares) if squares else np.empty(shape, dtype=np.uint8)
    return Squares(x=x, read=tuple(kept), problems=tuple(problems))


def _workers() -> int:
    return min(_THREADS, os.cpu_count() or 1)


def _square(path: Path, *, size: int, resize: int) -> NDArray[np.uint8] | str:
    """Return one image, or why it cannot be read."""
    from PIL import UnidentifiedImageError

    try:
        facts = path.stat()
        if not facts.st_size:
            return _("empty file")
        return _decoded(path, size, resize, facts.st_mtime_ns)
    except UnidentifiedImageError:
        return _("not an image that Pillow reads")
    except Exception as error:  # decoders meet damaged files with whatever comes up
        return str(error).strip() or type(error).__name__


@functools.lru_cache(maxsize=_CACHED)
def _decoded(path: Path, size: int, resize: int, changed: int) -> NDArray[np.uint8]:
    """Return (3, size, size); `changed` (when the file was written) keeps the cache true."""
    from PIL import Image, ImageOps

    with Image.open(path, formats=_formats()) as opened:
        opened.draft(None, (2 * resize, 2 * resize))  # a JPEG is decoded no larger than needed
        image = _coloured(ImageOps.exif_transpose(opened))
    middle = image.resize((size, size), Image.Resampling.BILINEAR, _box(image.size, size, resize))
    return np.ascontiguousarray(np.asarray(middle, dtype=np.uint8).transpose(2, 0, 1))


def _box(shape: tuple[int, int], size: int, resize: int) -> tuple[float, float, float, float]:
    """Return the part of an image that stays: left, top, right, bottom in its own pixels.

    With the roundings of torchvision, which resizes the whole image first and then cuts.
    """
    short = min(shape)
    whole = [int(resize * side / short) for side in shape]
    start = [round((length - size) / 2) for length in whole]
    left, top = (side * at / length for side, at, length in zip(shape, start, whole, strict=True))
    right, bottom = (
        min(float(side), side * (at + size) / length)
        for side, at, length in zip(shape, start, whole, strict=True)
    )
    return left, top, right, bottom


def _coloured(image: Image) -> Image:
    """Return an image of any mode in red, green and blue, eight bits each."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


def _eight_bits(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return grey levels (H, W) from 0 to 255.

    Whole numbers use the range of 12 bits where they fit (X-rays, cameras), else that of 16;
    fractions and what does not fit are stretched from the least to the largest.
    """
    values = levels.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(_("levels that are no numbers"))
    low, high = float(values.min()), float(values.max())
    if np.issubdtype(levels.dtype, np.integer):
        if low >= 0 and high <= _SIXTEEN_BITS:
            low, high = 0.0, float(_TWELVE_BITS if high <= _TWELVE_BITS else _SIXTEEN_BITS)
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((values - low) / max(high - low, 1e-12) * 255).astype(np.uint8)


@functools.cache
def _endings() -> frozenset[str]:
    """Return the endings of names that Pillow knows how to read, such as `.png`."""
    from PIL import Image

    kinds = Image.registered_extensions()
    return frozenset(ending for ending, kind in kinds.items() if kind in _formats())


@functools.cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(kind for kind in Image.OPEN if kind not in _FOREIGN)
