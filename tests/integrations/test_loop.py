"""`nndiag.watch` in a loop of one's own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nndiag
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.trace import STATISTICS


def train(model: nn.Module, steps: int = 60, *, clear: bool = True) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _step in range(steps):
        x = torch.randn(32, 8)
        if clear:
            optimizer.zero_grad()
        F.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        optimizer.step()
    return optimizer


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


def test_findings_print_show_and_serialise() -> None:
    model = net()
    with nndiag.watch(model) as watch:
        train(model, clear=False)
    diagnosis = watch.diagnosis()
    assert diagnosis.findings[0].symptom == "missing-zero-grad"
    assert "missing-zero-grad" in str(diagnosis)
    assert "missing-zero-grad" in watch._repr_html_()
    assert "<script" not in watch._repr_html_()
    json.dumps(diagnosis.to_dict(), allow_nan=False)


def test_the_trace_as_containers() -> None:
    model = net()
    with nndiag.watch(model, statistics=["weight_grad_norm"]) as watch:
        train(model, 5)
    table = watch.trace.to_dict()
    assert table["layers"] == ["0", "2"]
    assert np.shape(table["weight_grad_norm"]) == (5, 2)
    pytest.importorskip("pandas")
    assert len(watch.trace.to_frame()) == 10


def test_only_the_optimizer_given_counts() -> None:
    model, other = net(), net()
    mine = torch.optim.SGD(model.parameters(), lr=0.1)
    with nndiag.watch(model, mine) as watch:
        train(other, 3)
        mine.zero_grad()
        F.cross_entropy(model(torch.randn(4, 8)), torch.zeros(4).long()).backward()
        mine.step()
    assert watch.observation.steps == 1


def test_steps_by_hand() -> None:
    model = net()
    with nndiag.watch(model) as watch:
        for _step in range(4):
            loss = F.cross_entropy(model(torch.randn(4, 8)), torch.zeros(4).long())
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.1 * parameter.grad
            watch.step(loss)
    assert watch.observation.steps == 4
    assert len(watch.trace.steps) == 4


def test_a_rate_that_is_not_known_is_no_bad_schedule() -> None:
    model = net()
    with nndiag.watch(model) as watch:
        for _step in range(60):
            loss = F.cross_entropy(model(torch.randn(4, 8)), torch.randint(0, 2, (4,)))
            model.zero_grad()
            loss.backward()
            watch.step(loss)
    assert "bad-schedule" not in {finding.symptom.value for finding in watch.diagnosis().findings}


@pytest.mark.parametrize("started", [True, False])
def test_a_step_by_hand_after_an_optimizer_counts_once(*, started: bool) -> None:
    torch.manual_seed(0)
    model, x = net(), torch.randn(64, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = nndiag.watch(model)
    if started:
        watch.start()
    losses = []
    for step in range(60):
        batch = x[torch.arange(step, step + 16) % 64]
        loss = F.cross_entropy(model(batch), (batch[:, 0] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss)
        losses.append(loss.item())
    watch.stop()
    seen = watch.observation
    assert seen.steps == seen.backwards == (60 if started else 59)
    (record,) = seen.optimizers
    assert record.loss.values.tolist() == pytest.approx(losses[-seen.steps :])
    assert watch.diagnosis().findings == []


def test_stop_and_start_again() -> None:
    model = net()
    watch = nndiag.watch(model).start()
    train(model, 3)
    watch.stop()
    train(model, 3)
    assert not any(module._forward_hooks for module in model.modules())
    watch.start()
    train(model, 2)
    watch.stop()
    assert watch.observation.steps == 5


def test_errors() -> None:
    with pytest.raises(RunError, match="no parameters"):
        nndiag.watch(nn.ReLU())
    with pytest.raises(UsageError, match="update_ratio"):
        nndiag.watch(net(), statistics=["update_ratios"]).start()
    with pytest.raises(UsageError, match=r"watch: got str; accepted: a torch\.nn\.Module"):
        nndiag.watch("net")
    with pytest.raises(UsageError, match="every: got 0; accepted: at least 1"):
        nndiag.watch(net(), every=0)


def test_the_name_costs_no_torch_until_it_is_used() -> None:
    code = "import nndiag, sys; nndiag.watch if False else None; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("statistic", STATISTICS)
def test_one_statistic_alone_is_diagnosed_and_shown(statistic: str) -> None:
    torch.manual_seed(0)
    hidden = [part for _layer in range(6) for part in (nn.Linear(8, 8), nn.Sigmoid())]
    model = nn.Sequential(*hidden, nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with nndiag.watch(model, optimizer, statistics=[statistic]) as watch:
        for _step in range(30):
            optimizer.zero_grad()
            scores = model(torch.randn(16, 8))
            nn.functional.cross_entropy(scores, torch.randint(3, (16,))).backward()
            optimizer.step()
    diagnosis = watch.diagnosis()
    assert diagnosis._repr_html_()
    vanishes = "vanishing-gradients" in json.dumps(diagnosis.to_dict())
    assert vanishes is (statistic == "output_grad_norm")
