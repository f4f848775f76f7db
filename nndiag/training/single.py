"""One training with a plain loop: what a population must equal, and what cannot be vectorised."""

from __future__ import annotations

import time
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.probe.probe import Probe
from nndiag.schema.spec import OptimizerSpec
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.rates import Rates
from nndiag.training.short import batches, clip, flushed_denormals
from nndiag.training.stepping import fastest
from nndiag.zoo import optimizers

#: Steps between two looks at the losses (each waits for the device).
_LOOK = 16


def train_one(model: nn.Module, member: Member, settings: Settings, data: TensorData) -> Record:
    """Train one ordinary module with an ordinary optimizer; return a record of one member."""
    started = time.perf_counter()
    spec = OptimizerSpec(
        name=settings.optimizer,
        lr=member.lr,
        options=fastest(settings.optimizer, member.options, data.train_x.device),
        clip_norm=member.clip_norm,
        clip_value=member.clip_value,
    )
    row = optimizers.parse(settings.optimizer)
    optimizer = optimizers.build(model.parameters(), spec)
    rates = Rates([member], settings.steps)
    probe = _probe(model, optimizer, settings)
    size = len(data.train_y) if row.full_batch else settings.batch_size
    losses: list[Tensor] = []
    norms: list[Tensor] = []
    evaluated: list[int] = []
    val: list[tuple[float, float]] = []
    diverged = False
    with flushed_denormals(), torch.random.fork_rng(), probe or nullcontext():
        torch.manual_seed(member.seed)
        order = batches(len(data.train_y), size, settings.steps, member.seed)
        for step, rows in enumerate(order, start=1):
            if not diverged:
                if rates.vary:
                    _set_rate(optimizer, float(rates.at(step - 1)[0]))
                loss, norm = _step(model, optimizer, data, rows, spec, probe)
                losses.append(loss)
                norms.append(norm)
            if step % _LOOK == 0 or step == settings.steps:
                recent = torch.stack([*losses[-_LOOK:], *norms[-_LOOK:]])
                diverged = not bool(torch.isfinite(recent).all())  # waits for the device
            if step % settings.eval_every == 0 or step == settings.steps:
                evaluated.append(step)
                val.append(evaluate(model, data.val_x, data.val_y))
                if rates.watch:
                    rates.observe(np.array([val[-1][0]]))
        test_loss, test_accuracy = evaluate(model, data.test_x, data.test_y)
    val_loss, val_accuracy = np.array(val).T[:, :, None]
    reached = [
        s for s, a in zip(evaluated, val_accuracy[:, 0], strict=True) if a >= settings.target
    ]
    return Record(
        loss=_column(losses, losses, norms, settings.steps),
        gradient_norm=_column(norms, losses, norms, settings.steps),
        evaluated=np.array(evaluated),
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        test_loss=np.array([np.nan if diverged else test_loss]),
        test_accuracy=np.array([test_accuracy]),
        diverged=np.array([diverged]),
        steps_to_target=np.array([reached[0] if reached else -1]),
        seconds=np.array([time.perf_counter() - started]),
        states={name: value[None] for name, value in _state(model, diverged).items()},
        trace=None if probe is None else probe.trace,
    )


def _probe(model: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings) -> Probe | None:
    if not settings.probe_every:
        return None
    return Probe(model, optimizer, every=settings.probe_every, exact=True)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _column(
    values: list[Tensor], losses: list[Tensor], norms: list[Tensor], steps: int
) -> np.ndarray:
    """Return (steps, 1) values on the host, NaN from the first step that was not finite."""
    out = torch.full((steps,), torch.nan, dtype=torch.float64)
    broken = ~(torch.isfinite(torch.stack(losses)) & torch.isfinite(torch.stack(norms))).cpu()
    kept = int(broken.nonzero()[0]) if broken.any() else len(values)
    if kept:
        out[:kept] = torch.stack(values[:kept]).cpu().double()
    return out[:, None].numpy()


def _state(model: nn.Module, diverged: bool) -> dict[str, Tensor]:
    """Return the final state on the host, zeros after a divergence (as in a population)."""
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    if diverged:
        return {name: torch.zeros_like(value) for name, value in state.items()}
    return state


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: TensorData,
    rows: Tensor,
    spec: OptimizerSpec,
    probe: Probe | None,
) -> tuple[Tensor, Tensor]:
    model.train()
    x, y = data.train_x[rows], data.train_y[rows]
    norm = x.new_zeros(())

    def closure() -> Tensor:
        nonlocal norm
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        if probe is not None:
            probe.note_loss(loss)
        norm = clip(model, spec)
        return loss

    if optimizers.parse(spec.name).needs_closure:
        loss = torch.as_tensor(optimizer.step(closure))  # type: ignore[arg-type]
    else:
        loss = closure()
        optimizer.step()
    return loss.detach(), norm.detach()


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return mean loss and accuracy on a whole split, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
        return float(loss), float((logits.argmax(1) == y).double().mean())
