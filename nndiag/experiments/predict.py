"""`nndiag predict`: a saved network on a user's images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nndiag import __version__
from nndiag.datasets import image_files
from nndiag.locales import _
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result
from nndiag.training import devices, saving

_AT_ONCE = 256  # images in memory


def run(model: str, place: str, *, watch: Watch | None = None) -> Result:
    """Return the class of every image of a folder (or of one image) with its probability.

    Where images lie in folders that are named like the classes, the share that is right is known.
    Ctrl-C keeps what is complete (`result.interrupted` is then True).

    Raises:
        DataError: the model cannot be read, or no image can.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    saved = saving.load(model)
    path = Path(place)
    files = image_files.below(path) if path.is_dir() else [path]
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    interrupted = False
    watch.stage(_("images"), len(files))
    try:
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            found = image_files.read(some, resize=saved.resize, image_size=saved.image_size)
            problems += found.problems
            rows += _seen(saved, [some[index] for index in found.read], found)
            watch.update(start + len(some))
    except KeyboardInterrupt:
        interrupted = True
    if not rows and not interrupted:
        raise _nothing(path, problems)
    return Result(
        command="predict",
        spec={"model": model, "folder": place},
        environment=devices.environment(torch.device("cpu")),
        seconds=time.perf_counter() - started,
        result={
            "backbone": saved.backbone,
            "classes": list(saved.classes),
            "image_size": saved.image_size,
            "rows": rows,
            **_right(rows),
            "problems": problems,
            "interrupted": interrupted,
        },
        version=__version__,
    )


def _seen(
    saved: saving.Saved, files: Sequence[Path], found: image_files.Squares
) -> list[dict[str, Any]]:
    """Return a row for each image that could be read."""
    if not files:
        return []
    probabilities = saved.predict(torch.from_numpy(found.x).float().div_(255))
    rows = []
    for file, each in zip(files, probabilities.tolist(), strict=True):
        best = max(range(len(each)), key=each.__getitem__)
        rows.append(
            {
                "label": str(file),
                "file": str(file),
                "class": saved.classes[best],
                "probability": each[best],
                "probabilities": dict(zip(saved.classes, each, strict=True)),
                "folder": file.parent.name if file.parent.name in saved.classes else None,
            }
        )
    return rows


def _right(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many images lie in a folder named like a class, and how many of them agree."""
    known = [row for row in rows if row["folder"] is not None]
    return {
        "known": len(known),
        "right": sum(row["class"] == row["folder"] for row in known),
    }


def _nothing(path: Path, problems: Sequence[str]) -> DataError:
    if problems and path.is_file():
        return DataError(problems[0])
    if problems:
        return DataError(
            _("no image in '{path}' can be read; the first: {problem}").format(
                path=path, problem=problems[0]
            )
        )
    return DataError(_("there are no images in '{path}'").format(path=path))
