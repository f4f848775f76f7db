"""Every statistic against plain autograd: tensors kept by hand, sums in float64, no probe code."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nndiag.probe.probe import Probe
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.trace import Trace
from nndiag.training.initial import random_network
from nndiag.zoo import activations

LAYERS = (nn.Linear, nn.Conv2d)


def record(model: nn.Module, x: Tensor, y: Tensor, *, exact: bool = True) -> Trace:
    model.zero_grad(set_to_none=True)
    with Probe(model, exact=exact) as probe:
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        probe.step(loss)
    return probe.trace


class Reference:
    """Keeps every layer output and activation input and output of one pass."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor) -> None:
        self.z: dict[str, list[Tensor]] = {}
        self.a: dict[str, list[Tensor]] = {}
        self.pre: dict[str, list[Tensor]] = {}
        self.samples = len(x)
        latest = ""
        handles = []

        def layer(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, args: object, output: Tensor) -> None:
                nonlocal latest
                latest = name
                output.retain_grad()
                self.z.setdefault(name, []).append(output)

            return hook

        def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            self.pre.setdefault(latest, []).append(args[0].detach().clone())

        def after(module: nn.Module, args: object, output: Tensor) -> None:
            self.a.setdefault(latest, []).append(output.detach().clone())

        for name, module in model.named_modules():
            if isinstance(module, LAYERS):
                handles.append(module.register_forward_hook(layer(name)))
            elif type(module).__module__ == "torch.nn.modules.activation":
                handles.append(module.register_forward_pre_hook(before))
                handles.append(module.register_forward_hook(after))
        model.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x), y).backward()
        for handle in handles:
            handle.remove()
        self.weight_grads = {
            name: module.weight.grad.double().norm().item()
            for name, module in model.named_modules()
            if isinstance(module, LAYERS)
        }

    def output_grad_norm(self, name: str) -> float:
        """Root mean square over samples of B |dL/dz_b|, calls side by side."""
        total = torch.zeros(self.samples, dtype=torch.float64)
        for z in self.z[name]:
            assert z.grad is not None
            total += (self.samples * z.grad.double()).flatten(1).square().sum(1)
        return math.sqrt(total.mean().item())

    def activation(self, name: str) -> Tensor:
        kept = self.a.get(name) or [z.detach() for z in self.z[name]]
        return torch.cat([value.flatten() for value in kept]).double()


def compare(model: nn.Module, trace: Trace, x: Tensor, y: Tensor) -> Reference:
    """Assert that the common statistics of every layer agree to a relative 1e-5."""
    reference = Reference(model, x, y)
    assert {layer.name for layer in trace.layers} == set(reference.z)
    for place, layer in enumerate(trace.layers):

        def measured(statistic: str, place: int = place) -> float:
            return float(trace.at(statistic, place)[0])

        a = reference.activation(layer.name)
        close = {"rel": 1e-5, "abs": 1e-30}
        assert measured("output_grad_norm") == pytest.approx(
            reference.output_grad_norm(layer.name), **close
        )
        assert measured("weight_grad_norm") == pytest.approx(
            reference.weight_grads[layer.name], **close
        )
        weight = model.get_submodule(layer.name).weight
        assert isinstance(weight, Tensor)
        assert measured("weight_norm") == pytest.approx(weight.double().norm().item(), **close)
        assert measured("relative_grad") == pytest.approx(
            reference.weight_grads[layer.name] / weight.double().norm().item(), **close
        )
        std = a.std(unbiased=False).item()
        assert measured("activation_std") == pytest.approx(std, **close)
        assert measured("activation_mean") == pytest.approx(
            a.mean().item(), rel=1e-5, abs=1e-5 * std
        )
    return reference


def build(seed: int = 0, **fields: object) -> nn.Module:
    spec = NetworkSpec(**fields)  # type: ignore[arg-type]
    return random_network(spec, (1, 8, 8), seed)


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, 1, 8, 8, generator=generator)
    return x, torch.randint(10, (24,), generator=generator)


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": 6, "width": 32, "act": "sigmoid"},
        {"depth": 6, "width": 32, "act": "tanh", "init": "normal"},
        {"depth": 5, "width": 16, "act": "relu", "init": "he_normal", "norm": "batch"},
        {"depth": 5, "width": 16, "act": "gelu", "init": "torch", "norm": "layer"},
        {"depth": 5, "width": 16, "act": "elu", "init": "he_normal", "residual": True},
        {"depth": 1, "act": "linear"},
        {"net": "cnn", "depth": 4, "width": 6, "act": "relu", "init": "he_normal"},
        {"net": "cnn", "depth": 4, "width": 6, "act": "tanh", "norm": "batch"},
        {"net": "rnn", "depth": 1, "width": 12, "act": "tanh", "init": "orthogonal"},
        {"net": "rnn", "depth": 2, "width": 8, "act": "relu", "init": "he_normal"},
    ],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
@pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])
def test_our_networks(fields: dict[str, object], exact: bool, data: tuple[Tensor, Tensor]) -> None:
    model = build(**fields)
    compare(model, record(model, *data, exact=exact), *data)


def test_resnet18(data: tuple[Tensor, Tensor]) -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None, num_classes=10)
    x = torch.randn(4, 3, 64, 64)
    y = torch.tensor([1, 2, 3, 4])
    trace = record(model, x, y)
    # In-place relu modules, residual additions and shared modules: order of execution decides.
    compare(model, trace, x, y)
    assert len(trace.layers) == 21
    assert trace.layers[-1].name == "fc"
    assert trace.layers[-1].output


def test_slopes_decide_saturation_and_death(data: tuple[Tensor, Tensor]) -> None:
    model = build(depth=6, width=32, act="relu", init="he_normal")
    trace = record(model, *data)
    reference = Reference(model, *data)
    for place, layer in enumerate(trace.layers[:-1]):
        flat = reference.pre[layer.name][0] <= 0
        assert trace.at("off_fraction", place)[0] == pytest.approx(flat.double().mean().item())
        assert trace.at("saturated_fraction", place)[0] == pytest.approx(
            flat.double().mean().item()
        )
        dead = flat.all(dim=0).double().mean().item()
        assert trace.at("dead_fraction", place)[0] == pytest.approx(dead)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softsign", "elu", "selu", "hardtanh"])
def test_saturation_is_a_small_slope(name: str, data: tuple[Tensor, Tensor]) -> None:
    model = build(depth=4, width=64, act=name, init="normal:0.6")
    trace = record(model, *data)
    reference = Reference(model, *data)
    phi = activations.parse(name).build()
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64, requires_grad=True)
    (on_grid,) = torch.autograd.grad(phi(grid).sum(), grid)
    for place, layer in enumerate(trace.layers[:-1]):
        z = reference.pre[layer.name][0].double().requires_grad_()
        (slope,) = torch.autograd.grad(phi(z).sum(), z)
        share = (slope.abs() < 0.05 * on_grid.abs().max()).double().mean().item()
        assert share > 0.01
        assert trace.at("saturated_fraction", place)[0] == pytest.approx(share, abs=1e-3)


def test_time_steps_of_a_recurrent_net(data: tuple[Tensor, Tensor]) -> None:
    model = build(net="rnn", depth=1, width=12, act="tanh", init="orthogonal")
    trace = record(model, *data)
    reference = Reference(model, *data)
    by_step = trace.by_call["output_grad_norm"]["rnn1.recurrent"][0, 0]
    assert by_step.shape == (64,)
    for step, z in enumerate(reference.z["rnn1.recurrent"]):
        assert z.grad is not None
        expected = math.sqrt(reference.samples) * z.grad.double().norm().item()
        assert by_step[step] == pytest.approx(expected, rel=1e-5)


def test_update_ratio(data: tuple[Tensor, Tensor]) -> None:
    model = build(depth=3, width=16, act="relu", init="he_normal")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    x, y = data
    expected = []
    with Probe(model, optimizer) as probe:
        for _step in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            before = [p.detach().double().clone() for p in model.parameters() if p.ndim > 1]
            optimizer.step()
            after = [p.detach().double() for p in model.parameters() if p.ndim > 1]
            expected.append(
                [((b - a).norm() / a.norm()).item() for a, b in zip(before, after, strict=True)]
            )
    measured = probe.trace.columns["update_ratio"][:, :, 0]
    assert measured.tolist() == [pytest.approx(row, rel=1e-5) for row in expected]


def test_symmetric_units(data: tuple[Tensor, Tensor]) -> None:
    same = record(build(depth=4, width=8, act="tanh", init="constant:0.1"), *data)
    drawn = record(build(depth=4, width=8, act="tanh"), *data)
    assert same.columns["symmetric_fraction"][0, :3, 0].tolist() == [1.0, 1.0, 1.0]
    assert drawn.columns["symmetric_fraction"][0, :3, 0].tolist() == [1 / 8] * 3
