"""Where labelled images come from, checked without reading any and without torch."""

from __future__ import annotations

from pathlib import Path

from nndiag.datasets.catalogue import VISION
from nndiag.locales import _
from nndiag.schema.errors import DataError, nearest, unknown_name
from nndiag.schema.spec_transfer import ImageDataSpec

FOLDER = "folder:"


def check(spec: ImageDataSpec) -> None:
    """Find what is wrong with `--data`.

    Raises:
        UsageError: unknown name.
        DataError: no such folder.
    """
    if spec.name.startswith(FOLDER):
        folder(spec.name.removeprefix(FOLDER))
    elif spec.name not in ("digits", *VISION):
        raise unknown_name("--data", spec.name, ("digits", *VISION), also="folder:PATH")


def folder(name: str) -> Path:
    """Return the folder of images.

    Raises:
        DataError: it is not there (names the nearest), or is a file.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise DataError(_("--data: '{path}' is a file; accepted: a folder").format(path=path))
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, beside)
    hint = "; " + _("did you mean {name}?").format(name=path.parent / close[0]) if close else ""
    raise DataError(_("--data: there is no folder '{path}'").format(path=path) + hint)
