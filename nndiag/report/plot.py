"""`--plot PATH`: which files can be drawn, checked before a run, and their writing after it."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from nndiag.locales import _
from nndiag.report import canvas, drawings
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Library behind each accepted suffix, and the extra of the package that brings it.
SUFFIXES = {
    ".png": ("matplotlib", "plot"),
    ".svg": ("matplotlib", "plot"),
    ".pdf": ("matplotlib", "plot"),
    ".html": ("plotly", "report"),
}


def check_path(
    path: str | Path, option: str = "--plot", suffixes: Collection[str] = SUFFIXES.keys()
) -> Path:
    """Return the path if it can be drawn to; loads no library, so that it costs nothing.

    Raises:
        UsageError: the suffix is unknown, its library is not installed or the folder is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise UsageError(
            _("{option}: got '{path}'; accepted: a file name that ends in {suffixes}").format(
                option=option, path=path, suffixes=", ".join(suffixes)
            )
        )
    library, extra = SUFFIXES[suffix]
    if importlib.util.find_spec(library) is None:
        raise UsageError(
            _("{option}: {suffix} files need {library}; pip install 'nndiag[{extra}]'").format(
                option=option, suffix=suffix, library=library, extra=extra
            )
        )
    if not path.parent.is_dir():
        raise UsageError(
            _("{option}: the folder '{folder}' does not exist").format(
                option=option, folder=path.parent
            )
        )
    return path


def write(result: Result, path: str | Path) -> Path:
    """Draw a result into a file, in the format that its suffix names.

    Raises:
        UsageError: as `check_path`.
        RunError: the file cannot be written.
    """
    path = check_path(path)
    if path.suffix.lower() == ".html":
        from nndiag.report import page

        return page.write({path.stem: result}, path, figures_only=True)
    try:
        save(canvas.figure(drawings.panels(result), drawings.title(result)), path)
    except OSError as error:
        raise RunError(
            _("'{path}' cannot be written: {reason}").format(path=path, reason=error.strerror)
        ) from None
    return path


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as .png, .svg or .pdf; the same figure gives the same bytes.

    Raises:
        UsageError: as `check_path`.
    """
    import matplotlib

    path = check_path(path)
    kind = path.suffix.lower()[1:]
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with matplotlib.rc_context({"svg.hashsalt": "nndiag"}):
        figure.savefig(path, format=kind, dpi=150, metadata=undated)
