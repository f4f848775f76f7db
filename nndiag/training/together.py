"""One chunk of a population: members of one structure, step by step in one vectorised pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from nndiag.training.curves import Curves
from nndiag.training.members import Member, Record, Settings, TensorData, own, own_samples
from nndiag.training.objectives import losses, right
from nndiag.training.rates import Rates
from nndiag.training.regularising import InputNoise, Penalties
from nndiag.training.short import flushed_denormals
from nndiag.training.stacked import Stacked
from nndiag.training.stepping import Stepper
from nndiag.training.stopping import Stopping
from nndiag.training.watching import MembersProbe
from nndiag.zoo import optimizers

#: Steps between two looks at the losses for members that have diverged (each waits for the device).
_LOOK = 16


def train_stacked(
    stacked: Stacked,
    members: Sequence[Member],
    settings: Settings,
    data: TensorData,
    progress: Callable[[int], None],
) -> Record:
    """Train networks of one structure, a member each, and return their record.

    Args:
        progress: told how many member-steps were taken since it was last told.
    """
    return _Run(stacked, members, settings, data, progress).record()


class _Run:
    """The training, from the first step to the record."""

    def __init__(
        self,
        stacked: Stacked,
        members: Sequence[Member],
        settings: Settings,
        data: TensorData,
        progress: Callable[[int], None],
    ) -> None:
        self._stacked, self._members = stacked, members
        self._settings, self._data, self._progress = settings, data, progress
        self._probe = None
        if settings.probe_every:
            self._probe = MembersProbe(stacked.template, len(members), settings.probe_every)
        self._rates = Rates(members, settings.steps)
        self._noise = InputNoise(members)
        self._penalties = Penalties(
            members, own_samples(members[0], data), next(iter(stacked.parameters.values()))
        )
        self._stopping = Stopping(members, stacked.parameters | stacked.buffers)
        self._stepper = Stepper(list(stacked.parameters.values()), members, settings.optimizer)
        self._curves = Curves(settings.steps, len(members))
        self._alive = np.ones(len(members), dtype=bool)
        self._evaluated: list[int] = []
        self._val: list[tuple[Tensor, Tensor]] = []
        self._train: list[tuple[Tensor, Tensor]] = []
        self._kept: dict[int, dict[str, Tensor]] = {}

    def record(self) -> Record:
        """Train to the end and return what happened."""
        started = time.perf_counter()
        with flushed_denormals(), torch.random.fork_rng():
            torch.manual_seed(self._members[0].seed)
            self._stacked.seed([member.seed for member in self._members])
            self._keep(0)
            for step, rows in enumerate(self._batches(), start=1):
                self._step(step - 1, rows)
                if step % _LOOK == 0 or step == self._settings.steps:
                    self._look(step)
                if step % self._settings.eval_every == 0 or step == self._settings.steps:
                    self._validate(step)
                self._keep(step)
            test_loss, test_accuracy = self._evaluate(self._data.test_x, self._data.test_y)
        seconds = (time.perf_counter() - started) / len(self._members)
        return self._finish(test_loss, test_accuracy, seconds)

    def _keep(self, step: int) -> None:
        if step in self._settings.keep:
            self._kept[step] = self._states()

    def _validate(self, step: int) -> None:
        """Evaluate; let schedules and early stopping see the validation loss."""
        self._stopping.hold()
        self._evaluated.append(step)
        self._val.append(self._evaluate(self._data.val_x, self._data.val_y))
        if self._rates.watch or self._stopping.watch:
            loss = self._val[-1][0].cpu().double().numpy()
            self._rates.observe(loss)
            last = step == self._settings.steps
            ends = self._stopping.observe(step, loss, last=last)
            self._stepper.hold(torch.from_numpy(ends).to(self._data.train_x.device))
            if last and ends.any():  # the last entry is of what is left
                self._val[-1] = self._evaluate(self._data.val_x, self._data.val_y)
        if self._settings.eval_train:
            self._train.append(self._evaluate_own())

    def _batches(self) -> Iterator[Tensor]:
        """Yield (M, B) row numbers a step; each member has the order of its own seed."""
        samples = own_samples(self._members[0], self._data)
        name = self._members[0].optimizer or self._settings.optimizer
        full = optimizers.parse(name).full_batch
        size = samples if full else min(self._settings.batch_size, samples)
        orders = [torch.Generator().manual_seed(member.seed) for member in self._members]
        steps = 0
        while True:
            epoch = torch.stack(
                [
                    own(torch.randperm(samples, generator=order), member)
                    for order, member in zip(orders, self._members, strict=True)
                ]
            )
            for rows in epoch.to(self._data.train_x.device).split(size, dim=1):
                if steps == self._settings.steps:
                    return
                steps += 1
                yield rows

    def _step(self, step: int, rows: Tensor) -> None:
        x, y = self._data.train_x[rows], self._data.train_y[rows]
        if self._noise.any:
            x = self._noise.added(x)
        watched = self._probe is not None and self._probe.due(step)
        before = self._copied_states() if watched else {}
        draws = self._stacked.random_states if watched else []
        if self._rates.vary:
            self._stepper.set_rates(self._rates.at(step))
        self._stepper.zero_grad()
        loss = losses(self._stacked.forward(x, training=True), y)
        total = loss.sum()
        if self._penalties.any:
            total = total + self._penalties.of(self._stacked.parameters.values()).sum()
        total.backward()
        self._curves.add(loss.detach(), self._stepper.step())
        if self._probe is not None and watched:
            self._probe.look(step, before, self._stacked.states(), x, y, draws)

    def _copied_states(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self._stacked.states().items()}

    def _look(self, step: int) -> None:
        """Freeze members whose loss or gradient was not finite; tell the progress."""
        finite = self._curves.take()
        gone = self._alive & ~finite
        if gone.any():
            self._stepper.freeze(torch.from_numpy(gone).to(self._data.train_x.device))
            self._alive = finite
        since = _LOOK if step % _LOOK == 0 else step % _LOOK
        self._progress(since * len(self._members))

    def _evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return (M,) mean loss and accuracy on a whole split, in evaluation mode."""
        members = len(self._members)
        with torch.no_grad():
            total, answered = torch.zeros((2, members), device=x.device).unbind(0)
            for part_x, part_y in zip(x.split(512), y.split(512), strict=True):
                wide = part_x.expand(members, *part_x.shape)
                labels = part_y.expand(members, -1)
                logits = self._stacked.forward(wide, training=False)
                total = total + losses(logits, labels) * len(part_y)
                answered = answered + right(logits, labels)
        return total / len(y), answered / len(y)

    def _evaluate_own(self) -> tuple[Tensor, Tensor]:
        """Return (M,) mean loss and accuracy of each member on the samples that it trains on."""
        if self._members[0].rows is None:
            return self._evaluate(self._data.train_x, self._data.train_y)
        rows = torch.tensor([member.rows for member in self._members])
        x, y = self._data.train_x[rows], self._data.train_y[rows]
        with torch.no_grad():
            outputs = self._stacked.forward(x, training=False)
        return losses(outputs, y), right(outputs, y) / y.shape[1]

    def _finish(self, test_loss: Tensor, test_accuracy: Tensor, seconds: float) -> Record:
        val_loss, val_accuracy = _columns(self._val)
        train_loss, train_accuracy = _columns(self._train or [_unknown(v) for v in self._val])
        steps, loss, norms = self._curves.table(self._stopping.stopped)
        diverged = ~self._alive
        evaluated = np.array(self._evaluated)
        return Record(
            steps=steps,
            loss=loss,
            gradient_norm=norms,
            evaluated=evaluated,
            val_loss=np.where(diverged, np.nan, val_loss),
            val_accuracy=val_accuracy,
            train_loss=np.where(diverged, np.nan, train_loss),
            train_accuracy=train_accuracy,
            test_loss=np.where(diverged, np.nan, test_loss.cpu().double().numpy()),
            test_accuracy=test_accuracy.cpu().double().numpy(),
            diverged=diverged,
            steps_to_target=first_at(evaluated, val_accuracy, self._settings.target),
            stopped=self._stopping.stopped,
            seconds=np.full(len(self._members), seconds),
            states=self._states(),
            kept=self._kept,
            trace=None if self._probe is None else self._probe.trace(),
        )

    def _states(self) -> dict[str, Tensor]:
        """Return the states on the host, zeros for members that diverged."""
        states = {name: value.clone().cpu() for name, value in self._stacked.states().items()}
        for value in states.values():
            value[torch.from_numpy(~self._alive)] = 0
        return states


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[np.ndarray, np.ndarray]:
    """Return (E, M) losses and accuracies of E evaluations."""
    losses, accuracies = (
        torch.stack(values).cpu().double().numpy() for values in zip(*pairs, strict=True)
    )
    return losses, accuracies


def _unknown(like: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.full_like(like[0], torch.nan), torch.full_like(like[0], torch.nan)


def first_at(evaluated: np.ndarray, accuracy: np.ndarray, target: float) -> np.ndarray:
    """Return the (M,) first evaluated steps with (E, M) accuracy at the target, -1 for never."""
    reached = accuracy >= target
    return np.where(reached.any(0), evaluated[reached.argmax(0)], -1)
