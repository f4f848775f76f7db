"""`nndiag sweep`: every combination of settings, or a sample, trained, stored and compared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nndiag import __version__
from nndiag.diagnosis.sweep_result import sweep_result
from nndiag.locales import _
from nndiag.schema.errors import RunError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import Configuration, Outcome, Run, SweepSpec, key
from nndiag.store.runs import Store, Sweep
from nndiag.store.summaries import Reached
from nndiag.training import configurations, devices
from nndiag.training.executors import Kind, Place, opened
from nndiag.training.halving import climb
from nndiag.training.streaming import stream


def run(
    spec: SweepSpec,
    *,
    watch: Watch | None = None,
    executor: Kind | None = None,
    name: str | None = None,
    folder: Path | None = None,
) -> Result:
    """Train what the store does not have yet, then compare all of it.

    Ctrl-C keeps the runs that are done (`result.interrupted` is then True).

    Args:
        executor: where the trainings run; None for this process.
        name: of the sweep in the store; None makes one from its axes.
        folder: of the store; None for `store.database.home()`.

    Raises:
        UsageError: what cannot be trained, or a name that is taken.
        RunError: another process runs this sweep, or no run at all succeeded.
    """
    started = time.perf_counter()
    device = devices.resolve(spec.device)
    executor = executor or Kind()
    asked = configurations.asked(spec)
    configurations.check(asked, spec.folds, DataSpec(root=spec.data_root, target=spec.target))
    with _opened(spec, _sweep(spec, asked, name), executor, folder, watch or Silent()) as session:
        reached = session.train()
    failed = [one for rung in reached for one in rung.failed]
    if failed and not any(rung.tried for rung in reached):
        raise RunError(_("no run succeeded: {reason}").format(reason=failed[0].error))
    return Result(
        command="sweep",
        spec=spec.to_dict(),
        environment={**devices.environment(device), "executor": executor.text},
        seconds=time.perf_counter() - started,
        result={
            "sweep": session.sweep.name,
            "store": str(session.store.folder),
            **sweep_result(spec, reached, session.planned),
            "resumed": session.known,
            "interrupted": session.interrupted,
        },
        version=__version__,
    )


def _sweep(spec: SweepSpec, asked: Sequence[Configuration], name: str | None) -> Sweep:
    files = {str(one["data"]): _digest(str(one["data"])) for one in asked}
    facts = {"spec": spec.to_dict(), "files": files}
    name = name or f"{'-'.join(spec.shown)[:40]}-{key(facts, __version__)[:6]}"
    return Sweep(
        id=key({**facts, "name": name}, __version__),
        name=name,
        spec=spec,
        version=__version__,
        created=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def _digest(data: str) -> str:
    """Return a digest of a file of the user's: other content is another sweep."""
    path = Path(data).expanduser()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@contextmanager
def _opened(
    spec: SweepSpec, sweep: Sweep, executor: Kind, folder: Path | None, watch: Watch
) -> Iterator[_Session]:
    with Store(folder) as store:
        sweep = store.begin(sweep)
        with store.writing(sweep), opened(executor) as place:
            yield _Session(spec=spec, store=store, sweep=sweep, place=place, watch=watch)


@dataclass
class _Session:
    """A sweep while it runs.

    Attributes:
        known: runs that the store had before.
    """

    spec: SweepSpec
    store: Store
    sweep: Sweep
    place: Place
    watch: Watch
    known: int = 0
    planned: int = 0
    interrupted: bool = False
    _told: float = field(default=0.0, init=False)

    def train(self) -> list[Reached]:
        """Train rung after rung; return those that were reached."""
        return list(climb(self.spec, self._outcomes_of))

    def _outcomes_of(self, runs: Sequence[Run], rung: str) -> list[Outcome]:
        try:
            self._train(runs, rung)
        except KeyboardInterrupt:
            self.interrupted = True
        stored = self.store.outcomes(self.sweep)
        found = (stored.get(run.key(__version__)) for run in runs)
        return [one for one in found if one is not None]

    def _train(self, runs: Sequence[Run], rung: str) -> None:
        """Train what is missing of these runs, a group at a time, and store it."""
        self.planned += len(runs)
        self.store.plan(self.sweep, self.planned)
        missing = {run.key(__version__) for run in self.store.missing(self.sweep, runs)}
        self.known += len(runs) - len(missing)
        todo = [
            group
            for group in configurations.grouped(runs)
            if any(run.key(__version__) in missing for run in group)
        ]
        text = _("training {count} networks, work in %")
        if self.spec.halving:
            text = _("rung {rung}: training {count} networks, work in %")
        self.watch.stage(text.format(count=len(missing), rung=rung), 100)
        total = sum(configurations.work(group[0], group[0].steps * len(group)) for group in todo)
        self._told = 0.0

        def progress(group: Sequence[Run], steps: int) -> None:
            self._told += configurations.work(group[0], steps)
            self.watch.update(int(100 * self._told / total))

        finished = stream(
            todo,
            self.place,
            data=DataSpec(root=self.spec.data_root, target=self.spec.target),
            device=self.spec.device,
            progress=progress,
        )
        for outcomes in finished:
            self.store.put(self.sweep, outcomes)
