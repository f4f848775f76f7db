"""The file: where it is, how it is opened, and how its tables came to be."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from nndiag.locales import _
from nndiag.schema.errors import RunError

#: Each brings the file from version k to version k + 1 (`PRAGMA user_version`).
MIGRATIONS = (
    """
    CREATE TABLE sweeps (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        spec TEXT NOT NULL,
        version TEXT NOT NULL,
        created TEXT NOT NULL
    ) STRICT;
    CREATE TABLE runs (
        sweep TEXT NOT NULL REFERENCES sweeps (id),
        key TEXT NOT NULL,
        run TEXT NOT NULL,
        metrics TEXT NOT NULL,
        diverged INTEGER NOT NULL,
        seconds REAL NOT NULL,
        error TEXT NOT NULL,
        finished TEXT NOT NULL,
        PRIMARY KEY (sweep, key)
    ) STRICT;
    """,
    # How many runs the sweep asks for, known once it was planned.
    "ALTER TABLE sweeps ADD COLUMN planned INTEGER NOT NULL DEFAULT 0;",
)
_FILE = "runs.db"
_PATIENCE_SECONDS = 30.0


def home() -> Path:
    """Return the folder of the store: `NNDIAG_HOME`, else `.nndiag` in the current folder."""
    return Path(os.environ.get("NNDIAG_HOME") or ".nndiag").expanduser()


def exists(folder: Path) -> bool:
    """Whether a store is there."""
    return (folder / _FILE).is_file()


def connect(folder: Path) -> sqlite3.Connection:
    """Open the store of a folder, make it where there is none, and bring its tables up to date.

    Every commit is on the disk when it returns (WAL with `synchronous=FULL`); readers do not
    wait for writers.

    Raises:
        RunError: the file cannot be opened, is no database, or a newer nndiag wrote it.
    """
    path = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(
            _("the store {path} cannot be used: {reason}").format(path=path, reason=reason)
        ) from None
    connection.row_factory = sqlite3.Row
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")  # another process may be at it
    version = _version(connection)
    if version > len(MIGRATIONS):
        connection.execute("ROLLBACK")
        raise RunError(
            _(
                "the store {path} was written by a newer nndiag (format {version}, this one "
                "knows {known}); update nndiag, or set NNDIAG_HOME to another folder"
            ).format(path=path, version=version, known=len(MIGRATIONS))
        )
    try:
        for number in range(version, len(MIGRATIONS)):
            for statement in MIGRATIONS[number].split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
