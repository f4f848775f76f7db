"""The training of the playground against that of `gradients --train`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nndiag import datasets
from nndiag.schema.progress import Silent
from nndiag.schema.spec import DataSpec, GradientsSpec, NetworkSpec, OptimizerSpec
from nndiag.training import live as live_module
from nndiag.training import short
from nndiag.training.live import LiveTraining

STEPS = 24


def spec(*, data: str = "spirals", train: int = STEPS, **network: object) -> GradientsSpec:
    chosen = {"depth": 4, "width": 16, "act": "tanh", "init": "xavier_normal"} | network
    return GradientsSpec(
        network=NetworkSpec(**chosen),  # type: ignore[arg-type]
        data=DataSpec(name=data),
        optimizer=OptimizerSpec(name="adam", lr=0.01, clip_norm=1.0),
        batch_size=32,
        seeds=1,
        seed=3,
        train=train,
    )


@pytest.mark.parametrize(
    "one",
    [spec(), spec(norm="batch"), spec(data="digits", act="rrelu", init="he_normal")],
    ids=["plain", "batch norm", "random slopes"],
)
def test_slices_give_the_training_in_one_go(one: GradientsSpec) -> None:
    splits = datasets.load(one.data, seed=one.seed)
    whole, _story = short.train(one, splits, torch.device("cpu"), Silent())
    live = LiveTraining(one)
    for steps in (1, 7, STEPS - 8):
        torch.rand(3)  # what others draw between two slices changes nothing
        live.advance(steps)
        live.view()
    view = live.view()
    assert view.step == STEPS
    assert [loss for _step, loss in view.loss] == whole.loss[:, 0].tolist()
    assert view.signal == pytest.approx(whole.columns["output_grad_norm"][-1, :, 0].tolist())


def test_before_training_theory_stands_beside_the_measurement() -> None:
    view = LiveTraining(spec(data="digits", depth=20, width=64, act="sigmoid")).view()
    assert (view.step, view.loss, view.diverged) == (0, [], False)
    measured, predicted = np.log10(np.array([view.signal, view.predicted_signal], dtype=float))
    assert measured[:-1] == pytest.approx(predicted[:-1], abs=0.3)  # over 12 decades
    assert view.findings[0] == ["critical", "vanishing-gradients"]
    assert view.plane is None


def test_the_plane_is_what_the_network_answers() -> None:
    live = LiveTraining(spec(data="blobs"))
    live.advance(STEPS)
    plane = live.view().plane
    assert plane is not None
    axis = np.linspace(plane["low"], plane["high"], len(plane["label"]))
    live._model.eval()
    for row, column in ((0, 0), (5, 40), (33, 12)):
        place = torch.tensor([[axis[column], axis[row]]], dtype=torch.float32)
        answer = live._model(place).softmax(1)[0].detach()
        assert plane["label"][row][column] == int(answer.argmax())
        assert plane["confidence"][row][column] == pytest.approx(float(answer.max()), abs=2e-3)


def test_a_divergence_shows() -> None:
    one = GradientsSpec(
        network=NetworkSpec(depth=6, width=16, act="relu", init="normal"),
        optimizer=OptimizerSpec(name="sgd", lr=1e6),
        seeds=1,
    )
    live = LiveTraining(one)
    live.advance(10)
    assert live.view().diverged


def test_long_curves_are_thinned_and_keep_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_CURVE", 20)
    live = LiveTraining(spec(depth=2, width=2))
    for _turn in range(30):
        live.advance(1)
        view = live.view()
    assert len(view.accuracy) <= 21
    assert (view.accuracy[0][0], view.accuracy[-1][0]) == (1, 30)
