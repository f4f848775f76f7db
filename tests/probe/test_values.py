"""Every statistic equals an independent plain-autograd computation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nndiag.probe.probe import Probe
from nndiag.schema.trace import Trace

Oracle = Callable[..., dict[str, dict[str, float]]]
Models = dict[str, Callable[..., nn.Module]]


def batch(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(*shape, generator=generator, dtype=dtype)
    return x, torch.randint(0, 5, (shape[0],), generator=generator)


def probed(model: nn.Module, run: Callable[[], Tensor], **options: Any) -> Trace:
    """Run one pass as a plain user would, with the probe on."""
    model.zero_grad()
    with Probe(model, **options) as probe:
        loss = run()
        loss.backward()
        probe.step(loss)
    return probe.trace


def assert_same(trace: Trace, expected: dict[str, dict[str, float]], rel: float = 1e-5) -> None:
    places = {layer.name: place for place, layer in enumerate(trace.layers)}
    assert list(places) == list(expected)
    for layer, values in expected.items():
        for name, value in values.items():
            assert trace.has(name, places[layer]), (layer, name)
            got = float(trace.at(name, places[layer])[0])
            assert got == pytest.approx(value, rel=rel, abs=1e-9), (layer, name)
        for name in set(trace.columns) - set(values) - {"symmetric_fraction"}:
            assert not trace.has(name, places[layer]), (layer, name)


def chain_of(depth: int) -> dict[str, str | None]:
    return {str(2 * i): str(2 * i + 1) if i < depth - 1 else None for i in range(depth)}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.Hardtanh, nn.ELU])
def test_mlp(
    act: type[nn.Module], dtype: torch.dtype, exact: bool, models: Models, oracle: Oracle
) -> None:
    torch.manual_seed(1)
    model = models["mlp"](act).to(dtype)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    x, y = batch(40, 16, dtype=dtype)

    def run() -> Tensor:
        return F.cross_entropy(model(x), y)

    expected = oracle(model, chain_of(6), run, 40)
    assert_same(probed(model, run, exact=exact), expected)


@pytest.mark.parametrize("inplace", [True, False])
def test_cnn_with_batch_norm_and_inplace_relu(
    inplace: bool, models: Models, oracle: Oracle
) -> None:
    torch.manual_seed(1)
    model = models["cnn"](inplace=inplace)
    model.drop.p = 0.0
    x, y = batch(10, 1, 9, 9)

    def run() -> Tensor:
        return F.cross_entropy(model(x), y)

    expected = oracle(model, {"conv1": "act1", "conv2": "act2", "head": None}, run, 10)
    assert_same(probed(model, run, exact=True), expected)


def test_unrolled_rnn_by_time_step(
    models: Models, oracle: Oracle, watch_tensors: Callable[..., Any]
) -> None:
    torch.manual_seed(1)
    model = models["elman"](scale=3.0)
    x, y = batch(8, 7, 4)

    def run() -> Tensor:
        return F.cross_entropy(model(x), y)

    chain = {"into": None, "across": "act", "head": None}
    expected = oracle(model, chain, run, 8)
    trace = probed(model, run, exact=True)
    assert_same(trace, expected)

    seen = watch_tensors(model, chain, run)["across"]
    norms = [math.sqrt(8) * float(z.grad.double().norm()) for z in seen.z]
    assert trace.layers[1].calls == 7
    np.testing.assert_allclose(trace.by_call["output_grad_norm"]["across"][0, 0], norms, rtol=1e-5)
    means = [float(a.double().mean()) for a in seen.a]
    np.testing.assert_allclose(trace.by_call["activation_mean"]["across"][0, 0], means, rtol=1e-5)
    stds = [float(a.double().std(correction=0)) for a in seen.a]
    np.testing.assert_allclose(trace.by_call["activation_std"]["across"][0, 0], stds, rtol=1e-5)
    shares = [float((1 - torch.tanh(z.double()) ** 2 < 0.05).double().mean()) for z in seen.before]
    np.testing.assert_allclose(
        trace.by_call["saturated_fraction"]["across"][0, 0], shares, atol=1e-9
    )


def resnet_chain(model: nn.Module) -> dict[str, str | None]:
    """conv1 of a block feeds its relu; the relu after the addition belongs to what ran last."""
    chain: dict[str, str | None] = {"conv1": "relu"}
    for stage in range(1, 5):
        for block in range(2):
            here = f"layer{stage}.{block}"
            chain[f"{here}.conv1"] = f"{here}.relu"
            shortcut = stage > 1 and block == 0
            chain[f"{here}.conv2"] = None if shortcut else f"{here}.relu"
            if shortcut:
                chain[f"{here}.downsample.0"] = f"{here}.relu"
    return chain | {"fc": None}


def test_torchvision_resnet18(oracle: Oracle) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(1)
    model = resnet18(num_classes=5)
    x, y = batch(4, 3, 64, 64)

    def run() -> Tensor:
        return F.cross_entropy(model(x), y)

    expected = oracle(model, resnet_chain(model), run, 4)
    assert_same(probed(model, run, exact=True), expected)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_update_ratio(make: type[torch.optim.Optimizer], models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    optimizer = make(model.parameters(), lr=0.01)  # type: ignore[call-arg]
    x, y = batch(40, 16)
    ratios = []
    with Probe(model, optimizer) as probe:
        for _step in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            before = [w.detach().double().clone() for w in model.parameters() if w.ndim == 2]
            optimizer.step()
            after = [w.detach().double() for w in model.parameters() if w.ndim == 2]
            ratios.append(
                [
                    float((new - old).norm() / old.norm())
                    for new, old in zip(after, before, strict=True)
                ]
            )
    trace = probe.trace
    assert trace.steps.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(trace.columns["update_ratio"][:, :, 0], ratios, rtol=1e-5)


def test_weight_norm_is_the_one_before_the_update(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x, y = batch(40, 16)
    with Probe(model, optimizer) as probe:
        F.cross_entropy(model(x), y).backward()
        norm = float(model[0].weight.detach().double().norm())
        gradient = float(model[0].weight.grad.double().norm())
        optimizer.step()
    trace = probe.trace
    assert trace.at("weight_norm", 0)[0] == pytest.approx(norm, rel=1e-6)
    assert trace.at("relative_grad", 0)[0] == pytest.approx(gradient / norm, rel=1e-6)


def test_gradient_before_clipping(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = batch(40, 16)
    with Probe(model, optimizer) as probe:
        F.cross_entropy(model(x), y).backward()
        norm = float(model[0].weight.grad.double().norm())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
    assert probe.trace.at("weight_grad_norm", 0)[0] == pytest.approx(norm, rel=1e-6)


def test_accumulated_gradients_equal_one_large_batch(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.ReLU)
    x, y = batch(40, 16)
    whole = probed(model, lambda: F.cross_entropy(model(x), y), exact=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with Probe(model, optimizer, exact=True) as probe:
        optimizer.zero_grad()
        for part in (slice(0, 20), slice(20, 40)):
            (F.cross_entropy(model(x[part]), y[part]) / 2).backward()
        optimizer.step()
    parts = probe.trace
    for name in whole.columns:
        np.testing.assert_allclose(
            parts.columns[name][0], whole.columns[name][0], rtol=1e-5, err_msg=name
        )


def test_loss_scaling_is_undone(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    x, y = batch(40, 16)
    plain = probed(model, lambda: F.cross_entropy(model(x), y), exact=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with Probe(model, optimizer, exact=True, scaler=scaler) as probe:
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()
    for name in ("output_grad_norm", "weight_grad_norm", "relative_grad"):
        np.testing.assert_allclose(
            probe.trace.columns[name][0], plain.columns[name][0], rtol=1e-5, err_msg=name
        )


def test_step_skipped_by_the_scaler_leaves_no_trace_in_the_next(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    x, y = batch(40, 16)
    plain = probed(model, lambda: F.cross_entropy(model(x), y), exact=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    with Probe(model, optimizer, exact=True, scaler=scaler) as probe:
        for factor in (math.inf, 1.0):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y) * factor).backward()
            scaler.step(optimizer)
            scaler.update()
    trace = probe.trace
    np.testing.assert_allclose(
        trace.columns["output_grad_norm"][-1], plain.columns["output_grad_norm"][0], rtol=1e-5
    )


def test_bfloat16_autocast(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    x, y = batch(40, 16)
    plain = probed(model, lambda: F.cross_entropy(model(x), y))

    def run() -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(model(x), y)

    half = probed(model, run)
    for name in ("output_grad_norm", "weight_grad_norm", "activation_std"):
        np.testing.assert_allclose(half.columns[name], plain.columns[name], rtol=0.1, err_msg=name)


def test_closure_counts_the_first_evaluation(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    x, y = batch(40, 16)
    plain = probed(model, lambda: F.cross_entropy(model(x), y), exact=True)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with Probe(model, optimizer, exact=True) as probe:
        optimizer.step(closure)
    trace = probe.trace
    for name in plain.columns:
        np.testing.assert_allclose(
            trace.columns[name][0], plain.columns[name][0], rtol=1e-5, err_msg=name
        )
    assert trace.has("update_ratio", 0)
    assert trace.at("update_ratio", 0)[0] > 0


def test_symmetric_units(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    x, y = batch(40, 16)
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(0.1)
    trace = probed(model, lambda: F.cross_entropy(model(x), y), exact=True)
    assert trace.at("symmetric_fraction", 1)[0] == 1.0
    torch.manual_seed(1)
    model = models["mlp"](nn.Tanh)
    trace = probed(model, lambda: F.cross_entropy(model(x), y), exact=True)
    assert trace.at("symmetric_fraction", 1)[0] == pytest.approx(1 / 32)


@pytest.mark.parametrize("exact", [True, False])
def test_sigmoid_of_depth_40_does_not_underflow(exact: bool, models: Models) -> None:
    """A float32 norm is 0 from about 1e-23 on; these gradients go down to 1e-33."""
    torch.manual_seed(0)
    model = models["mlp"](nn.Sigmoid, depth=40, width=64)
    x, y = batch(64, 16)
    trace = probed(model, lambda: F.cross_entropy(model(x), y), exact=exact)
    norms = trace.columns["output_grad_norm"][0, :, 0]
    assert (norms > 0).all()
    assert norms[0] < 1e-28
    slope = np.diff(np.log10(norms[2:37]))
    np.testing.assert_allclose(slope, slope.mean(), atol=0.1)
    assert (norms > trace.floor).all()


def test_float64_comes_back_for_layers_that_vanish_during_training(models: Models) -> None:
    torch.manual_seed(0)
    model = models["mlp"](nn.Sigmoid, depth=40, width=64)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x, y = batch(64, 16)
    with Probe(model, optimizer) as probe:
        for _step in range(40):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    norms = probe.trace.columns["output_grad_norm"][:, :, 0]
    assert len(norms) == 40
    assert (norms > 0).all()


def test_dead_units_are_dead_in_the_whole_window(models: Models) -> None:
    torch.manual_seed(1)
    model = models["mlp"](nn.ReLU)
    with torch.no_grad():
        model[0].bias[:8] = -1e3  # off for every input
        model[0].weight[8] = 0
        model[0].weight[8, 0] = 1e3  # on for one of the two batches below
        model[0].bias[8] = 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with Probe(model, optimizer) as probe:
        for sign in (-1.0, 1.0, -1.0):
            x, y = batch(40, 16)
            x[:, 0] = sign * x[:, 0].abs().clamp_min(0.1)
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    dead = probe.trace.columns["dead_fraction"][:, 0, 0]
    assert dead[0] >= 9 / 32
    assert dead[1] == pytest.approx(dead[0] - 1 / 32)
    assert dead[2] == dead[1]
