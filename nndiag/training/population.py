"""Many trainings at once: N networks of one structure in one vectorised pass."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from nndiag.locales import _
from nndiag.training.lanes import Lanes
from nndiag.training.linearity import serves_many
from nndiag.training.members import (
    Member,
    Record,
    Settings,
    TensorData,
    join,
    own,
    own_samples,
    take,
)
from nndiag.training.objectives import losses, right
from nndiag.training.rates import Rates
from nndiag.training.regularising import InputNoise, Penalties
from nndiag.training.short import flushed_denormals
from nndiag.training.single import train_one
from nndiag.training.stacked import Stacked, alike
from nndiag.training.stepping import Stepper
from nndiag.training.stopping import Stopping
from nndiag.training.warming import touch_constants
from nndiag.training.watching import MembersProbe
from nndiag.zoo import optimizers
from nndiag.zoo.registry import is_import

Progress = Callable[[int], None]

#: Steps between two looks at the losses for members that have diverged (each waits for the device).
_LOOK = 16
#: Numbers of all members' parameters that still move through a CPU's caches at speed.
_CPU_NUMBERS = 2_700_000
_MOST_MEMBERS = 128
#: From this many numbers in a network on, one at a time is as fast: its products fill the machine.
_WIDE = 1_000_000
#: Members a lane must get for the division to pay.
_SHARED = 4


def train(
    build: Callable[[int], nn.Module],
    members: Sequence[Member],
    settings: Settings,
    data: TensorData,
    progress: Progress | None = None,
) -> Record:
    """Train every member; each ends as it would have ended alone.

    Args:
        build: from the place of a member to its network, drawn and on the data's device.
            Those of one structure train together.
        progress: told how many member-steps were taken since it was last told.

    Returns:
        The record, members in the order given. Where the optimizer or the network cannot be
        vectorised the members train one by one, and `notes` says so.
    """
    with torch.random.fork_rng():  # around all lanes: they share one generator
        return _train(build, members, settings, data, progress or (lambda steps: None))


def _train(
    build: Callable[[int], nn.Module],
    members: Sequence[Member],
    settings: Settings,
    data: TensorData,
    progress: Progress,
) -> Record:
    touch_constants()
    together = _steps_together(settings.optimizer, members)
    example = build(0)
    lanes = Lanes(
        example,
        data.train_x[:2],
        trusted=together or not is_import(settings.optimizer),
        always_one_thread=settings.shares is not None,
    )
    chunks = [
        chunk
        for group in _grouped(members)
        for chunk in _chunks(group, example, data.train_x.device, settings.shares or lanes.count)
    ]

    def work(chunk: list[int]) -> Record:
        chosen = [members[place] for place in chunk]
        models = [_with_dropout(build(place), members[place].dropout) for place in chunk]
        tell = lanes.checked(progress)
        if not together:
            note = _("{name} is not linear in its rate: its members trained one by one").format(
                name=settings.optimizer
            )
            return _one_by_one(models, chosen, settings, data, tell, note)
        parts = _alike(models)
        records = [
            _train_chunk([models[k] for k in part], [chosen[k] for k in part], settings, data, tell)
            for part in parts
        ]
        return _in_order(records, parts)

    records = lanes.map(work, chunks)
    return _in_order(records, chunks)


def _steps_together(optimizer: str, members: Sequence[Member]) -> bool:
    """Whether one optimizer can step all members; a class of the user's is tried out."""
    row = optimizers.parse(optimizer)
    if is_import(optimizer):
        distinct = {repr(sorted(member.options.items())): member.options for member in members}
        scheduled = any(member.schedule != "constant" for member in members)
        return all(serves_many(optimizer, options, scheduled) for options in distinct.values())
    return row.linear_in_lr and not row.needs_closure


def _with_dropout(model: nn.Module, probability: float | None) -> nn.Module:
    """Give a network's dropout layers a probability.

    Raises:
        ValueError: a probability is given and the network has no dropout layer.
    """
    layers = [module for module in model.modules() if isinstance(module, _DropoutNd)]
    if probability is not None:
        if not layers:
            raise ValueError("a dropout probability for a network without a dropout layer")
        for layer in layers:
            layer.p = probability
    return model


def _alike(models: Sequence[nn.Module]) -> list[list[int]]:
    """Return the places of networks that can be stacked, a list each."""
    found: dict[Hashable, list[int]] = {}
    for place, model in enumerate(models):
        found.setdefault(alike(model), []).append(place)
    return list(found.values())


def _in_order(records: list[Record], parts: list[list[int]]) -> Record:
    """Join the records of parts, members back in the order of their places."""
    return take(join(records), np.argsort([place for part in parts for place in part]))


def _train_chunk(
    models: list[nn.Module],
    members: list[Member],
    settings: Settings,
    data: TensorData,
    progress: Progress,
) -> Record:
    if len(models) == 1:
        return _one_by_one(models, members, settings, data, progress, None)
    try:
        stacked = Stacked(models)
        stacked.rehearse(data.train_x[:2].expand(len(models), *data.train_x[:2].shape))
    except Exception:  # a module at fault itself says so in the loop
        note = _("{name} cannot be vectorised: its members trained one by one").format(
            name=type(models[0]).__name__
        )
        return _one_by_one(models, members, settings, data, progress, note)
    probe = None
    if settings.probe_every:
        probe = MembersProbe(models[0], len(models), settings.probe_every)
    return _Run(stacked, members, settings, data, progress, probe).record()


def _one_by_one(
    models: list[nn.Module],
    members: list[Member],
    settings: Settings,
    data: TensorData,
    progress: Progress,
    note: str | None,
) -> Record:
    records = []
    for model, member in zip(models, members, strict=True):
        records.append(train_one(model, member, settings, data, progress))
    return replace(join(records), notes=() if note is None else (note,))


class _Run:
    """One chunk of members, from the first step to the record."""

    def __init__(
        self,
        stacked: Stacked,
        members: list[Member],
        settings: Settings,
        data: TensorData,
        progress: Progress,
        probe: MembersProbe | None,
    ) -> None:
        self._stacked, self._members, self._probe = stacked, members, probe
        self._settings, self._data, self._progress = settings, data, progress
        self._rates = Rates(members, settings.steps)
        self._noise = InputNoise(members)
        self._penalties = Penalties(
            members, own_samples(members[0], data), next(iter(stacked.parameters.values()))
        )
        self._stopping = Stopping(members, stacked.parameters | stacked.buffers)
        self._stepper = Stepper(
            list(stacked.parameters.values()), members, settings.optimizer, members[0].options
        )
        self._alive = torch.ones(len(members), dtype=torch.bool)
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._evaluated: list[int] = []
        self._val: list[tuple[Tensor, Tensor]] = []
        self._train: list[tuple[Tensor, Tensor]] = []
        self._kept: dict[int, dict[str, Tensor]] = {}

    def record(self) -> Record:
        """Train to the end and return what happened."""
        started = time.perf_counter()
        with flushed_denormals(), torch.random.fork_rng():
            torch.manual_seed(self._members[0].seed)
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
        full = optimizers.parse(self._settings.optimizer).full_batch
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
        watched = self._probe is not None and self._probe.due(step)
        before = self._copied_states() if watched else {}
        if self._rates.vary:
            self._stepper.set_rates(self._rates.at(step))
        self._stepper.zero_grad()
        if self._noise.any:
            x = self._noise.added(x)
        loss = losses(self._stacked.forward(x, training=True), y)
        total = loss.sum()
        if self._penalties.any:
            total = total + self._penalties.of(self._stacked.parameters.values()).sum()
        total.backward()
        self._norms.append(self._stepper.clip())
        self._losses.append(loss.detach())
        self._stepper.step()
        if self._probe is not None and watched:
            self._probe.look(step, before, self._stacked.states(), x, y)

    def _copied_states(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self._stacked.states().items()}

    def _look(self, step: int) -> None:
        """Freeze members whose loss or gradient was not finite; tell the progress."""
        recent = torch.stack([*self._losses[-_LOOK:], *self._norms[-_LOOK:]])
        finite = torch.isfinite(recent).all(0).cpu()  # waits for the device
        gone = self._alive & ~finite
        if gone.any():
            self._stepper.freeze(gone.to(recent.device))
            self._alive &= finite
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
        loss = torch.stack(self._losses).cpu().double().numpy()
        norms = torch.stack(self._norms).cpu().double().numpy()
        val_loss, val_accuracy = _columns(self._val)
        train_loss, train_accuracy = _columns(self._train or [_unknown(v) for v in self._val])
        ended = self._stopping.stopped
        beyond = (ended >= 0) & (np.arange(len(loss))[:, None] >= ended)
        loss, norms = (np.where(beyond, np.nan, values) for values in (loss, norms))
        diverged = ~self._alive.numpy()
        evaluated = np.array(self._evaluated)
        return Record(
            loss=_after_divergence(loss, loss, norms),
            gradient_norm=_after_divergence(norms, loss, norms),
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
            value[~self._alive] = 0
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


def _after_divergence(values: np.ndarray, loss: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Return values with NaN from the first step on at which the member was not finite."""
    broken = ~(np.isfinite(loss) & np.isfinite(norms))
    return np.where(np.maximum.accumulate(broken, axis=0), np.nan, values)


def _grouped(members: Sequence[Member]) -> list[list[int]]:
    """Return places of members with equal options, which one optimizer can step, and with as
    many samples."""
    groups: dict[str, list[int]] = {}
    for place, member in enumerate(members):
        samples = None if member.rows is None else len(member.rows)
        key = repr((sorted(member.options.items()), samples))
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _chunks(
    places: list[int], model: nn.Module, device: torch.device, lanes: int
) -> Iterator[list[int]]:
    """Split places so that a chunk's parameters stay within reach of the caches (or the GPU).

    Every lane gets a chunk where there are enough members to share.
    """
    numbers = sum(parameter.numel() for parameter in model.parameters())
    if device.type == "cpu":
        size = 1 if numbers > _WIDE else max(2, min(_MOST_MEMBERS, _CPU_NUMBERS // numbers))
    else:
        free, _total = torch.cuda.mem_get_info(device) if device.type == "cuda" else (2**32, 0)
        size = max(1, int(free // (64 * numbers)))
    count = -(-len(places) // size)
    if len(places) >= _SHARED * lanes:
        count = -(-count // lanes) * lanes  # every lane as many chunks
    size = -(-len(places) // count)  # even chunks
    remaining = iter(places)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk
