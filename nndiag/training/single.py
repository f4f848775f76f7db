"""One training with a plain loop: what a population must equal, and what cannot be vectorised."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.probe.probe import Probe
from nndiag.schema.spec import OptimizerSpec
from nndiag.training.curves import Curves
from nndiag.training.members import Member, Record, Settings, TensorData, own, own_samples
from nndiag.training.objectives import losses, right
from nndiag.training.rates import Rates
from nndiag.training.regularising import InputNoise, Penalties
from nndiag.training.short import batches, clip, flushed_denormals
from nndiag.training.stepping import fastest
from nndiag.training.stopping import Stopping
from nndiag.zoo import optimizers

#: Steps between two looks at the losses (each waits for the device).
_LOOK = 16


def train_one(
    model: nn.Module,
    member: Member,
    settings: Settings,
    data: TensorData,
    progress: Callable[[int], None] = lambda steps: None,
) -> Record:
    """Train one ordinary module with an ordinary optimizer; return a record of one member.

    Args:
        progress: told how many steps were taken since it was last told.
    """
    return _Run(model, member, settings, data).record(progress)


class _Run:
    """The training, from the first step to the record."""

    def __init__(
        self, model: nn.Module, member: Member, settings: Settings, data: TensorData
    ) -> None:
        self._model, self._member = model, member
        self._settings, self._data = settings, data
        name = member.optimizer or settings.optimizer
        self._spec = OptimizerSpec(
            name=name,
            lr=member.lr,
            options=fastest(name, member.options, data.train_x.device),
            clip_norm=member.clip_norm,
            clip_value=member.clip_value,
        )
        self._optimizer = optimizers.build(model.parameters(), self._spec)
        self._rates = Rates([member], settings.steps)
        self._noise = InputNoise([member])
        like = next(model.parameters())
        self._penalties = Penalties([member], own_samples(member, data), like)
        state = model.state_dict(keep_vars=True)
        self._stopping = Stopping([member], {name: v.detach()[None] for name, v in state.items()})
        self._probe = _probe(model, self._optimizer, settings)
        self._diverged = False
        self._curves = Curves(settings.steps, 1)
        self._evaluated: list[int] = []
        self._val: list[tuple[float, float]] = []
        self._train: list[tuple[float, float]] = []
        self._kept: dict[int, dict[str, Tensor]] = {}

    def record(self, progress: Callable[[int], None]) -> Record:
        started = time.perf_counter()
        samples = own_samples(self._member, self._data)
        full = optimizers.parse(self._spec.name).full_batch
        size = samples if full else self._settings.batch_size
        with flushed_denormals(), torch.random.fork_rng(), self._probe or nullcontext():
            torch.manual_seed(self._member.seed)
            order = batches(samples, size, self._settings.steps, self._member.seed)
            self._keep(0)
            for step, rows in enumerate(order, start=1):
                if not self._diverged and self._stopping.stopped[0] < 0:
                    self._step(step - 1, own(rows, self._member))
                last = step == self._settings.steps
                if step % _LOOK == 0 or last:
                    self._diverged = not self._curves.take()[0]
                    progress(_LOOK if step % _LOOK == 0 else step % _LOOK)
                if step % self._settings.eval_every == 0 or last:
                    self._validate(step)
                self._keep(step)
            test = evaluate(self._model, self._data.test_x, self._data.test_y)
        return self._finish(*test, time.perf_counter() - started)

    def _keep(self, step: int) -> None:
        if step in self._settings.keep:
            state = _state(self._model, self._diverged)
            self._kept[step] = {name: value[None].clone() for name, value in state.items()}

    def _validate(self, step: int) -> None:
        """Evaluate; let the schedule and early stopping see the validation loss."""
        last = step == self._settings.steps
        self._evaluated.append(step)
        self._val.append(evaluate(self._model, self._data.val_x, self._data.val_y))
        loss = np.array([self._val[-1][0]])
        self._rates.observe(loss)
        if self._stopping.observe(step, loss, last=last).any() and last:
            self._val[-1] = evaluate(self._model, self._data.val_x, self._data.val_y)
        if self._settings.eval_train:
            rows = own(torch.arange(own_samples(self._member, self._data)), self._member)
            x, y = self._data.train_x[rows], self._data.train_y[rows]
            self._train.append(evaluate(self._model, x, y))

    def _step(self, step: int, rows: Tensor) -> None:
        """Take one step; the loss kept is without penalties, the norm before clipping."""
        if self._rates.vary:
            _set_rate(self._optimizer, float(self._rates.at(step)[0]))
        self._model.train()
        x, y = self._data.train_x[rows], self._data.train_y[rows]
        if self._noise.any:
            x = self._noise.added(x[None])[0]
        first: list[tuple[Tensor, Tensor]] = []

        def closure() -> Tensor:
            self._optimizer.zero_grad(set_to_none=True)
            loss = total = losses(self._model(x)[None], y[None])[0]
            if self._penalties.any:
                weights = (parameter[None] for parameter in self._model.parameters())
                total = loss + self._penalties.of(weights)[0]
            total.backward()
            if self._probe is not None:
                self._probe.note_loss(loss)
            first.append((loss.detach(), clip(self._model, self._spec)))
            return total

        if optimizers.parse(self._spec.name).needs_closure:
            self._optimizer.step(closure)  # type: ignore[arg-type]
        else:
            closure()
            self._optimizer.step()
        self._curves.add(first[0][0][None], first[-1][1][None])

    def _finish(self, test_loss: float, test_accuracy: float, seconds: float) -> Record:
        val_loss, val_accuracy = np.array(self._val).T[:, :, None]
        unknown = [(np.nan, np.nan)] * len(self._val)
        train_loss, train_accuracy = np.array(self._train or unknown).T[:, :, None]
        reached = [
            step
            for step, accuracy in zip(self._evaluated, val_accuracy[:, 0], strict=True)
            if accuracy >= self._settings.target
        ]
        steps, loss, norms = self._curves.table(self._stopping.stopped)
        state = _state(self._model, self._diverged)
        return Record(
            steps=steps,
            loss=loss,
            gradient_norm=norms,
            evaluated=np.array(self._evaluated),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=np.array([np.nan if self._diverged else test_loss]),
            test_accuracy=np.array([test_accuracy]),
            diverged=np.array([self._diverged]),
            steps_to_target=np.array([reached[0] if reached else -1]),
            stopped=self._stopping.stopped,
            seconds=np.array([seconds]),
            states={name: value[None] for name, value in state.items()},
            kept=self._kept,
            trace=None if self._probe is None else self._probe.trace,
        )


def _probe(model: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings) -> Probe | None:
    if not settings.probe_every:
        return None
    return Probe(model, optimizer, every=settings.probe_every, exact=True, window=1)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _state(model: nn.Module, diverged: bool) -> dict[str, Tensor]:
    """Return the final state on the host, zeros after a divergence (as in a population)."""
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    if diverged:
        return {name: torch.zeros_like(value) for name, value in state.items()}
    return state


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return mean loss and accuracy on a whole split, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        outputs = model(x)[None]
        return float(losses(outputs, y[None])), float(right(outputs, y[None]).double() / len(y))
