"""What is written to experiment trackers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nndiag
from nndiag.integrations import trackers
from nndiag.schema.observation import Observation


@pytest.fixture(scope="module")
def seen() -> Observation:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with nndiag.watch(model, optimizer) as watch:
        for _step in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(8, 4)), torch.zeros(8).long()).backward()
            optimizer.step()
    return watch.observation


class Run:
    """A stand-in with the one method of a W&B run that is called."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []

    def log(self, values: dict[str, float]) -> None:
        self.logged.append(values)


def test_scalars_are_those_of_the_observation(seen: Observation) -> None:
    found = {(name, step): value for name, step, value in trackers.scalars(seen)}
    losses = seen.optimizers[0].loss
    assert [found["loss/SGD", step] for step in (1, 2, 3)] == losses.values.tolist()
    assert found["lr/SGD", 1] == 0.1
    trace = seen.models[0].trace
    assert found["weight_grad_norm/model.0", 2] == trace.columns["weight_grad_norm"][1, 0, 0]


def test_wandb_gets_one_call_a_step(seen: Observation) -> None:
    run = Run()
    trackers.to_wandb(seen, run)
    assert [values["nndiag/step"] for values in run.logged] == [1, 2, 3]
    assert run.logged[0]["nndiag/loss/SGD"] == seen.optimizers[0].loss.values[0]


def test_tensorboard_files(seen: Observation, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        trackers.to_tensorboard(seen, writer)
    assert list(tmp_path.glob("events.*"))


@pytest.mark.filterwarnings("default")  # MLflow's are not ours to mend
def test_mlflow_keeps_every_scalar(seen: Observation, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")  # its store, which the skinny package leaves out
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    try:
        client = mlflow.tracking.MlflowClient()
        experiment = client.create_experiment("test", artifact_location=tmp_path.as_uri())
        run_id = client.create_run(experiment).info.run_id
        trackers.to_mlflow(seen, run_id)
        kept = {
            (name, metric.step): metric.value
            for name in client.get_run(run_id).data.metrics
            for metric in client.get_metric_history(run_id, name)
        }
    finally:
        mlflow.set_tracking_uri(before)
    assert kept == {(f"nndiag/{name}", step): value for name, step, value in trackers.scalars(seen)}
