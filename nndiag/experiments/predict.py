"""`nndiag predict`: a saved network on a user's images."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from nndiag import __version__
from nndiag.datasets import image_files
from nndiag.locales import _
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result
from nndiag.training import devices, saving


def run(model: str, place: str, *, watch: Watch | None = None) -> Result:
    """Return the class of every image of a folder (or of one image) with its probability.

    Raises:
        DataError: the model cannot be read, or no image can.
    """
    started = time.perf_counter()
    saved = saving.load(model)
    path = Path(place)
    files = image_files.below(path) if path.is_dir() else [path]
    found = image_files.read(
        files, resize=saved.resize, image_size=saved.image_size, watch=watch or Silent()
    )
    if not found.read:
        raise DataError(_("there is no image to read in '{path}'").format(path=path))
    x = torch.from_numpy(found.x).float().div_(255)
    probabilities, labels = saved.predict(x).max(1)
    rows = [
        {"file": str(files[place]), "class": saved.classes[label], "probability": probability}
        for place, label, probability in zip(
            found.read, labels.tolist(), probabilities.tolist(), strict=True
        )
    ]
    return Result(
        command="predict",
        spec={"model": model, "folder": place},
        environment=devices.environment(torch.device("cpu")),
        seconds=time.perf_counter() - started,
        result={
            "backbone": saved.backbone,
            "classes": list(saved.classes),
            "rows": rows,
            "problems": list(found.problems),
        },
        version=__version__,
    )
