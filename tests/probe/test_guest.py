"""The probe is a guest in any model: nothing changes, nothing stays, odd models work."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.overrides import TorchFunctionMode

from nndiag.probe import statistics
from nndiag.probe.probe import Probe
from nndiag.schema.errors import RunError


def mlp(*, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    blocks: list[nn.Module] = []
    for fan_in, fan_out in ((6, 16), (16, 16)):
        blocks += [nn.Linear(fan_in, fan_out)]
        blocks += [nn.BatchNorm1d(fan_out)] if norm else []
        blocks += [nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*blocks, nn.Linear(16, 3))


def batches(count: int, size: int = 12) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    for _batch in range(count):
        yield (
            torch.randn(size, 6, generator=generator),
            torch.randint(3, (size,), generator=generator),
        )


def train(model: nn.Module, steps: int, *, probed: bool) -> tuple[list[float], Probe | None]:
    torch.manual_seed(7)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses: list[float] = []

    def loop() -> None:
        for x, y in batches(steps):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    if not probed:
        loop()
        return losses, None
    with Probe(model, optimizer) as probe:
        loop()
    return losses, probe


def hooks_of(model: nn.Module) -> list[int]:
    return [
        len(value)
        for module in model.modules()
        for name, value in sorted(module.__dict__.items())
        if name.endswith("_hooks")
    ]


def test_training_is_bit_identical() -> None:
    plain, watched = mlp(norm=True), mlp(norm=True)
    plain_losses, _none = train(plain, 8, probed=False)
    state = torch.get_rng_state()
    losses, probe = train(watched, 8, probed=True)
    assert losses == plain_losses
    assert torch.equal(state, torch.get_rng_state())
    for one, two in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    assert probe is not None
    assert len(probe.trace.steps) == 8


def test_all_hooks_are_removed() -> None:
    model = mlp()
    before = hooks_of(model)
    train(model, 2, probed=True)
    assert hooks_of(model) == before
    assert all(not getattr(p, "_post_accumulate_grad_hooks", None) for p in model.parameters())


def test_hooks_are_removed_after_an_exception() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    hooks = len(optimizer._optimizer_step_post_hooks)
    with pytest.raises(RuntimeError, match="shapes"), Probe(model, optimizer):
        model(torch.randn(2, 5))
    assert sum(hooks_of(model)) == 0
    assert len(optimizer._optimizer_step_post_hooks) == hooks


class NoSync(TorchFunctionMode):
    """Fails on every call that waits for a device."""

    WAITS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__")

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        assert getattr(func, "__name__", "") not in self.WAITS, func
        return func(*args, **(kwargs or {}))


def test_no_wait_for_the_device_inside_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not statistics.all_on_host(torch.ones(3, device="meta") > 0)  # a wait: it does not look
    monkeypatch.setattr(statistics, "all_on_host", lambda flags: False)  # as on a device
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, foreach=False)
    with Probe(model, optimizer) as probe:
        for number, (x, y) in enumerate(batches(12)):
            if number < 2:  # the first step learns the model
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                continue
            with NoSync():
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                probe.note_loss(loss)
                optimizer.step()
    assert len(probe.trace.steps) == 12


def test_gradient_accumulation_equals_the_joint_batch() -> None:
    model = mlp().eval()  # without dropout
    ((x, y),) = batches(1, size=32)
    with Probe(model, exact=True) as joint:
        nn.functional.cross_entropy(model(x), y).backward()
        joint.step()
    model.zero_grad()
    with Probe(model, exact=True) as parts:
        for part_x, part_y in zip(x.split(8), y.split(8), strict=True):
            (nn.functional.cross_entropy(model(part_x), part_y) / 4).backward()
        parts.step()
    for name, column in joint.trace.columns.items():
        assert parts.trace.columns[name][0, :, 0] == pytest.approx(
            column[0, :, 0], rel=1e-5, nan_ok=True
        ), name


def test_passes_without_backward_do_not_count() -> None:
    model = mlp().eval()
    ((x, y),) = batches(1)
    with Probe(model, exact=True) as alone:
        nn.functional.cross_entropy(model(x), y).backward()
        alone.step()
    model.zero_grad()
    with Probe(model, exact=True) as crowded:
        with torch.no_grad():
            model(100 * x)
        model(50 * x)  # with gradients, but never used
        nn.functional.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            model(100 * x)
        crowded.step()
    for name, column in alone.trace.columns.items():
        np.testing.assert_allclose(crowded.trace.columns[name], column, rtol=1e-6)


def test_frozen_layers_have_no_weight_gradient() -> None:
    model = mlp()
    model[0].requires_grad_(False)
    _losses, probe = train(model, 2, probed=True)
    assert probe is not None
    trace = probe.trace
    assert not trace.has("weight_grad_norm", 0)
    assert trace.has("weight_grad_norm", 1)
    assert not trace.layers[0].trainable


def test_a_shared_layer_counts_all_its_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.shared(torch.tanh(self.shared(x))))

    model = Twice()
    ((x, y),) = batches(1)
    with Probe(model, exact=True) as probe:
        nn.functional.cross_entropy(model(x), y).backward()
        probe.step()
    trace = probe.trace
    assert trace.layers[0].calls == 2
    by_call = trace.by_call["output_grad_norm"]["shared"][0, 0]
    assert by_call.shape == (2,)
    assert trace.at("output_grad_norm", 0)[0] == pytest.approx(math.hypot(*by_call))


def test_bfloat16_autocast() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Probe(model, optimizer) as probe:
        for x, y in batches(3):
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
    norms = probe.trace.columns["output_grad_norm"]
    assert np.isfinite(norms).all()
    assert (norms > 0).all()


def test_the_loss_scale_is_divided_out() -> None:
    class Scaler:
        _scale = torch.tensor(1024.0)

    ((x, y),) = batches(1)
    model = mlp().eval()
    with Probe(model, exact=True) as plain:
        nn.functional.cross_entropy(model(x), y).backward()
        plain.step()
    model.zero_grad()
    with Probe(model, exact=True, scaler=Scaler()) as scaled:  # type: ignore[arg-type]
        (1024 * nn.functional.cross_entropy(model(x), y)).backward()
        scaled.step()
    for name in ("output_grad_norm", "weight_grad_norm", "relative_grad"):
        np.testing.assert_allclose(scaled.trace.columns[name], plain.trace.columns[name], rtol=1e-6)


def test_lbfgs_evaluates_several_times() -> None:
    model = mlp().eval()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    ((x, y),) = batches(1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with Probe(model, optimizer) as probe:
        for _step in range(2):
            optimizer.step(closure)  # type: ignore[arg-type]
    trace = probe.trace
    assert len(trace.steps) == 2
    assert np.isfinite(trace.columns["update_ratio"]).all()


def test_a_compiled_model_works_or_says_so() -> None:
    model = mlp().eval()
    compiled = torch.compile(model, backend="eager")
    ((x, y),) = batches(1)
    with Probe(compiled) as probe:  # type: ignore[arg-type]
        nn.functional.cross_entropy(compiled(x), y).backward()
        probe.step()
    assert "compiled" in probe.notes[0]
    assert probe.trace.has("weight_grad_norm", 0)


class Outputs(nn.Module):
    """Dictionaries, keyword arguments, a cell with a tuple, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.cell = nn.LSTMCell(8, 8)
        self.tied = nn.Linear(8, 11, bias=False)
        self.tied.weight = self.embed.weight

    def forward(self, *, tokens: Tensor) -> dict[str, Tensor]:
        state = None
        for step in range(tokens.shape[1]):
            state = self.cell(self.embed(tokens[:, step]), state)
        assert state is not None
        return {"logits": self.tied(state[0])}


def test_tuples_dictionaries_and_tied_weights() -> None:
    torch.manual_seed(0)
    model = Outputs()
    tokens = torch.randint(11, (5, 7))
    with Probe(model, exact=True) as probe:
        nn.functional.cross_entropy(model(tokens=tokens)["logits"], tokens[:, 0]).backward()
        probe.step()
    trace = probe.trace
    assert [layer.name for layer in trace.layers] == ["embed", "cell", "tied"]
    assert trace.layers[1].calls == 7
    assert trace.by_call["output_grad_norm"]["cell"].shape == (1, 1, 7)
    weight = model.embed.weight.grad
    assert weight is not None
    for place in (0, 2):
        assert trace.at("weight_grad_norm", place)[0] == pytest.approx(weight.norm().item())


def test_parametrised_and_lazy_layers() -> None:
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(6, 8)), nn.Tanh(), nn.LazyLinear(3)
    )
    ((x, y),) = batches(1)
    model(x)  # materialises the lazy layer
    with Probe(model) as probe:
        nn.functional.cross_entropy(model(x), y).backward()
        probe.step()
    assert [layer.name for layer in probe.trace.layers] == ["0", "2"]
    assert probe.trace.has("weight_grad_norm", 0)


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(RunError) as raised:
        Probe(nn.Sequential(nn.ReLU()))
    assert str(raised.value) == (
        "the model Sequential has no layer with a weight matrix to look at"
    )


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).float() + 0 * x


@pytest.mark.parametrize(
    ("activation", "saturated"),
    [(Swish(), True), (Step(), False), (nn.PReLU(16), False), (nn.Threshold(0.1, 0.0), True)],
    ids=["custom", "step", "prelu-by-channel", "threshold"],
)
def test_any_activation(activation: nn.Module, saturated: bool) -> None:
    model = nn.Sequential(nn.Linear(6, 16), copy.deepcopy(activation), nn.Linear(16, 3))
    ((x, y),) = batches(1)
    with Probe(model, exact=True) as probe:
        nn.functional.cross_entropy(model(x), y).backward()
        probe.step()
    assert probe.trace.layers[0].activation is not None
    assert probe.trace.has("saturated_fraction", 0) is saturated


def test_an_underflowed_gradient_is_bounded() -> None:
    torch.manual_seed(0)
    blocks = [layer for _l in range(60) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(nn.Linear(6, 16), nn.Sigmoid(), *blocks, nn.Linear(16, 3))
    double = copy.deepcopy(model).double()
    ((x, y),) = batches(1)
    with Probe(model, exact=True) as probe:
        nn.functional.cross_entropy(model(x), y).backward()
        probe.step()
    with Probe(double, exact=True) as true:
        nn.functional.cross_entropy(double(x.double()), y).backward()
        true.step()
    measured = probe.trace.columns["output_grad_norm"][0, :, 0]
    expected = true.trace.columns["output_grad_norm"][0, :, 0]
    gone = measured == 0
    assert gone.any()
    assert (expected[gone] <= probe.trace.floor[gone]).all()
    small = (measured > 1e-36) & (measured < 1e-24)  # a float32 norm is 0 here
    assert small.any()
    assert measured[small] == pytest.approx(expected[small], rel=1e-3)


def test_memory_is_bounded_and_extremes_stay() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with Probe(model, optimizer, capacity=20) as probe:
        for number, (x, y) in enumerate(batches(150)):
            optimizer.zero_grad()
            factor = 1e6 if number == 77 else 1.0
            loss = factor * nn.functional.cross_entropy(model(x), y)
            loss.backward()
            probe.note_loss(loss)
            if number == 77:
                for p in model.parameters():
                    p.grad = torch.zeros_like(p)
            optimizer.step()
    steps = probe.trace.steps.tolist()
    assert len(steps) <= 24
    assert {0, 77, 149} <= set(steps)


def test_every_second_step() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with Probe(model, optimizer, every=2) as probe:
        for x, y in batches(7):
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert probe.trace.steps.tolist() == [0, 2, 4, 6]


def test_sampled_fractions_are_within_a_point() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 512), nn.Tanh(), nn.Linear(512, 3))
    nn.init.normal_(model[0].weight, std=0.25)
    x, y = torch.randn(512, 64), torch.randint(3, (512,))
    traces = []
    for exact in (True, False):
        with Probe(model, exact=exact) as probe:
            nn.functional.cross_entropy(model(x), y).backward()
            probe.step()
        traces.append(probe.trace)
        model.zero_grad()
    shares = [float(trace.at("saturated_fraction", 0)[0]) for trace in traces]
    assert shares[0] != shares[1]
    assert abs(shares[0] - shares[1]) < 0.01
