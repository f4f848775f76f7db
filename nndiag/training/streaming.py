"""Groups of runs through an executor, each handed on as soon as it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import DataError, NndiagError, RunError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import Outcome, Run
from nndiag.training.executors import Place
from nndiag.training.groups import outcomes_of, task, work

#: Seconds between two signs of life while other processes work.
_BEAT = 0.5


def stream(
    groups: Sequence[Sequence[Run]],
    place: Place,
    *,
    data: DataSpec,
    device: str,
    progress: Callable[[Sequence[Run], int], None],
) -> Iterator[list[Outcome]]:
    """Yield the outcomes of each group in the order in which they finish.

    A group that fails gives outcomes that say why. When the caller stops listening, groups that
    have not begun are cancelled.

    Raises:
        DataError: the data cannot be used.
        RunError: the executor drops its work.

    Args:
        progress: told of a group's member-steps as they are taken; of those in other processes
            when the group is done, and of none meanwhile.
    """
    waiting = iter(groups)
    running: dict[Future[Any], Sequence[Run]] = {}
    try:
        while True:
            while place.window is None or len(running) < place.window:
                group = next(waiting, None)
                if group is None:
                    break
                asked = task(group, data, device)
                extra = () if place.remote else (partial(progress, group),)
                running[place.executor.submit(work, asked, *extra)] = group
            if not running:
                return
            done, _open = wait(running, timeout=_BEAT, return_when=FIRST_COMPLETED)
            if not done:
                progress(next(iter(running.values())), 0)
            for future in done:
                group = running.pop(future)
                if place.remote:
                    progress(group, sum(run.steps for run in group))
                yield _outcomes(future, group)
    finally:
        for future in running:
            future.cancel()


def _outcomes(future: Future[Any], group: Sequence[Run]) -> list[Outcome]:
    if future.cancelled():
        raise RunError(
            _(
                "the cluster dropped the work: its scheduler no longer answers; the runs that are "
                "done are kept, and the same command trains the rest"
            )
        )
    error = future.exception()
    if error is None:
        return outcomes_of(group, future.result())
    if isinstance(error, DataError) or not isinstance(error, Exception):
        raise error  # no other run would fare better
    text = str(error) if isinstance(error, NndiagError) else f"{type(error).__name__}: {error}"
    return [Outcome(run=run, error=text) for run in group]
