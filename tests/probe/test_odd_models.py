"""What a probe sees in models that are not a plain stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nndiag.probe.probe import Probe
from nndiag.schema.trace import Trace

OddModel = Callable[[str], Any]


def look(odd: Any, steps: int = 1) -> Trace:
    with Probe(odd.model, exact=True) as probe:
        for _step in range(steps):
            odd.model.zero_grad()
            loss = odd.loss()
            loss.backward()
            probe.step(loss)
    return probe.trace


def names(trace: Trace) -> list[str]:
    return [layer.name for layer in trace.layers]


def test_every_odd_model_has_finite_statistics(odd: Any) -> None:
    trace = look(odd, steps=2)
    assert trace.layers
    assert [layer.output for layer in trace.layers] == [False] * (len(trace.layers) - 1) + [True]
    assert (trace.columns["output_grad_norm"] > 0).all()
    assert np.isfinite(trace.loss).all()
    for name, column in trace.columns.items():
        there = ~trace.missing[name]
        assert np.isfinite(column[:, there]).all(), name
        assert (column[:, there] >= 0).all() or name == "activation_mean", name


LAYERS = {
    "shared": ["0.0", "3"],
    "own-layer": ["0", "2"],
    "single-layer": ["model"],
    "lazy": ["0", "2"],
    "parametrised": ["0", "2"],
    "lstm": ["cell", "head"],
    "lstm-cell": ["cell", "head"],
    "tied": ["embed", "mix", "head"],
    "bilinear": ["pair", "head"],
    "containers": ["left", "right", "head"],
    "elman": ["into", "across", "head"],
    "checkpoint": ["first", "inner.0", "head"],
    "transformer": [
        "embed",
        "body.layers.0.self_attn",
        "body.layers.0.linear1",
        "body.layers.0.linear2",
        "body.layers.1.self_attn",
        "body.layers.1.linear1",
        "body.layers.1.linear2",
        "head",
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, odd_model: OddModel) -> None:
    assert names(look(odd_model(name))) == LAYERS[name]


def test_shared_module_runs_several_times(odd_model: OddModel) -> None:
    trace = look(odd_model("shared"))
    assert trace.layers[0].calls == 3
    calls = trace.by_call["output_grad_norm"]["0.0"]
    assert calls.shape == (1, 1, 3)
    total = float(np.sqrt((calls**2).sum()))
    assert trace.at("output_grad_norm", 0)[0] == pytest.approx(total, rel=1e-6)


def test_frozen_layer_has_a_signal_and_no_weight_gradient(odd_model: OddModel) -> None:
    trace = look(odd_model("frozen"))
    assert not trace.layers[1].trainable
    assert not trace.has("weight_grad_norm", 1)
    assert not trace.has("relative_grad", 1)
    assert trace.has("output_grad_norm", 1)
    assert trace.has("weight_grad_norm", 0)


def test_calls_of_checkpointed_layers_count_once(odd_model: OddModel) -> None:
    for name in ("checkpoint", "checkpoint-reentrant"):
        trace = look(odd_model(name), steps=2)
        assert [layer.calls for layer in trace.layers] == [1, 1, 1]
        assert sorted(names(trace)) == sorted(LAYERS["checkpoint"])


def test_sequences_of_varying_length(odd_model: OddModel) -> None:
    odd = odd_model("elman")
    lengths = (3, 7, 5)
    with Probe(odd.model) as probe:
        for length in lengths:
            loss = F.cross_entropy(odd.model(odd.x[:, :length]), odd.y)
            loss.backward()
            probe.step(loss)
    table = probe.trace.by_call["output_grad_norm"]["across"]
    assert table.shape == (3, 1, 7)
    for row, length in enumerate(lengths):
        assert np.isfinite(table[row, 0, :length]).all()
        assert np.isnan(table[row, 0, length:]).all()


def test_activation_before_any_layer_belongs_to_none() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
    with Probe(model) as probe:
        for _step in range(3):
            model(torch.randn(8, 16)).pow(2).mean().backward()
            probe.step()
    trace = probe.trace
    assert trace.layers[0].activation == "ReLU()"
    assert trace.layers[1].activation is None
    assert not trace.has("saturated_fraction", 1)


def test_only_the_first_activation_on_a_layer_counts() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Tanh(), nn.Linear(8, 5))
    x = torch.randn(32, 16)
    with Probe(model, exact=True) as probe:
        model(x).pow(2).mean().backward()
        probe.step()
    trace = probe.trace
    z = model[0](x).detach()
    assert trace.layers[0].activation == "ReLU()"
    assert trace.at("off_fraction", 0)[0] == pytest.approx(float((z <= 0).double().mean()))
    assert trace.at("activation_mean", 0)[0] == pytest.approx(float(z.relu().mean()), rel=1e-5)


class WithTokens(nn.Module):
    """As a vision transformer: the root owns constants that are added to every sample."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 4, 16))
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(torch.tanh(self.body(x))[:, 0])


def test_a_container_with_position_constants_is_no_layer() -> None:
    torch.manual_seed(0)
    model = WithTokens()
    with Probe(model) as probe:
        model(torch.randn(6, 3, 16)).pow(2).mean().backward()
        probe.step()
    assert names(probe.trace) == ["body", "head"]
    assert probe.trace.layers[-1].output


def test_two_models_and_two_optimizers() -> None:
    """As in a GAN: each probe sees its own model's steps."""
    torch.manual_seed(0)
    generator, critic = (
        nn.Linear(4, 16),
        nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1)),
    )
    first = torch.optim.SGD(generator.parameters(), lr=0.01)
    second = torch.optim.SGD(critic.parameters(), lr=0.01)
    with Probe(generator, first) as one, Probe(critic, second) as two:
        for _step in range(3):
            second.zero_grad()
            critic(generator(torch.randn(8, 4)).detach()).mean().backward()
            second.step()
            first.zero_grad()
            (-critic(generator(torch.randn(8, 4))).mean()).backward()
            first.step()
    assert one.trace.steps.tolist() == two.trace.steps.tolist() == [0, 1, 2]
    assert np.isfinite(one.trace.columns["update_ratio"]).all()
    assert np.isfinite(two.trace.columns["update_ratio"]).all()
