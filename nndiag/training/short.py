"""Training one ordinary network with the probe on, as `gradients --train` does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.datasets.splits import Split, Splits
from nndiag.locales import _
from nndiag.probe.layers import find_layers
from nndiag.probe.probe import Probe
from nndiag.schema.progress import Watch
from nndiag.schema.result import interval
from nndiag.schema.spec import GradientsSpec, OptimizerSpec
from nndiag.schema.trace import Trace, join_members
from nndiag.training.initial import networks_by_seed
from nndiag.zoo import optimizers

_EVALUATIONS = 20
_SHOW_SECONDS = 0.2


@dataclass
class _Run:
    """One member: its trace, and accuracies along the way."""

    trace: Trace | None = None
    gradient_norms: list[float] = field(default_factory=list)
    evaluated: list[int] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    test_accuracy: float = math.nan
    interrupted: bool = False


def train(
    spec: GradientsSpec, splits: Splits, device: torch.device, watch: Watch
) -> tuple[Trace, dict[str, Any]]:
    """Train a network for each seed; return the joined trace and the story of the training.

    Ctrl-C ends the training early and keeps what was seen (`interrupted` is then True).

    Returns:
        The trace, a member a seed, and `steps`, `loss`, `gradient_norm` (before clipping),
        `validation_accuracy`, `test_accuracy`, `diverged` (a count), `interrupted`.
    """
    assert spec.optimizer is not None
    seeds = range(spec.seed, spec.seed + spec.seeds)
    batch_size = spec.batch_size
    if optimizers.parse(spec.optimizer.name).full_batch:
        batch_size = len(splits.train.y)
    runs: list[_Run] = []
    for seed, model, _x, _y in networks_by_seed(spec.network, splits, seeds, batch_size, device):
        watch.stage(_("training"), spec.train, layers=[layer.name for layer in find_layers(model)])
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            runs.append(_member(model, spec, splits, device, watch, seed, batch_size))
        if runs[-1].interrupted:
            break
    if runs[-1].interrupted and len(runs) > 1:
        runs = [*runs[:-2], replace(runs[-2], interrupted=True)]  # the last stopped half way
    trace = join_members([run.trace for run in runs if run.trace is not None])
    return trace, _story(runs, trace)


def _member(
    model: nn.Module,
    spec: GradientsSpec,
    splits: Splits,
    device: torch.device,
    watch: Watch,
    seed: int,
    batch_size: int,
) -> _Run:
    assert spec.optimizer is not None
    optimizer = optimizers.build(model.parameters(), spec.optimizer)
    x, y = _on(splits.train, device)
    norms: list[Tensor] = []
    run = _Run()
    every = max(1, spec.train // _EVALUATIONS)
    shown = 0.0
    with flushed_denormals(), Probe(model, optimizer) as probe:
        try:
            for step, batch in enumerate(batches(len(y), batch_size, spec.train, seed), start=1):
                norms.append(take_step(model, optimizer, x[batch], y[batch], spec.optimizer, probe))
                if step % every == 0 or step == spec.train:
                    run.evaluated.append(step)
                    run.accuracies.append(accuracy(model, splits.validation, device))
                if time.monotonic() - shown > _SHOW_SECONDS or step == spec.train:
                    shown = time.monotonic()
                    _show(watch, step, probe, run)
        except KeyboardInterrupt:
            run.interrupted = True
    run.trace = probe.trace
    run.gradient_norms = torch.stack(norms).cpu().double().tolist() if norms else []
    run.test_accuracy = accuracy(model, splits.test, device)
    return run


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    spec: OptimizerSpec,
    probe: Probe,
) -> Tensor:
    """Take one optimizer step; return the total gradient norm before clipping, on the device."""
    model.train()
    norm = x.new_zeros(())

    def closure() -> Tensor:
        nonlocal norm
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        norm = clip(model, spec)
        probe.note_loss(loss)
        return loss

    if optimizers.parse(spec.name).needs_closure:
        optimizer.step(closure)  # type: ignore[arg-type]
    else:
        closure()
        optimizer.step()
    return norm


def clip(model: nn.Module, spec: OptimizerSpec) -> Tensor:
    """Clip gradients as asked; return their total norm before it (Pascanu et al. 2013)."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    limit = spec.clip_norm if spec.clip_norm is not None else math.inf
    norm = (
        nn.utils.clip_grad_norm_(parameters, limit)
        if math.isfinite(limit)
        else (nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
    )
    if spec.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, spec.clip_value)
    return norm.detach()


def batches(samples: int, batch_size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """Yield `steps` index tensors: epoch after epoch in random order, the last batch whole.

    An epoch has ceil(samples / batch_size) batches, the last one possibly smaller.
    """
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while True:
        for batch in torch.randperm(samples, generator=generator).split(batch_size):
            if done == steps:
                return
            done += 1
            yield batch


def accuracy(model: nn.Module, split: Split, device: torch.device) -> float:
    """Return the share of right answers on a whole split, in evaluation mode (0 to 1)."""
    training = model.training
    model.eval()
    x, y = _on(split, device)
    with torch.no_grad():
        right = sum(
            (model(chunk).argmax(1) == labels).sum()
            for chunk, labels in zip(x.split(1024), y.split(1024), strict=True)
        )
    model.train(training)
    return float(right) / len(y)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat denormal numbers as 0 inside: on a CPU they make a step 7 to 10 times slower."""
    before = float(torch.tensor(1e-40) * 1.0) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _on(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(split.x).to(device), torch.from_numpy(split.y).to(device)


def _show(watch: Watch, step: int, probe: Probe, run: _Run) -> None:
    _row, loss, norms = probe.latest()
    numbers = {"loss": loss}
    if run.accuracies:
        numbers["accuracy"] = run.accuracies[-1]
    watch.update(step, numbers=numbers, norms=norms)


def _story(runs: list[_Run], trace: Trace) -> dict[str, Any]:
    points = min(len(run.accuracies) for run in runs)
    means = [sum(run.accuracies[k] for run in runs) / len(runs) for k in range(points)]
    diverged = int((~np.isfinite(trace.loss[-1])).sum())
    return {
        "steps": trace.steps.tolist(),
        "loss": trace.loss.mean(axis=1).tolist(),
        "gradient_norm": _thinned(runs, trace),
        "validation_accuracy": {"steps": runs[0].evaluated[:points], "values": means},
        "test_accuracy": interval([run.test_accuracy for run in runs]),
        "diverged": diverged,
        "interrupted": any(run.interrupted for run in runs),
    }


def _thinned(runs: list[_Run], trace: Trace) -> list[float]:
    """Return the mean total gradient norm at the steps that the trace kept."""
    return [
        sum(run.gradient_norms[step] for run in runs) / len(runs) for step in trace.steps.tolist()
    ]
