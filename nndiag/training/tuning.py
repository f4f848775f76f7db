"""A fair trial of one candidate: a grid of learning rates, the best on validation, then seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from nndiag.datasets.splits import Splits
from nndiag.schema.spec import NetworkSpec
from nndiag.training import population
from nndiag.training.initial import network_for
from nndiag.training.members import Member, Record, Settings, TensorData, join, take
from nndiag.training.population import Progress, train


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every trial of a comparison shares."""

    splits: Splits
    data: TensorData
    settings: Settings
    progress: Progress

    @classmethod
    def of(cls, splits: Splits, settings: Settings, progress: Progress) -> Bench:
        """Return a bench on the CPU."""
        data = TensorData.of(splits, torch.device("cpu"))
        return cls(splits=splits, data=data, settings=settings, progress=progress)

    @property
    def device(self) -> torch.device:
        return self.data.train_x.device


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """A record with what was varied, one entry a member.

    Attributes:
        rates, seeds: (M,).
        chosen: the best rate, where it was chosen before further seeds were added.
    """

    record: Record
    rates: np.ndarray
    seeds: np.ndarray
    chosen: float | None = None

    def at(self, rate: float) -> np.ndarray:
        """Return the places of the members with this rate."""
        return np.flatnonzero(self.rates == rate)

    def score(self, rate: float) -> tuple[float, float]:
        """Return mean final validation accuracy and minus the mean loss; diverged ones score 0."""
        places = self.at(rate)
        gone = self.record.diverged[places]
        accuracy = np.where(gone, 0.0, self.record.val_accuracy[-1, places])
        loss = np.where(gone, np.inf, self.record.val_loss[-1, places])
        return float(accuracy.mean()), -float(loss.mean())

    @property
    def best_rate(self) -> float:
        """Return the rate with the best validation accuracy (ties: the lower loss)."""
        if self.chosen is not None:
            return self.chosen
        return max(self.tried, key=self.score)

    @property
    def tried(self) -> list[float]:
        """Return the different rates, in order."""
        return sorted(set(self.rates.tolist()))


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network with the way it is trained, rates and seeds apart.

    Attributes:
        optimizer: its own, None for that of the bench.
    """

    network: NetworkSpec
    optimizer: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None


def rate_grid(centre: float, count: int, ratio: float = 10**0.5) -> list[float]:
    """Return `count` rates, `ratio` apart, around `centre`."""
    return [centre * ratio ** (k - (count - 1) // 2) for k in range(count)]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A candidate with the learning rates and seeds to train it with, all combinations."""

    candidate: Candidate
    rates: Sequence[float]
    seeds: Sequence[int]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during trials.

    Attributes:
        found: what is complete of each request, None for nothing.
    """

    def __init__(self, found: Sequence[Trainings | None]) -> None:
        super().__init__()
        self.found = found


def trials(requests: Sequence[Request], bench: Bench) -> list[Trainings]:
    """Train candidates of one structure together; seed s draws network and data order alike.

    Raises:
        Interrupted: at Ctrl-C.
    """
    entries = [
        (request.candidate, rate, seed)
        for request in requests
        for rate in request.rates
        for seed in request.seeds
    ]
    members = [
        Member(
            seed=seed,
            lr=rate,
            options=candidate.options,
            clip_norm=candidate.clip_norm,
            clip_value=candidate.clip_value,
            optimizer=candidate.optimizer,
        )
        for candidate, rate, seed in entries
    ]
    build = _drawn([(candidate.network, seed) for candidate, _rate, seed in entries], bench)

    def shared(record: Record, order: np.ndarray) -> Iterator[Trainings | None]:
        """Yield the part of each request; `order` says which members the record has."""
        start = 0
        for request in requests:
            end = start + len(request.rates) * len(request.seeds)
            own = np.flatnonzero((order >= start) & (order < end))
            start = end
            if own.size:
                own = own[np.argsort(order[own])]
                yield Trainings(
                    record=take(record, own),
                    rates=np.array([float(members[place].lr) for place in order[own]]),
                    seeds=np.array([members[place].seed for place in order[own]]),
                )
            else:
                yield None

    try:
        record = train(build, members, bench.settings, bench.data, bench.progress)
    except population.Interrupted as stop:
        if stop.record is None:
            raise Interrupted([None] * len(requests)) from None
        raise Interrupted(list(shared(stop.record, np.array(stop.places)))) from None
    return [part for part in shared(record, np.arange(len(members))) if part is not None]


def trial(
    candidate: Candidate, bench: Bench, rates: Sequence[float], seeds: Sequence[int]
) -> Trainings:
    """Train one candidate with every rate and seed."""
    return trials([Request(candidate=candidate, rates=rates, seeds=seeds)], bench)[0]


def tuned(requests: Sequence[Request], bench: Bench, choosing: int) -> list[Trainings]:
    """Choose each candidate's rate on its first `choosing` seeds, then train the others at it.

    Raises:
        Interrupted: at Ctrl-C, with the candidates whose rate was chosen.
    """
    first = [replace(one, seeds=one.seeds[:choosing]) for one in requests]
    try:
        found = trials(first, bench)
    except Interrupted as stop:
        chosen = [
            one
            if one is not None and len(one.rates) == len(asked.rates) * len(asked.seeds)
            else None
            for one, asked in zip(stop.found, first, strict=True)
        ]
        raise Interrupted(chosen) from None
    best = [one.best_rate for one in found]
    later = [
        replace(one, rates=[rate], seeds=one.seeds[choosing:])
        for one, rate in zip(requests, best, strict=True)
    ]
    if not any(one.seeds for one in later):
        return found

    def whole(more: Sequence[Trainings | None]) -> list[Trainings]:
        return [
            replace(one if other is None else joined(one, other), chosen=rate)
            for one, other, rate in zip(found, more, best, strict=True)
        ]

    try:
        return whole(trials(later, bench))
    except Interrupted as stop:
        raise Interrupted(whole(stop.found)) from None


def joined(first: Trainings, second: Trainings) -> Trainings:
    """Return the members of both."""
    return Trainings(
        record=join([first.record, second.record]),
        rates=np.concatenate([first.rates, second.rates]),
        seeds=np.concatenate([first.seeds, second.seeds]),
    )


def _drawn(wanted: Sequence[tuple[NetworkSpec, int]], bench: Bench) -> Callable[[int], nn.Module]:
    """Return a builder of network number k, of the k-th spec and drawn from the k-th seed."""

    def build(place: int) -> nn.Module:
        spec, seed = wanted[place]
        return network_for(spec, bench.splits, seed, bench.settings.batch_size, bench.device)

    return build
