"""An NPZ file: one array of samples, one of labels."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from nndiag.locales import _
from nndiag.schema.errors import DataError, nearest

if TYPE_CHECKING:
    from nndiag.datasets.splits import Array


def check(path: Path, target: str | None) -> None:
    """Find the arrays by name; errors as `read`."""
    _arrays(path, target)


def read(path: Path, target: str | None) -> tuple[Array, Array, str]:
    """Return samples, labels (N,), and the labels' place in words.

    Samples are the array x or X, or the only one beside the labels: (N, features); images
    (N, H, W), (N, C, H, W), or (N, H, W, C) with C 1 or 3, become (N, C, H, W); more dimensions
    stay as they are. Labels are the array `target`, or y or Y: (N,) or (N, 1) whole numbers or
    text.

    Raises:
        DataError: with file, array and index.
    """
    x_name, y_name = _arrays(path, target)
    x, y = _array(path, x_name), _array(path, y_name)
    _check_kind(path, x_name, x, "biuf", _("numbers"))
    _check_kind(path, y_name, y, "biufUS", _("numbers or text"))
    if x.ndim < 2 or x[:1].size == 0:
        raise _shape(path, x_name, x, _("(samples, features) or (samples, ...)"))
    if y.ndim != 1 and y.shape[1:] != (1,):
        raise _shape(path, y_name, y, _("(samples,)"))
    if len(x) != len(y):
        raise DataError(
            _("{file}: array '{x}' has {nx} samples and array '{y}' has {ny}").format(
                file=path, x=x_name, nx=len(x), y=y_name, ny=len(y)
            )
        )
    _check_finite(path, x_name, x)
    _check_finite(path, y_name, y)
    where = _("{file}, array '{name}'").format(file=path, name=y_name)
    return _channels_first(x), _text(y.reshape(-1)), where


def _arrays(path: Path, target: str | None) -> tuple[str, str]:
    """Return the names of the arrays of samples and of labels."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except OSError as error:
        raise DataError(
            _("{file}: cannot be read ({reason})").format(file=path, reason=error.strerror)
        ) from None
    except zipfile.BadZipFile:
        reason = _("the file is empty") if path.stat().st_size == 0 else _("not an NPZ file")
        raise DataError(f"{path}: {reason}") from None
    y = _labels(path, names, target)
    others = [name for name in names if name != y]
    samples: list[str] = [name for name in ("x", "X") if name in others]
    if not samples and len(others) == 1:
        samples = others
    if not samples:
        raise DataError(
            _("{file}: no array is called x; it has: {names}").format(
                file=path, names=", ".join(names)
            )
        )
    return samples[0], y


def _labels(path: Path, names: list[str], target: str | None) -> str:
    wanted = ("y", "Y") if target is None else (target,)
    found = next((name for name in wanted if name in names), None)
    if found is not None:
        return found
    close = nearest(wanted[0], names)
    hint = (
        _("did you mean {name}?").format(name=close[0])
        if close
        else _("it has: {names}").format(names=", ".join(names) or _("nothing"))
    )
    raise DataError(
        _("--target: {file} has no array '{name}'; {hint}").format(
            file=path, name=wanted[0], hint=hint
        )
    )


def _array(path: Path, name: str) -> Array:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            array: Array | bytes = archive[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ValueError) and "pickle" in str(error):
            reason = _("Python objects; accepted: numbers or text")
        else:
            reason = _("cannot be read ({reason})").format(reason=error)
        raise _problem(path, name, reason) from None
    if isinstance(array, bytes):
        raise _problem(path, name, _("not an array"))
    if array.size == 0:
        raise _problem(path, name, _("empty"))
    return array


def _problem(path: Path, name: str, problem: str) -> DataError:
    return DataError(
        _("{file}, array '{name}': {problem}").format(file=path, name=name, problem=problem)
    )


def _shape(path: Path, name: str, array: Array, accepted: str) -> DataError:
    problem = _("shape {shape}; accepted: {accepted}").format(shape=array.shape, accepted=accepted)
    return _problem(path, name, problem)


def _check_kind(path: Path, name: str, array: Array, kinds: str, accepted: str) -> None:
    if array.dtype.kind not in kinds:
        problem = _("type {dtype}; accepted: {accepted}").format(
            dtype=array.dtype, accepted=accepted
        )
        raise _problem(path, name, problem)


def _check_finite(path: Path, name: str, array: Array) -> None:
    import numpy as np

    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    index = np.unravel_index(int(np.isfinite(array).argmin()), array.shape)
    problem = _("{number} at index ({index}) is not a finite number").format(
        number=float(array[index]), index=", ".join(str(place) for place in index)
    )
    raise _problem(path, name, problem)


def _channels_first(x: Array) -> Array:
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[3] in (1, 3) and x.shape[1] not in (1, 3):
        return x.transpose(0, 3, 1, 2)
    return x


def _text(y: Array) -> Array:
    """Return byte strings as text, and everything else as it is."""
    import numpy as np

    return np.strings.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y
