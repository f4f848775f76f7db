"""How members are divided: into groups that one vectorised pass can train, groups into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from nndiag.training.linearity import serves_many
from nndiag.training.members import Member
from nndiag.training.stepping import optimizer_key
from nndiag.zoo import optimizers
from nndiag.zoo.registry import is_import

#: Numbers of all members' parameters that still move through a CPU's caches at speed. A network
#: that has more trains alone: its products fill the machine.
_CPU_NUMBERS = 4_000_000
_MOST_MEMBERS = 128
#: Members a lane must get for the division to pay.
_SHARED = 4


@dataclass(frozen=True)
class Group:
    """Members that can train as one.

    Attributes:
        places: those with one optimizer and its options are neighbours.
        alone: the optimizer because of which they train one by one instead, else None.
    """

    places: list[int]
    alone: str | None


def grouped(members: Sequence[Member], name: str) -> list[Group]:
    """Divide members by what a pass needs to be equal: the number of samples of a batch.

    Args:
        name: the optimizer of members that name none.
    """
    by_name: dict[str, list[Member]] = {}
    for member in members:
        by_name.setdefault(member.optimizer or name, []).append(member)
    alone = {own: None if _steps_many(own, its) else own for own, its in by_name.items()}
    groups: dict[tuple[int | None, bool, str | None], list[int]] = {}
    for place, member in enumerate(members):
        own = member.optimizer or name
        samples = None if member.rows is None else len(member.rows)
        key = (samples, optimizers.parse(own).full_batch, alone[own])
        groups.setdefault(key, []).append(place)
    return [
        Group(sorted(places, key=lambda place: optimizer_key(members[place], name)), key[-1])
        for key, places in groups.items()
    ]


def _steps_many(optimizer: str, members: Sequence[Member]) -> bool:
    """Whether one optimizer can step all members; a class of the user's is tried out."""
    row = optimizers.parse(optimizer)
    if is_import(optimizer):
        distinct = {repr(sorted(member.options.items())): member.options for member in members}
        scheduled = any(member.schedule != "constant" for member in members)
        return all(serves_many(optimizer, options, scheduled) for options in distinct.values())
    return row.linear_in_lr and not row.needs_closure


def chunked(
    places: Sequence[int], model: nn.Module, device: torch.device, lanes: int
) -> Iterator[list[int]]:
    """Split places so that a chunk's parameters stay within reach of the caches (or the GPU).

    Every lane gets a chunk where there are enough members to share.
    """
    numbers = sum(parameter.numel() for parameter in model.parameters())
    if device.type == "cpu":
        size = max(1, min(_MOST_MEMBERS, _CPU_NUMBERS // numbers))
    else:
        free, _total = torch.cuda.mem_get_info(device) if device.type == "cuda" else (2**32, 0)
        size = max(1, int(free // (64 * numbers)))
    count = -(-len(places) // size)
    if len(places) >= _SHARED * lanes:
        count = -(-count // lanes) * lanes  # every lane as many chunks
    ends = [len(places) * place // count for place in range(count + 1)]  # even chunks
    for low, high in pairwise(ends):
        yield list(places[low:high])
