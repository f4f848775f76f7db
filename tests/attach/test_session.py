"""The recorder sees what a plain loop computes, and changes none of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nndiag.attach.session import Enough, Session
from nndiag.diagnosis import learning
from nndiag.schema.observation import Observation


def batches(count: int, size: int = 16) -> list[tuple[torch.Tensor, torch.Tensor]]:
    g = torch.Generator().manual_seed(5)
    found = []
    for _step in range(count):
        y = torch.randint(3, (size,), generator=g)
        found.append((torch.randn(size, 6, generator=g) + y[:, None], y))
    return found


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 3)
    )


def loop(model: nn.Module, steps: int, make: Callable[..., torch.optim.Optimizer]) -> list[float]:
    torch.manual_seed(1)
    optimizer = make(model.parameters())
    losses = []
    for x, y in batches(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses


def adam(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)  # type: ignore[arg-type]


def test_training_is_bit_identical_with_and_without() -> None:
    model = net()
    twin = copy.deepcopy(model)
    plain = loop(twin, 20, adam)
    with Session() as session:
        watched = loop(model, 20, adam)
    assert watched == plain
    for name, value in twin.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    seen = session.observation()
    np.testing.assert_allclose(seen.optimizers[0].loss.values, plain, rtol=1e-6)
    assert seen.optimizers[0].loss.steps.tolist() == list(range(1, 21))


def test_everything_of_torch_is_put_back() -> None:
    owners = (
        *((torch.autograd, "backward"), (F, "cross_entropy"), (torch.Tensor, "argmax")),
        *((torch.Tensor, "__eq__"), (torch.optim.Optimizer, "zero_grad"), (torch, "max")),
        *((nn.utils, "clip_grad_norm_"), (nn.Module, "load_state_dict")),
        *((torch.optim.lr_scheduler.StepLR, "step"), (torch.amp.GradScaler, "scale")),
    )
    before = [getattr(owner, name) for owner, name in owners if hasattr(owner, name)]
    with pytest.raises(RuntimeError, match="mat1 and mat2"), Session():
        nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3))(torch.randn(4, 2))
    assert [getattr(owner, name) for owner, name in owners if hasattr(owner, name)] == before
    assert "argmax" not in vars(torch.Tensor)
    model = net()
    loop(model, 1, adam)
    assert not any(module._forward_hooks for module in model.modules())


def test_gradient_and_update_norms_are_those_of_autograd() -> None:
    model = net()
    with Session() as session:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        expected, ratios = [], []
        for x, y in batches(5):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            weights = [model[0].weight, model[4].weight]
            expected.append(sum(float(w.grad.double().norm() ** 2) for w in weights) ** 0.5)
            old = [w.detach().clone() for w in weights]
            optimizer.step()
            pairs = zip(weights, old, strict=True)
            moved = sum(float((w.detach() - o).double().norm() ** 2) for w, o in pairs)
            ratios.append((moved / sum(float(o.double().norm() ** 2) for o in old)) ** 0.5)
    record = session.observation().optimizers[0]
    np.testing.assert_allclose(record.gradient_norm.values, expected, rtol=1e-5)
    np.testing.assert_allclose(record.update_ratio.values, ratios, rtol=1e-4)


def run(work: Callable[[], None]) -> Observation:
    torch.manual_seed(0)
    with Session() as session:
        work()
    return session.observation()


@pytest.mark.parametrize(
    ("clear", "leftover"),
    [
        ("set_to_none", 0.0),
        ("zero", 0.0),
        ("by hand", 0.0),
        ("module", 0.0),
        ("never", 1.0),
        ("in closure", 0.0),
    ],
)
def test_leftover_gradients(clear: str, leftover: float) -> None:
    def work() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for x, y in batches(6):
            if clear == "in closure":

                def closure(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
                    return loss

                optimizer.step(closure)
                continue
            if clear in ("set_to_none", "zero"):
                optimizer.zero_grad(set_to_none=clear == "set_to_none")
            elif clear == "module":
                model.zero_grad()
            elif clear == "by hand":
                for p in model.parameters():
                    if p.grad is not None:
                        p.grad.zero_()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert run(work).optimizers[0].leftover == leftover


def test_accumulation_is_no_leftover_and_counts_its_backward_passes() -> None:
    def work() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for place, (x, y) in enumerate(batches(12)):
            (F.cross_entropy(model(x), y) / 3).backward()
            if place % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()

    seen = run(work)
    assert (seen.steps, seen.backwards) == (4, 12)
    assert seen.optimizers[0].leftover == 0.0
    assert seen.models[0].training_passes == 12


def test_rates_schedulers_and_clipping() -> None:
    def work() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
        for place, (x, y) in enumerate(batches(6)):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e-6 if place < 3 else 1e6)
            optimizer.step()
            scheduler.step()

    record = run(work).optimizers[0]
    assert record.lr.values.tolist() == [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    assert record.schedulers == {"StepLR": 6}
    assert record.clip is not None
    assert (record.clip.kind, record.clip.calls, record.clip.share) == ("norm", 6, 0.5)


def test_labels_and_accuracy_are_counted_as_by_hand() -> None:
    model = net()
    model.eval()
    counts, right = np.zeros(3), []

    def work() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for x, y in batches(4):
            optimizer.zero_grad()
            scores = model(x)
            F.cross_entropy(scores, y).backward()
            optimizer.step()
            counts[:] += np.bincount(y.numpy(), minlength=3)
            right.append(float((scores.argmax(1) == y).float().mean()))

    seen = run(work)
    assert seen.labels is not None
    assert seen.labels.counts.tolist() == counts.tolist()
    np.testing.assert_allclose(seen.accuracy.values, right, rtol=1e-6)
    assert seen.models[0].training_passes_in_eval == 4


@pytest.mark.parametrize("how", ["argmax", "max", "loss"])
def test_evaluations_on_seen_and_unseen_samples_stay_apart(how: str) -> None:
    truth: list[float] = []

    def work() -> None:
        model, data = net(), batches(6)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for x, y in data[:4]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for part in (data[:4], data[4:]):
                right = total = 0
                for x, y in part:
                    scores = model(x)
                    if how == "loss":
                        F.cross_entropy(scores, y)
                        right += int((scores.topk(1).indices[:, 0] == y).sum())
                    else:
                        found = scores.argmax(1) if how == "argmax" else scores.max(1)[1]
                        right += int((found == y).sum())
                    total += len(y)
                truth.append(right / total)

    on_training, on_test = sorted(run(work).evaluations, key=lambda e: -e.seen)
    assert (on_training.seen, on_test.seen) == (1.0, 0.0)
    assert (on_training.samples, on_test.samples) == (64, 32)
    assert [on_training.accuracy, on_test.accuracy] == pytest.approx(truth)
    assert np.isnan(on_test.loss) == (how != "loss")


def test_modes_of_evaluation() -> None:
    def work() -> None:
        model = net()
        loop(model, 3, adam)
        with torch.no_grad():
            model(batches(1)[0][0])
            model.eval()
            model(batches(1)[0][0])

    record = run(work).models[0]
    assert (record.evaluation_passes, record.evaluation_passes_in_training) == (2, 1)
    assert (record.batch_norms, record.dropouts) == (("1",), ("3",))


def test_parameters_that_cannot_learn() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
            self.unused = nn.Linear(2, 2)
            self.hidden = [nn.Linear(6, 6)]  # no ModuleList

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.hidden[0](self.body(self.frozen(x)).detach()))

    def work() -> None:
        model = Odd()
        model.frozen.requires_grad_(False)
        optimizer = torch.optim.SGD([*model.body.parameters(), *model.head.parameters()], lr=0.1)
        for x, y in batches(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    records = {record.name: record for record in run(work).models[0].parameters}
    assert not records["frozen.weight"].trainable
    assert records["body.weight"].held
    assert not records["body.weight"].gradient
    assert records["head.weight"].signal
    assert not records["unused.weight"].used
    stray = [record for record in records.values() if not record.registered]
    assert len(stray) == 2
    assert not any(record.held for record in stray)


def test_two_models_and_optimizers_in_turn() -> None:
    def work() -> None:
        maker, judge = nn.Linear(4, 6), net()
        one = torch.optim.SGD(maker.parameters(), lr=0.1)
        two = torch.optim.SGD(judge.parameters(), lr=0.1)
        for x, y in batches(5):
            two.zero_grad()
            F.cross_entropy(judge(x), y).backward()
            two.step()
            one.zero_grad()
            (-F.cross_entropy(judge(maker(torch.randn(16, 4))), y)).backward()
            one.step()

    seen = run(work)
    assert [len(model.trace.steps) for model in seen.models] == [5, 5]
    assert [optimizer.leftover for optimizer in seen.optimizers] == [0.0, 0.0]
    assert seen.optimizers[0].loss.values.min() > 0 > seen.optimizers[1].loss.values.max()
    assert seen.losses[0].negated


def test_forward_called_without_the_module_still_finds_the_model() -> None:
    def work() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for x, y in batches(3):
            optimizer.zero_grad()
            F.cross_entropy(model.forward(x), y).backward()
            optimizer.step()

    (record,) = run(work).models
    assert record.kind == "Sequential"
    assert [layer.name for layer in record.trace.layers] == ["0", "4"]
    assert record.training_passes == 3


def test_lbfgs_counts_its_steps() -> None:
    def work() -> None:
        model = nn.Linear(6, 3)
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
        x, y = batches(1)[0]

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        for _step in range(4):
            optimizer.step(closure)

    seen = run(work)
    assert seen.steps == 4
    assert seen.backwards > 4
    assert (seen.optimizers[0].unbacked, seen.optimizers[0].empty) == (0, 0)


def test_stops_after_the_steps_asked_for() -> None:
    with pytest.raises(Enough), Session(steps=3) as session:
        loop(net(), 10, adam)
    assert session.observation().steps == 3


def test_long_runs_stay_bounded() -> None:
    with Session() as session:
        model = nn.Linear(6, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        x, y = batches(1)[0]
        for _step in range(3000):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    seen = session.observation()
    assert len(seen.optimizers[0].loss) <= 1100
    assert seen.optimizers[0].loss.steps[0] == 1
    assert len(seen.models[0].trace.steps) <= 600
    assert seen.labels is not None
    assert len(seen.labels.batch_counts) == 512


@pytest.mark.parametrize("trained", [True, False])
def test_a_copy_of_trained_weights_is_not_random(trained: bool) -> None:
    """`copy.deepcopy` of a body that was trained here, frozen under a new head."""
    body = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
    with Session() as session:
        if trained:
            loop(nn.Sequential(body, nn.Linear(12, 3)), 5, adam)
        frozen = copy.deepcopy(body).requires_grad_(False)
        new = nn.Sequential(frozen, nn.Linear(12, 3))
        loop(new, 5, lambda parameters: adam(new[1].parameters()))
    *_others, model = session.observation().models
    assert {one.name: one.loaded for one in model.parameters} == {
        "0.0.weight": trained,
        "0.0.bias": trained,
        "1.weight": False,
        "1.bias": False,
    }


@pytest.mark.parametrize("squashed", [True, False])
def test_binary_answers_behind_a_sigmoid_are_read_at_one_half(squashed: bool) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 1), nn.Sigmoid()]
    model = nn.Sequential(*layers[: 2 if squashed else 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    rates, last = [], float("nan")
    with Session() as session:
        for x, y in batches(30):
            optimizer.zero_grad()
            scores, target = model(x)[:, 0], (y > 0).float()
            rates.append(((scores > 0.5 * squashed) == (target > 0.5)).float().mean().item())
            F.binary_cross_entropy_with_logits(scores, target).backward()
            optimizer.step()
            with torch.no_grad():
                scores = model(x)[:, 0]
                F.binary_cross_entropy_with_logits(scores, target)
                last = ((scores > 0.5 * squashed) == (target > 0.5)).float().mean().item()
    seen = session.observation()
    assert seen.accuracy.values == pytest.approx(np.array(rates))
    assert seen.evaluations[-1].accuracy == pytest.approx(last)


@pytest.mark.parametrize(
    ("form", "mean"),
    [
        (lambda out, y: F.mse_loss(out, y), True),
        (lambda out, y: F.mse_loss(out, y, reduction="sum"), False),
        (lambda out, y: F.mse_loss(out, y) / 4, False),
        (lambda out, y: F.mse_loss(out, y) + 3 * (out - 2).square().mean(), False),
        (lambda out, y: F.mse_loss(out[:, :1], y[:, :1]) + F.mse_loss(out, y), False),
    ],
)
def test_the_variance_of_targets_prices_a_mean_squared_error_alone(form: Any, mean: bool) -> None:
    torch.manual_seed(2)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    targets = []
    with Session() as session:
        for _step in range(6):
            x, y = torch.randn(16, 3), torch.randn(16, 2) + 5
            targets.append(y)
            optimizer.zero_grad()
            form(model(x), y).backward()
            optimizer.step()
    seen = session.observation()
    assert seen.labels is not None
    assert seen.labels.mean_squared == mean
    variance = learning.target_variance(seen)
    if mean:
        assert variance == pytest.approx(float(torch.cat(targets).double().var(correction=0)))
    else:
        assert variance is None
