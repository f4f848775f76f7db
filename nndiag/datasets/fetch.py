"""Bring a torchvision data set to where torchvision looks for it.

Addresses, file names and checksums are torchvision's; the transfer is our own, because
torchvision's waits for minutes without a network and prints.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import queue
import tarfile
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

from nndiag.locales import _
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Silent, Watch

ANSWER_SECONDS = 5.0
STALL_SECONDS = 30.0
_CHUNK = 2**16


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file to download, and the files that come out of it.

    Attributes:
        urls: mirrors, tried in order.
        md5: of the archive.
        folder: where the archive goes.
        members: path below `folder` of each file inside.
    """

    urls: tuple[str, ...]
    md5: str
    folder: Path
    members: tuple[str, ...]

    @property
    def path(self) -> Path:
        return self.folder / self.urls[0].rsplit("/", 1)[-1]

    @property
    def unpacked(self) -> bool:
        return all((self.folder / member).is_file() for member in self.members)


def complete(kind: Any, root: Path, name: str, progress: Watch | None = None) -> None:
    """Unpack and download until every file of a torchvision set is under `root`.

    Args:
        kind: the class, such as `torchvision.datasets.MNIST`.
        name: as the user typed it after `--data`.

    Raises:
        DataError: what is missing cannot be had; names the files and the folder they belong in.
    """
    missing = [archive for archive in archives(kind, root) if not archive.unpacked]
    if not missing or _legacy(kind, root):
        return
    try:
        for archive in missing:
            if not archive.path.is_file():
                _download(archive, progress or Silent())
            _unpack(archive, name)
    except (OSError, HTTPException) as error:
        lacking = [archive for archive in missing if not archive.unpacked]
        raise _unavailable(lacking, name, reason(error)) from None


def archives(kind: Any, root: Path) -> list[Archive]:
    """Return what a torchvision class consists of, from its own tables."""
    if not hasattr(kind, "resources"):
        members = tuple(f"{kind.base_folder}/{file}" for file, _digest in _published(kind))
        return [Archive(urls=(kind.url,), md5=kind.tgz_md5, folder=root, members=members)]
    return [
        Archive(
            urls=tuple(f"{mirror}{file}" for mirror in kind.mirrors),
            md5=md5,
            folder=home(kind, root),
            members=(file.removesuffix(".gz"),),
        )
        for file, md5 in kind.resources
    ]


def home(kind: Any, root: Path) -> Path:
    """Return the folder in which torchvision keeps a set's unpacked files."""
    if hasattr(kind, "resources"):
        return root / str(kind.__name__) / "raw"
    return root / str(kind.base_folder)


def _legacy(kind: Any, root: Path) -> bool:
    """Say whether torchvision will read the tensors that its older versions wrote."""
    folder = home(kind, root).parent / "processed"
    return hasattr(kind, "resources") and all(
        (folder / file).is_file() for file in (kind.training_file, kind.test_file)
    )


def altered(kind: Any, root: Path) -> list[str]:
    """Return the unpacked files whose MD5 is not the published one (CIFAR publishes them)."""
    if hasattr(kind, "resources"):
        return []
    folder = home(kind, root)
    return [file for file, digest in _published(kind) if _md5(folder / file) != digest]


def _published(kind: Any) -> list[tuple[str, str]]:
    return [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]


def _unpack(archive: Archive, name: str) -> None:
    """Write the members to the archive's folder; only those, whatever else it holds."""
    try:
        if not tarfile.is_tarfile(archive.path):
            with gzip.open(archive.path) as stream:
                _save(stream, archive.folder / archive.members[0])
            return
        with tarfile.open(archive.path) as tar:
            for member in archive.members:
                with tar.extractfile(member) or io.BytesIO() as inside:
                    _save(inside, archive.folder / member)
    except (gzip.BadGzipFile, EOFError, KeyError, zlib.error, tarfile.TarError):
        raise DataError(
            _("--data {name}: {file} is damaged; delete it and run again").format(
                name=name, file=archive.path
            )
        ) from None


def _download(archive: Archive, progress: Watch) -> None:
    problem: Exception | None = None
    for url in archive.urls:
        try:
            with answer(url) as response:
                _receive(response, archive, progress)
            return
        except (OSError, HTTPException) as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _receive(response: Any, archive: Archive, progress: Watch) -> None:
    size = int(response.headers.get("Content-Length") or 0)
    progress.stage(_("downloading {file}").format(file=archive.path.name), size)
    digest = _save(response, archive.path, progress.update, check=archive.md5)
    if digest != archive.md5:
        raise OSError(_("the download is damaged"))


@contextmanager
def answer(
    url: str,
    *,
    seconds: float | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> Iterator[Any]:
    """Open a URL; looking up the name is a part of the time that it has.

    Args:
        seconds: until it must have answered, None for ANSWER_SECONDS.

    Raises:
        OSError: no answer in time, or an answer that is an error; says which in plain words.
    """
    patience = ANSWER_SECONDS if seconds is None else seconds
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given_up = threading.Event()

    def ask() -> None:
        told = {"User-Agent": "nndiag", **(headers or {})}
        request = urllib.request.Request(url, headers=told, method=method)
        try:
            response = urllib.request.urlopen(request, timeout=STALL_SECONDS)
        except Exception as error:  # handed over to the caller's thread
            if isinstance(error, HTTPError):
                error.close()
            answers.put(error)
            return
        answers.put(response)
        if given_up.is_set():
            response.close()

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=patience)
    except queue.Empty:
        given_up.set()
        raise OSError(_("no answer in {seconds:g} seconds").format(seconds=patience)) from None
    if isinstance(found, Exception):
        raise OSError(reason(found)) from None
    with found:
        yield found


def _save(
    stream: IO[bytes] | gzip.GzipFile,
    path: Path,
    update: Callable[[int], None] | None = None,
    check: str | None = None,
) -> str:
    """Copy a stream to a file that appears only when complete, and matches `check`; return MD5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    digest, done = hashlib.md5(usedforsecurity=False), 0
    try:
        with part.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if update is not None:
                    update(done)
        if check in (None, digest.hexdigest()):
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def reason(error: BaseException) -> str:
    """Return the last cause in plain words: `Name or service not known`."""
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


def _unavailable(archives: list[Archive], name: str, reason: str) -> DataError:
    files = [archive.path.name for archive in archives]
    listed = files[0]
    if len(files) > 1:
        listed = _("{files} and {last}").format(files=", ".join(files[:-1]), last=files[-1])
    return DataError(
        _(
            "--data {name}: its files are not all in {folder} and could not be downloaded "
            "({reason}); put {files} there, or name another folder with --data-root"
        ).format(name=name, folder=archives[0].folder, reason=reason, files=listed)
    )
