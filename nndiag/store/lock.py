"""One writer a sweep: a lock that the operating system takes back when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nndiag.locales import _
from nndiag.schema.errors import RunError


@contextmanager
def writing(folder: Path, sweep: str, name: str) -> Iterator[None]:
    """Hold the right to write a sweep.

    The lock is the system's on an open file: a killed process, `kill -9` included, holds none, so
    that there is no stale lock to clean up. What the file says serves the message alone.

    Args:
        folder: of the store.
        sweep, name: its identifier, and what people call it.

    Raises:
        RunError: another process holds it.
    """
    path = folder / f"{sweep}.lock"
    with path.open("a+", encoding="utf-8") as file:
        if not _try_lock(file):
            file.seek(0)
            holder, _space, since = file.read().strip().partition(" ")
            raise RunError(
                _(
                    "the sweep '{name}' is being run by process {holder} since {since}; wait for "
                    "it or stop it (its finished runs are kept)"
                ).format(name=name, holder=holder or "?", since=since or "?")
            )
        file.truncate(0)
        file.write(f"{os.getpid()} {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        yield
        # Left in place: to remove it would let two others lock two different files.


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    #: Locked far behind the text, which a waiting process must be able to read.
    _PLACE = 2**30

    def _try_lock(file: IO[str]) -> bool:
        file.seek(_PLACE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        file.seek(0)
        return True

else:
    import fcntl

    def _try_lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
