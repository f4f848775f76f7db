"""One training with a plain loop: what a population must equal, and what cannot be vectorised."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.schema.spec import OptimizerSpec
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.short import batches, clip, flushed_denormals
from nndiag.zoo import optimizers


def train_one(model: nn.Module, member: Member, settings: Settings, data: TensorData) -> Record:
    """Train one ordinary module with an ordinary optimizer; return a record of one member."""
    started = time.perf_counter()
    spec = OptimizerSpec(
        name=settings.optimizer,
        lr=member.lr,
        options=member.options,
        clip_norm=member.clip_norm,
        clip_value=member.clip_value,
    )
    row = optimizers.parse(settings.optimizer)
    optimizer = optimizers.build(model.parameters(), spec)
    size = len(data.train_y) if row.full_batch else settings.batch_size
    losses: list[float] = []
    norms: list[float] = []
    evaluated: list[int] = []
    val: list[tuple[float, float]] = []
    diverged = False
    with flushed_denormals(), torch.random.fork_rng():
        torch.manual_seed(member.seed)
        order = batches(len(data.train_y), size, settings.steps, member.seed)
        for step, rows in enumerate(order, start=1):
            if not diverged:
                loss, norm = _step(model, optimizer, data, rows, spec, row.needs_closure)
                diverged = not (np.isfinite(loss) and np.isfinite(norm))
            losses.append(np.nan if diverged else loss)
            norms.append(np.nan if diverged else norm)
            if step % settings.eval_every == 0 or step == settings.steps:
                evaluated.append(step)
                val.append(evaluate(model, data.val_x, data.val_y))
        test_loss, test_accuracy = evaluate(model, data.test_x, data.test_y)
    val_loss, val_accuracy = np.array(val).T[:, :, None]
    reached = [
        s for s, a in zip(evaluated, val_accuracy[:, 0], strict=True) if a >= settings.target
    ]
    return Record(
        loss=np.array(losses)[:, None],
        gradient_norm=np.array(norms)[:, None],
        evaluated=np.array(evaluated),
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        test_loss=np.array([np.nan if diverged else test_loss]),
        test_accuracy=np.array([test_accuracy]),
        diverged=np.array([diverged]),
        steps_to_target=np.array([reached[0] if reached else -1]),
        seconds=np.array([time.perf_counter() - started]),
        states={name: value.detach().cpu()[None] for name, value in model.state_dict().items()},
    )


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: TensorData,
    rows: Tensor,
    spec: OptimizerSpec,
    needs_closure: bool,
) -> tuple[float, float]:
    model.train()
    x, y = data.train_x[rows], data.train_y[rows]
    norm = x.new_zeros(())

    def closure() -> Tensor:
        nonlocal norm
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        norm = clip(model, spec)
        return loss

    if needs_closure:
        loss = torch.as_tensor(optimizer.step(closure))  # type: ignore[arg-type]
    else:
        loss = closure()
        optimizer.step()
    return float(loss.detach()), float(norm)


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return mean loss and accuracy on a whole split, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
        return float(loss), float((logits.argmax(1) == y).double().mean())
