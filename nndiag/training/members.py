"""What a population is made of, and what comes out of it.

Axes: M member, B sample of a batch, E evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nndiag.datasets.splits import Splits
from nndiag.schema.trace import Trace, join_members, take_members


@dataclass(frozen=True, kw_only=True)
class Member:
    """One training.

    Attributes:
        seed: of its data order and of its dropout.
        lr: learning rate.
        options: further arguments of the optimizer, such as `momentum`.
        schedule: of the rate, as `zoo.schedules` reads it.
        dropout: probability for all of the network's dropout layers, None for their own.
        clip_norm, clip_value: limits of the total gradient norm and of each entry, or None.
        l1, l2: penalties l1/N sum |w| and l2/N sum w^2 over the weight matrices, N samples.
        noise: standard deviation of the Gaussian noise on its training inputs.
        patience: evaluations without a better validation loss that end it; None for no end.
        min_delta: by how much a loss must be smaller to be better.
        restore_best: with patience, end with the weights of the best evaluation.
        rows: of the training split that it trains on, also with repeats; None for all.
        optimizer: its own, None for that of the settings.
    """

    seed: int
    lr: float
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    dropout: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    noise: float = 0.0
    patience: int | None = None
    min_delta: float = 0.0
    restore_best: bool = True
    rows: Sequence[int] | None = None
    optimizer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all members share.

    Attributes:
        optimizer: a name of the table, or `package.module:Class`; of members without their own.
        eval_every: steps between evaluations on the validation split; the last step always is.
        target: validation accuracy whose first step is noted.
        probe_every: steps between two looks of the probe at every member; 0 for none.
        eval_train: evaluate on the training split too.
        shares: parts into which members are divided for the cores; None for as many as there are.
            A number gives the same sums on every machine of one kind, to the last bit.
        keep: steps after which the states are kept, 0 for before the first.
    """

    optimizer: str
    steps: int
    batch_size: int = 64
    eval_every: int = 25
    target: float = 0.9
    probe_every: int = 0
    eval_train: bool = False
    shares: int | None = None
    keep: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class TensorData:
    """The three splits on one device: x (N, *input_shape) float, y (N,) int64."""

    train_x: Tensor
    train_y: Tensor
    val_x: Tensor
    val_y: Tensor
    test_x: Tensor
    test_y: Tensor

    @classmethod
    def of(cls, splits: Splits, device: torch.device) -> TensorData:
        """Put splits on a device."""
        parts = {"train": splits.train, "val": splits.validation, "test": splits.test}
        tensors = {
            f"{name}_{axis}": torch.from_numpy(getattr(split, axis)).to(device)
            for name, split in parts.items()
            for axis in ("x", "y")
        }
        return cls(**tensors)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What M trainings gave.

    Attributes:
        steps: (R,) last step of each row of the next two: every step, or as `Curves` shares rows.
        loss, gradient_norm: (R, M) of the training batch; the loss is without penalties, the norm
            before clipping.
        evaluated: (E,) steps; val_loss, val_accuracy: (E, M).
        train_loss, train_accuracy: (E, M) on the training split, NaN without
            `Settings.eval_train`.
        test_loss, test_accuracy: (M,).
        diverged: (M,) whether the loss became non-finite; such a member stands still from then.
        steps_to_target: (M,) first evaluated step at the target, -1 where never.
        stopped: (M,) step at which early stopping ended it, -1 where it did not.
        seconds: (M,) share of the wall time.
        notes: what the reader should know, such as a fall-back to one by one.
        states: parameters and buffers by name, (M, ...), on the host.
        kept: the same by step, of `Settings.keep`.
        trace: the probe's statistics, a member each, with `Settings.probe_every`; None without,
            and where the members differ in their layers.
    """

    steps: np.ndarray
    loss: np.ndarray
    gradient_norm: np.ndarray
    evaluated: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    diverged: np.ndarray
    steps_to_target: np.ndarray
    stopped: np.ndarray
    seconds: np.ndarray
    notes: tuple[str, ...] = ()
    states: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Mapping[int, Mapping[str, Tensor]] = field(default_factory=dict)
    trace: Trace | None = None

    def state_of(self, member: int) -> dict[str, Tensor]:
        """Return the final state dict of one member."""
        return {name: value[member] for name, value in self.states.items()}


def own_samples(member: Member, data: TensorData) -> int:
    """Return how many samples a member trains on."""
    return len(data.train_y) if member.rows is None else len(member.rows)


def own(order: Tensor, member: Member) -> Tensor:
    """Return rows of the training split for places among the member's own samples."""
    return order if member.rows is None else torch.as_tensor(member.rows)[order]


_COLUMNS = (
    *("loss", "gradient_norm", "val_loss", "val_accuracy", "train_loss", "train_accuracy"),
    *("test_loss", "test_accuracy", "diverged", "steps_to_target", "stopped", "seconds"),
)


def join(records: list[Record]) -> Record:
    """Put records of the same settings side by side along M."""
    columns = {
        name: np.concatenate([getattr(record, name) for record in records], axis=-1)
        for name in _COLUMNS
    }
    states = _joined([record.states for record in records])
    kept = {step: _joined([record.kept[step] for record in records]) for step in records[0].kept}
    notes = tuple(dict.fromkeys(note for record in records for note in record.notes))
    traces = [record.trace for record in records if record.trace is not None]
    alike = len(traces) == len(records) and len({trace.layers for trace in traces}) == 1
    trace = join_members(traces) if alike else None
    return replace(records[0], notes=notes, states=states, kept=kept, trace=trace, **columns)


def _joined(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return states one after another along M; nothing where the networks differ in shape."""
    shapes = {tuple((name, value.shape[1:]) for name, value in one.items()) for one in states}
    if len(shapes) > 1:
        return {}
    return {name: torch.cat([one[name] for one in states]) for name in states[0]}


def take(record: Record, places: np.ndarray) -> Record:
    """Return the members at these places, in this order."""
    columns = {name: getattr(record, name)[..., places] for name in _COLUMNS}
    index = torch.from_numpy(places)
    states = {name: value[index] for name, value in record.states.items()}
    kept = {
        step: {name: value[index] for name, value in one.items()}
        for step, one in record.kept.items()
    }
    trace = None if record.trace is None else take_members(record.trace, places)
    return replace(record, states=states, kept=kept, trace=trace, **columns)
