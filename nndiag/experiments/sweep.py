"""`nndiag sweep`: every combination of settings, or a sample, trained, stored and compared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nndiag import __version__
from nndiag.diagnosis.sweep_reading import reading
from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import METRICS, Configuration, Outcome, Run, SweepSpec, key
from nndiag.store import summaries
from nndiag.store.runs import Store, Sweep
from nndiag.store.summaries import Tried
from nndiag.training import configurations, devices
from nndiag.training.executors import Kind, Place, opened
from nndiag.training.halving import Rung, rungs
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
    asked = [configurations.complete({**spec.base, **one}) for one in spec.combinations()]
    configurations.check(asked, _data(spec))
    with _opened(spec, asked, executor, name, folder, watch or Silent()) as session:
        trained, interrupted = _train(session, asked)
        found = _result(session, trained, interrupted)
    return Result(
        command="sweep",
        spec=spec.to_dict(),
        environment={**devices.environment(device), "executor": executor.text},
        seconds=time.perf_counter() - started,
        result=found,
        version=__version__,
    )


@dataclass
class _Session:
    """A sweep while it runs."""

    spec: SweepSpec
    store: Store
    sweep: Sweep
    place: Place
    watch: Watch
    known: int = 0
    planned: int = 0
    progressed: int = 0

    def train(self, runs: Sequence[Run], text: str) -> None:
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
        self.progressed = 0
        self.watch.stage(text, sum(r.configuration["steps"] for group in todo for r in group))
        finished = stream(
            todo,
            self.place,
            data=_data(self.spec),
            device=self.spec.device,
            progress=self._progress,
        )
        for outcomes in finished:
            self.store.put(self.sweep, outcomes)

    def _progress(self, steps: int) -> None:
        self.progressed += steps
        self.watch.update(self.progressed)

    def outcomes(self, runs: Sequence[Run]) -> list[Outcome]:
        """Return what is stored of these runs, in their order."""
        stored = self.store.outcomes(self.sweep)
        found = (stored.get(run.key(__version__)) for run in runs)
        return [one for one in found if one is not None]


@contextmanager
def _opened(
    spec: SweepSpec,
    asked: Sequence[Configuration],
    executor: Kind,
    name: str | None,
    folder: Path | None,
    watch: Watch,
) -> Iterator[_Session]:
    sweep = _sweep(spec, asked, name)
    with Store(folder) as store:
        sweep = store.begin(sweep)
        with store.writing(sweep), opened(executor) as place:
            yield _Session(spec=spec, store=store, sweep=sweep, place=place, watch=watch)


def _sweep(spec: SweepSpec, asked: Sequence[Configuration], name: str | None) -> Sweep:
    files = {str(one["data"]): _digest(str(one["data"])) for one in asked}
    identity = key({"spec": spec.to_dict(), "files": files}, __version__)
    varied = [axis.name for axis in spec.parsed if axis.varies] or ["one"]
    return Sweep(
        id=identity,
        name=name or f"{'-'.join(varied)[:40]}-{identity[:6]}",
        spec=spec,
        version=__version__,
        created=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def _digest(data: str) -> str:
    """Return a digest of a file of the user's: other content is another sweep."""
    path = Path(data).expanduser()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _data(spec: SweepSpec) -> DataSpec:
    return DataSpec(root=spec.data_root, target=spec.target)


def _runs(spec: SweepSpec, asked: Sequence[Configuration]) -> list[Run]:
    folds: Sequence[int | None] = [None] if spec.folds is None else range(spec.folds)
    return [
        Run(configuration=one, seed=seed, split=spec.seed, fold=fold, folds=spec.folds)
        for one in asked
        for fold in folds
        for seed in range(spec.seed, spec.seed + spec.seeds)
    ]


@dataclass(frozen=True)
class _Rung:
    """A rung with its configurations; without halving the only one."""

    rung: Rung
    runs: list[Run]
    tried: list[Tried]
    failed: list[Outcome]


def _train(session: _Session, asked: Sequence[Configuration]) -> tuple[list[_Rung], bool]:
    """Train rung after rung; return what was reached and whether Ctrl-C ended it."""
    spec = session.spec
    plan = [Rung(len(asked), 0)]
    if spec.halving:
        plan = rungs(len(asked), asked[0]["steps"])
    reached: list[_Rung] = []
    for place, rung in enumerate(plan):
        if rung.steps:
            asked = [{**one, "steps": rung.steps} for one in asked]
        runs = _runs(spec, asked)
        text = _("training steps")
        if len(plan) > 1:
            text = _("rung {place} of {count}: training steps").format(
                place=place + 1, count=len(plan)
            )
        interrupted = False
        try:
            session.train(runs, text)
        except KeyboardInterrupt:
            interrupted = True
        outcomes = session.outcomes(runs)
        failed = [one for one in outcomes if one.error]
        reached.append(_Rung(rung, runs, summaries.tried(outcomes), failed))
        if interrupted:
            return reached, True
        ordered = summaries.ranked(reached[-1].tried, spec.metric)
        asked = [one.configuration for one in ordered[: -(-rung.configurations // 2)]]
        if not asked:
            break
    return reached, False


def _result(session: _Session, reached: Sequence[_Rung], interrupted: bool) -> dict[str, Any]:
    spec = session.spec
    failed = [one for rung in reached for one in rung.failed]
    if failed and not any(rung.tried for rung in reached):
        raise RunError(_("no run succeeded: {reason}").format(reason=failed[0].error))
    names = [axis.name for axis in spec.parsed if axis.varies]
    first = reached[0].tried
    effects = summaries.marginals(spec, first) if first else []
    found = {
        "sweep": session.sweep.name,
        "store": str(session.store.folder),
        "metric": spec.metric,
        "higher_is_better": METRICS[spec.metric],
        "axes": [
            {"name": axis.name, "values": list(axis.values), "text": axis.text}
            for axis in spec.parsed
        ],
        "data": sorted({run.configuration["data"] for rung in reached for run in rung.runs}),
        "trainings": sum(len(one.outcomes) for rung in reached for one in rung.tried),
        "planned": session.planned,
        "resumed": session.known,
        "rows": _rows(spec, reached),
        "marginals": effects,
        "heat": summaries.heat_map(spec, first, effects),
        "rungs": _rung_rows(spec, reached, names),
        "samples": _samples(reached),
        "failed": [
            {
                "label": summaries.label(one.run.configuration, names),
                "seed": one.run.seed,
                "fold": one.run.fold,
                "error": one.error,
            }
            for one in failed
        ],
        "interrupted": interrupted,
    }
    return {**found, "reading": reading(found, spec)}


def _rows(spec: SweepSpec, reached: Sequence[_Rung]) -> list[dict[str, Any]]:
    """Return a row a configuration, of the last rung that it was in."""
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for place, rung in reversed(list(enumerate(reached))):
        chosen = [one for one in rung.tried if _identity(one) not in seen]
        seen |= {_identity(one) for one in chosen}
        own = summaries.rows(spec, chosen)
        if found:  # out before the end: not comparable with those that trained longer
            own = [{**row, "p_value": None, "tied": False} for row in own]
        found += [{**row, "rung": place + 1} if spec.halving else row for row in own]
    return found


def _identity(one: Tried) -> str:
    return key({**one.configuration, "steps": 0}, "")


def _rung_rows(
    spec: SweepSpec, reached: Sequence[_Rung], names: Sequence[str]
) -> list[dict[str, Any]]:
    if not spec.halving:
        return []
    rows = []
    for rung in reached:
        ordered = summaries.ranked(rung.tried, spec.metric)
        rows.append(
            {
                "steps": rung.rung.steps,
                "configurations": len(rung.tried),
                "best": summaries.label(ordered[0].configuration, names) if ordered else None,
                spec.metric: ordered[0].mean(spec.metric) if ordered else None,
            }
        )
    return rows


def _samples(reached: Sequence[_Rung]) -> int:
    """Return how many samples the score of a configuration rests on."""
    for rung in reached:
        for one in rung.tried:
            sizes = {o.run.fold: o.metrics["samples"] for o in one.outcomes}
            return int(sum(sizes.values()))
    return 0


def resumed(name: str, folder: Path | None = None) -> tuple[SweepSpec, str]:
    """Return the spec and name of a stored sweep, to go on with it.

    Raises:
        UsageError: there is none of that name, or another version of nndiag began it.
    """
    with Store(folder) as store:
        sweep = store.get(name, "--resume")
    if sweep.version != __version__:
        raise UsageError(
            _(
                "--resume: '{name}' was begun by nndiag {version}, whose results may differ from "
                "those of {own}; begin it again under another name"
            ).format(name=sweep.name, version=sweep.version, own=__version__)
        )
    return sweep.spec, sweep.name
