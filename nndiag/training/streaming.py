"""Groups of runs through an executor, each handed on as soon as it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from nndiag.schema.errors import NndiagError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import Outcome, Run
from nndiag.training.executors import Place
from nndiag.training.groups import outcomes_of, task, work
from nndiag.training.population import Progress


def stream(
    groups: Sequence[Sequence[Run]],
    place: Place,
    *,
    data: DataSpec,
    device: str,
    progress: Progress,
) -> Iterator[list[Outcome]]:
    """Yield the outcomes of each group in the order in which they finish.

    A group that fails gives outcomes that say why. When the caller stops listening, groups that
    have not begun are cancelled.

    Args:
        progress: told of member-steps as they are taken; of those in other processes when their
            group is done.
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
                extra = () if place.remote else (progress,)
                running[place.executor.submit(work, asked, *extra)] = group
            if not running:
                return
            done, _open = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                group = running.pop(future)
                if place.remote:
                    progress(sum(run.configuration["steps"] for run in group))
                yield _outcomes(future, group)
    finally:
        for future in running:
            future.cancel()


def _outcomes(future: Future[Any], group: Sequence[Run]) -> list[Outcome]:
    error = future.exception()
    if error is None:
        return outcomes_of(group, future.result())
    if not isinstance(error, Exception):
        raise error
    text = str(error) if isinstance(error, NndiagError) else f"{type(error).__name__}: {error}"
    return [Outcome(run=run, error=text) for run in group]
