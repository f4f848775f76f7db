"""Many trainings at once: N networks of one structure in one vectorised pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from nndiag.locales import _
from nndiag.training.dividing import Group, chunked, grouped
from nndiag.training.lanes import Interrupted as _Stopped
from nndiag.training.lanes import Lanes
from nndiag.training.members import Member, Record, Settings, TensorData, join, take
from nndiag.training.single import train_one
from nndiag.training.stacked import Stacked, alike
from nndiag.training.together import first_at, train_stacked
from nndiag.training.warming import touch_constants
from nndiag.zoo.registry import is_import

__all__ = ["Interrupted", "Progress", "first_at", "train"]

Progress = Callable[[int], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a training of many, with what was complete.

    Attributes:
        places: of the members that had come to their end.
        record: theirs, in this order; None where there are none.
    """

    def __init__(self, places: list[int], record: Record | None) -> None:
        super().__init__()
        self.places, self.record = places, record


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
    groups = grouped(members, settings.optimizer)
    example = build(0)
    lanes = Lanes(
        example,
        data.train_x[:2],
        trusted=not any(group.alone and is_import(group.alone) for group in groups),
        stacked=not any(group.alone for group in groups),
        always_one_thread=settings.shares is not None,
    )
    count = settings.shares or lanes.count
    chunks = [
        (group, chunk)
        for group in groups
        for chunk in _divided(group, example, data.train_x.device, count)
    ]

    def work(part: tuple[Group, list[int]]) -> Record:
        group, chunk = part
        chosen = [members[place] for place in chunk]
        models = [_with_dropout(build(place), members[place].dropout) for place in chunk]
        tell = lanes.checked(progress)
        if group.alone:
            note = _("{name} is not linear in its rate: its members trained one by one").format(
                name=group.alone
            )
            return _one_by_one(models, chosen, settings, data, tell, note)
        parts = _alike(models)
        records = [
            _train_chunk(
                [models[k] for k in part],
                [chosen[k] for k in part],
                settings,
                data,
                tell,
                stacked=len(part) > 1 or lanes.draws,  # alone it draws from the global generator
            )
            for part in parts
        ]
        return _in_order(records, parts)

    places = [chunk for _group, chunk in chunks]
    try:
        return _in_order(lanes.map(work, chunks), places)
    except _Stopped as stop:
        done = [place for number in stop.done for place in places[number]]
        record = join(list(stop.done.values())) if stop.done else None
        raise Interrupted(done, record) from None


def _divided(
    group: Group, example: nn.Module, device: torch.device, lanes: int
) -> Iterable[list[int]]:
    if group.alone:
        return ([place] for place in group.places)
    return chunked(group.places, example, device, lanes)


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
    *,
    stacked: bool,
) -> Record:
    if not stacked:
        return _one_by_one(models, members, settings, data, progress, None)
    try:
        networks = Stacked(models)
        networks.rehearse(data.train_x[:2].expand(len(models), *data.train_x[:2].shape))
    except Exception:  # a module at fault itself says so in the loop
        note = _("{name} cannot be vectorised: its members trained one by one").format(
            name=type(models[0]).__name__
        )
        return _one_by_one(models, members, settings, data, progress, note)
    return train_stacked(networks, members, settings, data, progress)


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
