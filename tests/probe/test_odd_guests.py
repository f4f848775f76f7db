"""The probe is a guest: it changes nothing, leaves nothing, waits for nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from nndiag.probe import statistics
from nndiag.probe.probe import Probe
from nndiag.schema.errors import NndiagError

OddModel = Callable[[str], Any]


def train(odd: Any, steps: int, probe: Probe | None = None) -> tuple[list[Tensor], list[Tensor]]:
    optimizer = torch.optim.SGD(odd.model.parameters(), lr=0.05, momentum=0.9)
    losses, gradients = [], []
    for _step in range(steps):
        optimizer.zero_grad()
        loss = odd.loss()
        loss.backward()
        losses.append(loss.detach().clone())
        gradients += [p.grad.clone() for p in odd.model.parameters() if p.grad is not None]
        optimizer.step()
        if probe is not None:
            probe.step(loss)
    return losses, gradients


@pytest.mark.parametrize("exact", [True, False])
def test_bit_identical(odd: Any, odd_model: OddModel, exact: bool) -> None:
    if odd.name == "lazy":
        odd.loss()
    twin = copy.deepcopy(odd)
    torch.manual_seed(7)
    plain_losses, plain_gradients = train(twin, 5)
    plain_state = torch.get_rng_state()
    torch.manual_seed(7)
    with Probe(odd.model, exact=exact) as probe:
        losses, gradients = train(odd, 5, probe)
        probe.trace  # noqa: B018  (reading must not disturb either)
    assert torch.equal(torch.get_rng_state(), plain_state)
    assert all(torch.equal(a, b) for a, b in zip(losses, plain_losses, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(gradients, plain_gradients, strict=True))
    for one, other in zip(odd.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(one, other)


def fingerprint(model: nn.Module) -> list[Any]:
    """Everything that a guest could leave behind."""
    marks: list[Any] = []
    for name, module in model.named_modules():
        hooks = {
            key: len(value)
            for key, value in vars(module).items()
            if key.endswith(("hooks", "with_kwargs")) or "always_called" in key
        }
        marks.append((name, sorted(vars(module)), hooks, module.training, type(module)))
    for parameter in model.parameters():
        marks.append((len(parameter._backward_hooks or {}), sorted(vars(parameter))))
        marks.append(len(parameter._post_accumulate_grad_hooks or {}))
    return marks


def test_all_gone_on_exit(odd: Any) -> None:
    odd.loss().backward()
    before = fingerprint(odd.model)
    with Probe(odd.model) as probe:
        train(odd, 2, probe)
    odd.loss().backward()
    after = fingerprint(odd.model)
    for one, other in zip(before, after, strict=True):
        assert one == other


def test_all_gone_after_an_exception(odd_model: OddModel) -> None:
    odd = odd_model("cnn")
    optimizer = torch.optim.SGD(odd.model.parameters(), lr=0.1)
    train(odd, 1)
    before = fingerprint(odd.model)
    with pytest.raises(RuntimeError, match="mat1 and mat2"), Probe(odd.model, optimizer):
        odd.model.head(torch.zeros(2, 3))
    assert fingerprint(odd.model) == before
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_training_mode_is_kept(odd_model: OddModel) -> None:
    odd = odd_model("cnn")
    odd.model.eval()
    with Probe(odd.model) as probe:
        train(odd, 1, probe)
    assert not any(module.training for module in odd.model.modules())


class NoWaiting(TorchDispatchMode):
    """Raises where a value would travel from the device to Python."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if any(word in name for word in ("_local_scalar_dense", "nonzero.", "_to_copy.device")):
            raise AssertionError(f"{name} waits for the device")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("exact", [True, False])
def test_no_host_sync_inside_a_step(odd: Any, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "all_on_host", lambda flags: False)  # as on a device
    with Probe(odd.model, exact=exact) as probe:
        train(odd, 1, probe)  # the first pass learns about the activations
        for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):

            def refuse(*_args: Any, name: str = name, **_kwargs: Any) -> None:
                raise AssertionError(f"Tensor.{name} waits for the device")

            monkeypatch.setattr(Tensor, name, refuse)
        for _step in range(3):  # fewer than the steps of a transfer
            with NoWaiting():
                loss = odd.loss()
                loss.backward()
                probe.step(loss)
        monkeypatch.undo()
    assert len(probe.trace.steps) == 4


def test_memory_does_not_grow(odd_model: OddModel) -> None:
    odd = odd_model("mlp")
    with Probe(odd.model, capacity=16) as probe:
        train(odd, 300, probe)
    trace = probe.trace
    assert len(trace.steps) <= 2 * 16
    assert trace.steps[0] == 0
    assert trace.steps[-1] == 299
    assert (np.diff(trace.steps) > 0).all()


def test_thinning_keeps_the_extremes(odd_model: OddModel) -> None:
    odd = odd_model("mlp")
    with Probe(odd.model, capacity=16) as probe:
        for step in range(200):
            odd.model.zero_grad()
            loss = odd.loss() * (1000.0 if step == 77 else float("nan") if step == 133 else 1.0)
            loss.backward()
            probe.step(loss)
    trace = probe.trace
    assert 77 in trace.steps
    assert 133 in trace.steps
    row = trace.steps.tolist().index(133)
    assert np.isnan(trace.at("output_grad_norm", 0, row)).all()


def test_every(odd_model: OddModel) -> None:
    odd = odd_model("mlp")
    with Probe(odd.model, every=3) as probe:
        train(odd, 10, probe)
    assert probe.trace.steps.tolist() == [0, 3, 6, 9]


def test_evaluation_passes_are_ignored(odd_model: OddModel) -> None:
    odd = odd_model("mlp")
    odd.model.zero_grad()
    with Probe(odd.model, exact=True) as probe:
        loss = odd.loss()
        loss.backward()
        probe.step(loss)
    alone = probe.trace

    odd.model.zero_grad()
    with Probe(odd.model, exact=True) as probe:
        with torch.no_grad():
            odd.model(10 * odd.x)
        odd.model(10 * odd.x)  # gradients on, but nothing comes back through it
        loss = odd.loss()
        with torch.no_grad():
            odd.model(10 * odd.x)
        loss.backward()
        probe.step(loss)
    for name, column in alone.columns.items():
        np.testing.assert_allclose(probe.trace.columns[name], column, err_msg=name)


def test_model_without_layers() -> None:
    with pytest.raises(NndiagError) as error:
        Probe(nn.Sequential(nn.ReLU(), nn.Flatten()))
    assert str(error.value) == ("the model Sequential has no layer with a weight matrix to look at")


def test_compiled_model_says_what_is_missing(odd_model: OddModel) -> None:
    odd = odd_model("mlp")
    plain = copy.deepcopy(odd)
    compiled = torch.compile(odd.model, backend="eager")
    with Probe(compiled) as probe:  # type: ignore[arg-type]
        for _step in range(2):
            loss = F.cross_entropy(compiled(odd.x), odd.y)
            loss.backward()
            probe.step(loss)
    assert probe.notes
    plain.loss().backward()
    norm = float(plain.model[0].weight.grad.double().norm())
    assert probe.trace.at("weight_grad_norm", 0, 0)[0] == pytest.approx(norm, rel=1e-5)


def test_latest_is_the_newest_row_on_the_host(odd_model: OddModel) -> None:
    odd = odd_model("mlp")
    with Probe(odd.model) as probe:
        assert probe.latest()[0] == -1
        train(odd, 40, probe)
        step, loss, norms = probe.latest()
        assert 40 - 17 <= step < 40
        assert np.isfinite(loss)
        assert len(norms) == 6
