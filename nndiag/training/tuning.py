"""A fair trial of one candidate: a grid of learning rates, the best on validation, then seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from nndiag.datasets.splits import Splits
from nndiag.schema.spec import NetworkSpec
from nndiag.training.initial import first_batch
from nndiag.training.members import Member, Record, Settings, TensorData, join
from nndiag.training.population import Progress, train
from nndiag.zoo import activations, initialisations, networks


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every trial of a comparison shares."""

    splits: Splits
    data: TensorData
    settings: Settings
    progress: Progress

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
        return max(sorted(set(self.rates.tolist())), key=self.score)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network with the way it is trained, rates and seeds apart."""

    network: NetworkSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None


def rate_grid(centre: float, count: int, ratio: float = 10**0.5) -> list[float]:
    """Return `count` rates, `ratio` apart, around `centre`."""
    return [centre * ratio ** (k - (count - 1) // 2) for k in range(count)]


def trial(
    candidate: Candidate, bench: Bench, rates: Sequence[float], seeds: Sequence[int]
) -> Trainings:
    """Train the candidate with every rate and seed; seed s draws network and data order alike."""
    pairs = [(rate, seed) for rate in rates for seed in seeds]
    members = [
        Member(
            seed=seed,
            lr=rate,
            options=candidate.options,
            clip_norm=candidate.clip_norm,
            clip_value=candidate.clip_value,
        )
        for rate, seed in pairs
    ]
    build = drawn(candidate.network, bench, [seed for _rate, seed in pairs])
    record = train(build, members, bench.settings, bench.data, bench.progress)
    return Trainings(
        record=record,
        rates=np.array([rate for rate, _seed in pairs]),
        seeds=np.array([seed for _rate, seed in pairs]),
    )


def joined(first: Trainings, second: Trainings) -> Trainings:
    """Return the members of both."""
    return Trainings(
        record=join([first.record, second.record]),
        rates=np.concatenate([first.rates, second.rates]),
        seeds=np.concatenate([first.seeds, second.seeds]),
    )


def drawn(spec: NetworkSpec, bench: Bench, seeds: Sequence[int]) -> Callable[[int], nn.Module]:
    """Return a builder of network number k, drawn from seeds[k]."""
    init, act = initialisations.parse(spec.init), activations.parse(spec.act)

    def build(place: int) -> nn.Module:
        model = networks.build(spec, bench.splits.input_shape, len(bench.splits.classes))
        model = model.to(bench.device)
        batch = None
        if init.needs_batch:
            batch, _y = first_batch(
                bench.splits, bench.settings.batch_size, seeds[place], bench.device
            )
        initialisations.initialise(
            model,
            init,
            act,
            generator=torch.Generator().manual_seed(seeds[place]),
            bias_std=spec.bias_std,
            batch=batch,
        )
        return model

    return build
