"""Sweeps and their runs, written and read."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError, unknown_name
from nndiag.schema.result import plain, revive
from nndiag.schema.spec_sweep import Outcome, Run, SweepSpec
from nndiag.store import database, lock


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A stored sweep.

    Attributes:
        id: stable name of what is computed: of spec, contents of the user's files and name, under a
            version.
        name: what people call it; no two have the same.
        planned: runs that it asks for so far; successive halving adds to them.
        done, failed: runs that have ended.
        created: local time.
        seconds: of all ended runs together.
    """

    id: str
    name: str
    spec: SweepSpec
    version: str
    created: str
    planned: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return 0 < self.planned <= self.done


_SELECT = """
    SELECT sweeps.*,
        COUNT(runs.key) FILTER (WHERE runs.error = '') AS done,
        COUNT(runs.key) FILTER (WHERE runs.error <> '') AS failed,
        TOTAL(runs.seconds) AS seconds
    FROM sweeps LEFT JOIN runs ON runs.sweep = sweeps.id
"""


class Store:
    """The store of a folder; a context manager.

    Args:
        folder: None for `database.home()`.

    Raises:
        RunError: see `database.connect`; later, when the disk is full or the file damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or database.home()).absolute()
        self._connection = database.connect(self.folder)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def begin(self, sweep: Sweep) -> Sweep:
        """Enter a sweep, or find it again; return it as it stands.

        Raises:
            UsageError: another sweep has the name.
        """
        known = self._find("sweeps.id = ?", sweep.id)
        if known is not None:
            return known
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sweeps (id, name, spec, version, created) "
                "VALUES (?, ?, ?, ?, ?)",
                (sweep.id, sweep.name, _text(sweep.spec.to_dict()), sweep.version, sweep.created),
            )
        found = self._find("sweeps.name = ?", sweep.name)
        assert found is not None
        if found.id != sweep.id:
            raise _taken(found, sweep)
        return found

    @contextmanager
    def writing(self, sweep: Sweep) -> Iterator[None]:
        """Hold the right to write a sweep; see `lock.writing`."""
        with lock.writing(self.folder, sweep.id, sweep.name):
            yield

    def plan(self, sweep: Sweep, runs: int) -> None:
        """Note how many runs the sweep asks for."""
        with self._writing() as connection:
            connection.execute("UPDATE sweeps SET planned = ? WHERE id = ?", (runs, sweep.id))

    def put(self, sweep: Sweep, outcomes: Sequence[Outcome]) -> None:
        """Write ended runs, all or none; a failed one may be written again, a done one stays."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        rows = [
            (
                *(sweep.id, one.run.key(sweep.version), _text(one.run.to_dict())),
                *(_text(dict(one.metrics)), int(one.diverged), one.seconds, one.error, now),
            )
            for one in outcomes
        ]
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (sweep, key) DO UPDATE SET (metrics, diverged, seconds, error, "
                "finished) = (excluded.metrics, excluded.diverged, excluded.seconds, "
                "excluded.error, excluded.finished) WHERE runs.error <> ''",
                rows,
            )

    def outcomes(self, sweep: Sweep) -> dict[str, Outcome]:
        """Return the ended runs by key, in the order in which they ended."""
        found = self._connection.execute(
            "SELECT * FROM runs WHERE sweep = ? ORDER BY rowid", (sweep.id,)
        )
        return {row["key"]: _outcome(row) for row in found}

    def missing(self, sweep: Sweep, runs: Sequence[Run]) -> list[Run]:
        """Return the runs that are not done; failed ones count as missing."""
        found = self._connection.execute(
            "SELECT key FROM runs WHERE sweep = ? AND error = ''", (sweep.id,)
        )
        done = {row["key"] for row in found}
        return [run for run in runs if run.key(sweep.version) not in done]

    def sweeps(self) -> list[Sweep]:
        """Return every sweep, the newest first."""
        rows = self._connection.execute(
            f"{_SELECT} GROUP BY sweeps.id ORDER BY sweeps.created DESC, sweeps.rowid DESC"
        )
        return [_sweep(row) for row in rows]

    def get(self, name: str, option: str) -> Sweep:
        """Return the sweep of a name, or of an identifier or its unique beginning.

        Raises:
            UsageError: there is none; the sentence names the nearest.
        """
        found = self._find("sweeps.name = ?", name)
        if found is not None:
            return found
        sweeps = self.sweeps()
        begun = [sweep for sweep in sweeps if len(name) >= 4 and sweep.id.startswith(name)]
        if len(begun) == 1:
            return begun[0]
        if not sweeps:
            raise no_sweeps(self.folder)
        raise unknown_name(option, name, [sweep.name for sweep in sweeps])

    def _find(self, condition: str, value: str) -> Sweep | None:
        row = self._connection.execute(
            f"{_SELECT} WHERE {condition} GROUP BY sweeps.id", (value,)
        ).fetchone()
        return None if row is None else _sweep(row)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise RunError(
                _("the store {path} cannot be written: {reason}").format(
                    path=self.folder, reason=error
                )
            ) from None


def no_sweeps(folder: Path) -> UsageError:
    """Return the error for a name where nothing is stored."""
    return UsageError(
        _("no sweep is stored in {folder}; NNDIAG_HOME names another folder").format(
            folder=folder.absolute()
        )
    )


def resumed(name: str, folder: Path | None = None) -> tuple[SweepSpec, str]:
    """Return spec and name of a stored sweep, to go on with it.

    Raises:
        UsageError: there is none of that name.
    """
    folder = folder or database.home()
    if not database.exists(folder):
        raise no_sweeps(folder)
    with Store(folder) as store:
        sweep = store.get(name, "--resume")
    return sweep.spec, sweep.name


def _taken(other: Sweep, sweep: Sweep) -> UsageError:
    same = _text(other.spec.to_dict()) == _text(sweep.spec.to_dict())
    if same and other.version != sweep.version:
        return UsageError(
            _(
                "--name: '{name}' was begun by nndiag {version}, whose results may differ from "
                "this one's; choose another name"
            ).format(name=other.name, version=other.version)
        )
    if same:
        return UsageError(
            _(
                "--name: '{name}' was begun with other contents of its data file; choose another "
                "name"
            ).format(name=other.name)
        )
    return UsageError(
        _(
            "--name: '{name}' is a sweep of other settings; choose another name, or continue "
            "that one with --resume {name}"
        ).format(name=other.name)
    )


def _text(value: object) -> str:
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _sweep(row: sqlite3.Row) -> Sweep:
    names = ("id", "name", "version", "created", "planned", "done", "failed", "seconds")
    spec = SweepSpec.from_dict(revive(json.loads(row["spec"])))
    return Sweep(spec=spec, **{name: row[name] for name in names})


def _outcome(row: sqlite3.Row) -> Outcome:
    return Outcome(
        run=Run(**revive(json.loads(row["run"]))),
        metrics=revive(json.loads(row["metrics"])),
        diverged=bool(row["diverged"]),
        seconds=row["seconds"],
        error=row["error"],
    )
