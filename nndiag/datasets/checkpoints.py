"""Files of trained weights, kept where torch keeps them and checked against their own names.

torchvision ends the name of a file with the first digits of its SHA-256: `resnet50-11ad3fa6.pth`.
A download that breaks off goes on from there at the next try.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from nndiag.datasets import fetch
from nndiag.locales import _
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Silent, Watch

REACH_SECONDS = 3.0
_CHUNK = 2**18
_PARTIAL = 206  # the server goes on where it was asked to
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.[^.]+$")


def folder() -> Path:
    """Return torch's own folder, from TORCH_HOME or XDG_CACHE_HOME, without loading torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = os.environ.get("TORCH_HOME")
    return (Path(home) if home else cache / "torch").expanduser() / "hub" / "checkpoints"


def path(file: str) -> Path:
    """Return where a file of that name is, or would be."""
    return folder() / file


def reachable(url: str) -> bool:
    """Say whether a download of `url` would begin within REACH_SECONDS."""
    try:
        with fetch.answer(url, seconds=REACH_SECONDS, method="HEAD"):
            return True
    except (OSError, HTTPException):
        return False


def damaged(file: Path) -> bool:
    """Say whether the SHA-256 of a file contradicts its name (a name without digits never does)."""
    return not _matches(file, file.name)


def obtain(url: str, option: str, progress: Watch | None = None, *, otherwise: str = "") -> Path:
    """Return the local file of `url`, downloaded if it is not there yet.

    Args:
        url: ends in the file's name.
        option: as the user typed it, such as `--weights imagenet`.
        otherwise: what else the user can do where it is not to be had: `, or ...`.

    Raises:
        DataError: it cannot be had; names the file and the folder where it may be put.
    """
    target = path(url.rpartition("/")[2])
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, target, progress or Silent())
    except (OSError, HTTPException) as error:
        raise DataError(
            _(
                "{option}: {file} is not in {folder} and could not be downloaded ({reason}); "
                "put it there{otherwise}"
            ).format(
                option=option,
                file=target.name,
                folder=target.parent,
                reason=fetch.reason(error),
                otherwise=otherwise,
            )
        ) from None
    return target


def _download(url: str, target: Path, progress: Watch) -> None:
    """Download beside the target and move it there when it is what its name says.

    What a broken download left is claimed by renaming it, so that two processes never write to
    one file, and handed back under its old name if this one breaks off too.
    """
    left = target.with_name(f"{target.name}.part")
    own = target.with_name(f".{target.name}.{os.getpid()}.part")
    with suppress(FileNotFoundError):
        left.replace(own)
    try:
        _receive(url, own, target.name, progress)
        if not _matches(own, target.name):
            own.unlink()
            raise OSError(_("the download is damaged"))
        own.replace(target)
    finally:
        with suppress(FileNotFoundError):
            own.replace(left)


def _receive(url: str, own: Path, name: str, progress: Watch) -> None:
    """Append what is missing.

    Raises:
        OSError: no answer, or less came than announced.
    """
    have = own.stat().st_size if own.exists() else 0
    if have and _digits(name) and _matches(own, name):
        return
    with ExitStack() as stack:
        response = _answer(stack, url, have)
        have = have if response.status == _PARTIAL else 0
        total = have + int(response.headers.get("Content-Length") or 0)
        progress.stage(_("downloading {file}").format(file=name), total)
        with own.open("ab" if have else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress.update(have)
    if have < total:
        raise OSError(_("it broke off; the next try goes on from there"))


def _answer(stack: ExitStack, url: str, have: int) -> Any:
    """Ask for the rest; a server that refuses is asked for everything."""
    if have:
        with suppress(OSError):
            return stack.enter_context(fetch.answer(url, headers={"Range": f"bytes={have}-"}))
    return stack.enter_context(fetch.answer(url))


def _digits(name: str) -> str:
    found = _DIGITS.search(name)
    return found[1] if found else ""


def _matches(file: Path, name: str) -> bool:
    """Say whether the SHA-256 of a file begins with the digits in `name`, if it has any."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest().startswith(_digits(name))
