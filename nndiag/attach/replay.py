"""One short run of a script with changes made on the way: `python -m nndiag.attach.replay JOB`.

JOB is a JSON file with the fields of `Job`; a few numbers of what was seen go to `Job.result`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nndiag.attach.interventions import Intervention, parse
from nndiag.attach.patches import Patches
from nndiag.attach.script import observe
from nndiag.diagnosis import learning, measures
from nndiag.schema.observation import Observation
from nndiag.schema.result import plain

#: Share of the recorded values, at the end, that the figures are the mean of, and at the start.
END, START = 0.2, 0.05


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run.

    Attributes:
        names: changes, joined by commas; empty for the control.
        layers: of the models as a first run saw them.
        by_hand: the script moves its weights itself.
        result: file to write.
    """

    target: str
    result: str
    argv: tuple[str, ...] = ()
    module: bool = False
    steps: int = 100
    seed: int = 0
    names: str = ""
    layers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    by_hand: bool = False


def main(path: str) -> None:
    """Run the job and write its figures."""
    job = Job(**json.loads(Path(path).read_text(encoding="utf-8")))
    interventions = parse(job.names, job.layers)
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_checkpoints())
        for intervention in interventions:
            intervention.by_hand = job.by_hand
            stack.enter_context(intervention.active())
        outcome = observe(
            job.target,
            job.argv,
            module=job.module,
            steps=job.steps,
            seed=job.seed,
            every=max(1, job.steps // 20),
            interventions=interventions,
        )
    figures = figures_of(outcome.observation, interventions)
    figures |= {"seconds": time.perf_counter() - started, "exit_code": outcome.exit_code}
    Path(job.result).write_text(json.dumps(plain(figures), allow_nan=False), encoding="utf-8")


def figures_of(
    observation: Observation, interventions: list[Intervention] | None = None
) -> dict[str, Any]:
    """Return the numbers that a trial is judged by; NaN where there is none."""
    loss = learning.loss(observation).values
    start, end = _start(loss), _end(loss)
    accuracy = observation.accuracy.values
    last = _last_evaluation(observation)
    prior = learning.target_variance(observation)
    return {
        "steps": observation.steps,
        "loss_start": start,
        "loss_reference": start if prior is None else min(start, prior),
        "loss": end,
        "accuracy_start": _start(accuracy),
        "accuracy": _end(accuracy),
        "validation_loss": last[0],
        "validation_accuracy": last[1],
        "grad_ratio": _grad_ratio(observation),
        "changes": [one.changes for one in interventions or ()],
        "error": ""
        if observation.error is None
        else f"{observation.error.kind}: {observation.error.message}".splitlines()[0],
    }


def _start(values: np.ndarray) -> float:
    """Return the median of the first finite values (those of an untrained network)."""
    values = values[np.isfinite(values)]
    return float(np.median(values[: max(1, int(START * values.size))])) if values.size else math.nan


def _end(values: np.ndarray) -> float:
    """Return the mean of the last values: not finite where one of them is not."""
    return float(values[-max(1, int(END * values.size)) :].mean()) if values.size else math.nan


def _last_evaluation(observation: Observation) -> tuple[float, float]:
    """Return loss and accuracy of the last evaluation on samples that training did not meet.

    One from the first half of the run says little about its end and does not count.
    """
    late = [one for one in learning.unseen(observation) if 2 * one.step >= observation.steps > 0]
    if not late:
        return math.nan, math.nan
    losses = [one.loss for one in late if not math.isnan(one.loss)]
    accuracies = [one.accuracy for one in late if not math.isnan(one.accuracy)]
    return (losses or [math.nan])[-1], (accuracies or [math.nan])[-1]


def _grad_ratio(observation: Observation) -> float:
    """Return `grad_ratio` of the first trained model at its last recorded step; NaN if unseen."""
    for model in observation.models:
        if model.training_passes and "output_grad_norm" in model.trace.columns:
            signal = measures.signal(model.trace)
            if signal.size:
                ratio = measures.end_to_end(signal, measures.floor_of(model.trace))
                return float(ratio[0])
    return math.nan


@contextlib.contextmanager
def own_checkpoints() -> Iterator[None]:
    """Keep what the script saves by torch.save away from its files, and load it back from there."""
    import torch

    patches = Patches()
    with tempfile.TemporaryDirectory() as folder:
        places: dict[str, str] = {}

        def moved(file: Any) -> Any:
            if not isinstance(file, str | Path):
                return file
            key = str(Path(file).absolute())
            return places.setdefault(key, str(Path(folder) / f"{len(places)}.pt"))

        def around_save(original: Callable[..., Any]) -> Callable[..., Any]:
            def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
                return original(obj, moved(f), *args, **kwargs)

            return save

        def around_load(original: Callable[..., Any]) -> Callable[..., Any]:
            def load(f: Any, *args: Any, **kwargs: Any) -> Any:
                known = isinstance(f, str | Path) and str(Path(f).absolute()) in places
                return original(moved(f) if known else f, *args, **kwargs)

            return load

        patches.wrap(torch, "save", around_save)
        patches.wrap(torch, "load", around_load)
        try:
            yield
        finally:
            patches.undo()


if __name__ == "__main__":
    main(sys.argv[1])
    gc.freeze()  # no last search for garbage: it would take half a second a run
