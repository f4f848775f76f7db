"""Models and trainings that are not the usual ones: scripted, lazy, transformed, several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from nndiag.attach.session import Session
from nndiag.diagnosis import mismatch, parameters
from nndiag.schema.observation import Observation


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Linear(3, 8), nn.BatchNorm1d(8)
        self.drop, self.two = nn.Dropout(0.5), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.drop(torch.relu(self.norm(self.one(x)))))


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_scripted_model_shows_its_weights_and_its_modes() -> None:
    torch.manual_seed(0)
    model = torch.jit.script(Scripted())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(16, 3), torch.randint(2, (16,))
    norms = []
    with Session() as session:
        for _step in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            norms.append(float(model.one.weight.grad.norm()))
            optimizer.step()
        with torch.no_grad():
            model(x)
    (seen,) = session.observation().models
    assert (seen.training_passes, seen.evaluation_passes_in_training) == (4, 1)
    assert (seen.batch_norms, seen.dropouts) == (("norm",), ("drop",))
    assert [(layer.name, layer.kind) for layer in seen.trace.layers] == [
        ("one", "Linear"),
        ("two", "Linear"),
    ]
    np.testing.assert_allclose(seen.trace.columns["weight_grad_norm"][:, 0, 0], norms, rtol=1e-6)
    assert seen.input is not None
    assert seen.input.batches == 4


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_scripted_part_of_a_model_stays_closed() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(torch.jit.trace(nn.Linear(3, 8), torch.zeros(1, 3)), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Session() as session:
        for _step in range(3):
            optimizer.zero_grad()
            model(torch.randn(16, 3)).square().mean().backward()
            optimizer.step()
    (seen,) = session.observation().models
    assert not np.isnan(seen.trace.columns["weight_grad_norm"]).any()
    assert seen.trace.missing["output_grad_norm"].tolist() == [True, False]


def test_lazy_layers_get_their_shapes_as_without_us() -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    x, y = torch.randn(16, 3), torch.randint(2, (16,))
    with Session() as session:
        model(x)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _step in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    (seen,) = session.observation().models
    assert [layer.fan_in for layer in seen.trace.layers] == [3, 8]
    assert seen.training_passes == 3


def test_transforms_of_functions_are_left_alone_and_said() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(16, 3)

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(model, parameters, (x,)).square().mean()

    weights = {name: value.detach() for name, value in model.named_parameters()}
    plain = torch.func.grad(loss)(weights)
    with Session() as session:
        watched = torch.func.grad(loss)(weights)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _step in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            torch.func.vmap(torch.func.grad(lambda one: model(one).sum()))(x)
            optimizer.step()
    for name, gradient in plain.items():
        assert torch.equal(gradient, watched[name])
    seen = session.observation()
    assert seen.models[0].training_passes == 3
    assert any("torch.func" in note for note in seen.notes)


def test_a_loss_on_the_second_output_trains_the_model_too() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 4), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            h = torch.relu(self.body(x))
            return self.a(h), self.b(h)

    model = Two()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with Session() as session:
        for _step in range(5):
            optimizer.zero_grad()
            model(torch.randn(8, 3))[1].square().mean().backward()
            optimizer.step()
    seen = session.observation()
    assert seen.models[0].training_passes == 5
    (finding,) = parameters.check(seen)
    assert finding.layers == ("a.weight", "a.bias")


def test_optimizers_in_turns_and_one_after_another() -> None:
    def trained(models: list[nn.Module], *, together: bool) -> Observation:
        optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
        order = [0, 1] * 6 if together else [0] * 6 + [1] * 6
        with Session() as session:
            for place in order:
                optimizers[place].zero_grad()
                x, y = torch.randn(8, 3), torch.randint(2, (8,))
                F.cross_entropy(models[place](x), y).backward()
                optimizers[place].step()
        return session.observation()

    players = trained([nn.Linear(3, 2), nn.Linear(3, 2)], together=True)
    folds = trained([nn.Linear(3, 2), nn.Linear(3, 2)], together=False)
    assert (players.in_turns, folds.in_turns) == (True, False)
    assert players.labels is None
    assert folds.labels is not None
    assert [model.name for model in folds.models] == ["linear", "linear_2"]
    assert [one.models for one in folds.optimizers] == [("linear",), ("linear_2",)]


@pytest.mark.parametrize(
    ("loss", "share"),
    [
        (lambda z, p: F.kl_div(z, p, reduction="batchmean"), 1.0),
        (lambda z, p: F.kl_div(F.log_softmax(z, 1), p, reduction="batchmean"), 0.0),
        (lambda z, p: F.kl_div(F.log_softmax(z.T[None], 1), p.T[None], reduction="sum"), 0.0),
        (lambda z, p: F.ctc_loss(F.log_softmax(z[:, None], 2), *CTC), 0.0),
        (lambda z, p: F.ctc_loss(F.softmax(z[:, None], 2), *CTC), 1.0),
    ],
)
def test_divergences_want_log_probabilities(loss: Any, share: float) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 5)
    target = F.softmax(torch.randn(12, 5), 1)
    with Session() as session:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _step in range(3):
            optimizer.zero_grad()
            loss(model(torch.randn(12, 3)), target).backward()
            optimizer.step()
    (record,) = session.observation().losses
    assert record.not_log_probabilities == share
    assert len(mismatch.check(session.observation())) == share


CTC = (torch.tensor([[1, 2]]), torch.tensor([12]), torch.tensor([2]))


def test_a_checkpoint_around_the_layers_counts_nothing_of_ours() -> None:
    def losses() -> list[float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 9), nn.Mish(), nn.Linear(9, 9), nn.Mish())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        found = []
        for _step in range(4):
            optimizer.zero_grad()
            out = checkpoint_sequential(model, 2, torch.randn(8, 4), use_reentrant=False)
            loss = out.square().mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    plain = losses()
    with Session() as session:
        assert losses() == plain
    seen = session.observation()
    assert (seen.steps, len(seen.models)) == (4, 1)
    assert not np.isnan(seen.models[0].trace.columns["output_grad_norm"][1:]).any()


def test_a_recurrence_inside_a_checkpoint() -> None:
    torch.manual_seed(0)
    layer, head = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 1)
    optimizer = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.1)
    with Session() as session:
        for _step in range(3):
            optimizer.zero_grad()
            out = checkpoint(lambda x: layer(x)[0], torch.randn(4, 6, 3), use_reentrant=False)
            head(out).square().mean().backward()
            optimizer.step()
    profiles = [
        norms for one in session.observation().models for norms in one.time_profiles.values()
    ]
    assert [norms.shape for norms in profiles] == [(6,)]


def test_embeddings_with_sparse_gradients() -> None:
    torch.manual_seed(0)
    table, head = nn.Embedding(50, 4, sparse=True), nn.Linear(4, 2)
    model = nn.Sequential(table, head)
    optimizers = torch.optim.SparseAdam(table.parameters()), torch.optim.SGD(head.parameters(), 0.1)
    norms = []
    with Session() as session:
        for _step in range(4):
            for optimizer in optimizers:
                optimizer.zero_grad()
            words = torch.randint(0, 50, (16,)).repeat(2)  # each twice
            F.cross_entropy(model(words), words % 2).backward()
            assert table.weight.grad is not None
            norms.append(float(table.weight.grad.to_dense().norm()))
            for optimizer in optimizers:
                optimizer.step()
    (seen,) = session.observation().models
    found = seen.trace.columns["weight_grad_norm"][:, 0, 0]
    np.testing.assert_allclose(found[np.isfinite(found)][:4], norms[: len(found)], rtol=1e-6)
    assert all(parameter.signal for parameter in seen.parameters)
