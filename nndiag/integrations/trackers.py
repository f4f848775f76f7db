"""Writes what was recorded to experiment trackers, through their own interfaces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from nndiag.schema.observation import Observation


def scalars(observation: Observation) -> Iterator[tuple[str, int, float]]:
    """Yield (name, step, value) of every finite number: losses, rates, statistics by layer.

    Names are `loss/<optimizer>`, `lr/<optimizer>`, `<statistic>/<model>.<layer>`.
    """
    for place, optimizer in enumerate(observation.optimizers):
        label = optimizer.kind if not place else f"{optimizer.kind}-{place + 1}"
        for name, series in (("loss", optimizer.loss), ("lr", optimizer.lr)):
            yield from _finite(f"{name}/{label}", series.steps, series.values)
    for model in observation.models:
        trace = model.trace
        for statistic, table in trace.columns.items():
            for at, layer in enumerate(trace.layers):
                if trace.has(statistic, at):
                    label = f"{statistic}/{model.name}.{layer.name}"
                    yield from _finite(label, trace.steps + 1, table[:, at].mean(1))


def to_tensorboard(observation: Observation, writer: Any) -> None:
    """Write to a `torch.utils.tensorboard.SummaryWriter`."""
    for name, step, value in scalars(observation):
        writer.add_scalar(f"nndiag/{name}", value, step)


def to_mlflow(observation: Observation, run_id: str | None = None) -> None:
    """Log as metrics of an MLflow run, the active one by default (`pip install mlflow`)."""
    import time

    import mlflow
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    if run_id is None:
        active = mlflow.active_run()
        run_id = (active or mlflow.start_run()).info.run_id
    now = int(time.time() * 1000)
    metrics = [
        Metric(f"nndiag/{name}", value, now, step) for name, step, value in scalars(observation)
    ]
    client = MlflowClient()
    for start in range(0, len(metrics), 1000):  # the most that one request may carry
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def to_wandb(observation: Observation, run: Any) -> None:
    """Log to a W&B run, one call a step."""
    by_step: dict[int, dict[str, float]] = {}
    for name, step, value in scalars(observation):
        by_step.setdefault(step, {})[f"nndiag/{name}"] = value
    for step in sorted(by_step):
        run.log({**by_step[step], "nndiag/step": step})


def _finite(name: str, steps: Any, values: Any) -> Iterator[tuple[str, int, float]]:
    for step, value in zip(steps, values, strict=True):
        if math.isfinite(value):
            yield name, int(step), float(value)
