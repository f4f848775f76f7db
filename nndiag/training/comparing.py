"""A comparison of variants: each is a small sweep, judged at its own best configuration.

Axes: C configuration of a variant, S seed, E evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nndiag.datasets.splits import Splits
from nndiag.diagnosis.rate_range import NEAR, decades
from nndiag.locales import _
from nndiag.schema.progress import Watch
from nndiag.schema.result import Interval, interval
from nndiag.schema.significance import holm, paired_p_value
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_presets import PresetSpec, sweep_command
from nndiag.schema.spec_sweep import Configuration, Run, SweepSpec
from nndiag.training import configurations, devices
from nndiag.training.groups import last_loss, loaded, record_of
from nndiag.training.members import Record, TensorData, join, take
from nndiag.training.population import Progress, first_at
from nndiag.training.variants import Variant

_LEVEL = 0.05
#: Points of a curve that is shown.
_POINTS = 200


@dataclass(frozen=True)
class Tuned:
    """A variant after its trainings.

    Attributes:
        configurations: C complete ones.
        records: of the S members of each.
    """

    variant: Variant
    configurations: Sequence[Configuration]
    records: Sequence[Record]

    def of(self, place: int) -> Record:
        """Return the S members of a configuration."""
        return self.records[place]

    @property
    def diverged(self) -> np.ndarray:
        """Which of all C x S members diverged."""
        return np.concatenate([record.diverged for record in self.records])

    def score(self, place: int) -> tuple[float, float]:
        """Return mean final validation accuracy and minus the mean loss; diverged ones score 0."""
        record = self.of(place)
        accuracy = np.where(record.diverged, 0.0, record.val_accuracy[-1])
        loss = np.where(record.diverged, np.inf, record.val_loss[-1])
        return float(accuracy.mean()), -float(loss.mean())

    @cached_property
    def best(self) -> int:
        """The place of the configuration with the best validation accuracy (ties: lower loss)."""
        return max(range(len(self.configurations)), key=self.score)

    @property
    def chosen(self) -> Configuration:
        return self.configurations[self.best]

    @cached_property
    def members(self) -> Record:
        """The S members of the best configuration."""
        return self.of(self.best)

    def at(self, **settings: Any) -> int:
        """Return the place of the first configuration with these settings.

        Raises:
            StopIteration: there is none.
        """
        return next(
            place
            for place, one in enumerate(self.configurations)
            if all(one[name] == value for name, value in settings.items())
        )


class Trainer:
    """Trains variants one after another and says how far it is.

    Args:
        variants: all that will be trained, for the progress.
        looks: `probe_every`, `eval_train` of `training.groups.record_of`.
    """

    def __init__(self, variants: Sequence[Variant], watch: Watch, **looks: Any) -> None:
        self._watch, self._looks = watch, looks
        works = [_work(one.sweep) for one in variants]
        self._total, self._done = sum(work for work, _count in works), 0.0
        text = _("training {count} networks, work in %")
        watch.stage(text.format(count=sum(count for _work, count in works)), 100)

    def train(self, variant: Variant) -> Tuned:
        """Train every configuration of a variant with every seed, as `nndiag sweep` does."""
        spec = variant.sweep
        asked = configurations.asked(spec)
        runs = configurations.runs(spec, asked)
        place_of = {id(run): place // spec.seeds for place, run in enumerate(runs)}
        pieces: list[list[Record]] = [[] for _one in asked]
        for group in configurations.grouped(runs):
            depth = group[0].configuration["depth"]
            record, _samples = record_of(
                group,
                data=DataSpec(root=spec.data_root, target=spec.target),
                device=spec.device,
                progress=self._progress(depth),
                **self._looks,
            )
            places = np.array([place_of[id(run)] for run in group])
            for place in dict.fromkeys(places.tolist()):
                pieces[place].append(take(record, np.flatnonzero(places == place)))
        return Tuned(variant, asked, [join(parts) for parts in pieces])

    def until_interrupted(self, variants: Sequence[Variant]) -> tuple[list[Tuned], bool]:
        """Train variants; Ctrl-C keeps those that are complete (the flag is then True)."""
        found: list[Tuned] = []
        try:
            found.extend(map(self.train, variants))
        except KeyboardInterrupt:
            return found, True
        return found, False

    def _progress(self, depth: int) -> Progress:
        def tell(steps: int) -> None:
            self._done += steps * depth
            self._watch.update(min(100, int(100 * self._done / self._total)))

        return tell


def _work(spec: SweepSpec) -> tuple[float, int]:
    """Return the layer-steps of a sweep and how many networks it trains."""
    asked = configurations.asked(spec)
    work = sum(one["steps"] * one["depth"] * spec.seeds for one in asked)
    return float(work), len(asked) * spec.seeds


def rows(tuned: Sequence[Tuned], spec: PresetSpec, reference: str | None = None) -> list[Any]:
    """Return a row a variant at its best configuration, in the order given.

    Test accuracies are compared, seed by seed, with those of `reference`, or where there is none
    of the variant with the best validation accuracy (paired t-test, Holm over the variants).
    """
    if not tuned:
        return []
    against = next((one for one in tuned if one.variant.label == reference), None)
    against = against or max(tuned, key=lambda one: one.score(one.best))
    own = accuracies(against.members)
    gains = [accuracies(one.members) - own for one in tuned]
    others = [place for place, one in enumerate(tuned) if one is not against]
    adjusted = holm([paired_p_value(gains[place]) for place in others])
    p_values = dict(zip(others, adjusted, strict=True))
    return [
        {
            **_row(one, spec),
            "gain": interval(gains[place]),
            "p_value": p_values.get(place, 1.0),
            "tied": p_values.get(place, 1.0) >= _LEVEL,
            "reference": one is against,
        }
        for place, one in enumerate(tuned)
    ]


def accuracies(record: Record) -> np.ndarray:
    """Return the (S,) test accuracies; what diverged counts 0."""
    return np.where(record.diverged, 0.0, record.test_accuracy)


def _row(one: Tuned, spec: PresetSpec) -> dict[str, Any]:
    record, sweep = one.members, one.variant.sweep
    reached = first_at(record.evaluated, record.val_accuracy, spec.target_accuracy)
    arrives = bool((reached > 0).all())
    steps = one.chosen["steps"]
    return {
        "label": one.variant.label,
        **{axis.name: one.chosen[axis.name] for axis in sweep.parsed},
        "test_accuracy": interval(accuracies(record)),
        "test_loss": interval(record.test_loss),
        "val_accuracy": interval(np.where(record.diverged, 0.0, record.val_accuracy[-1])),
        "val_loss": interval(record.val_loss[-1]),
        "train_loss": interval([last_loss(record, place) for place in range(sweep.seeds)]),
        "steps_to_target": interval(reached) if arrives else None,
        "seconds_to_target": interval(record.seconds * reached / steps) if arrives else None,
        "seconds": float(record.seconds.mean()),
        "diverged": int(record.diverged.sum()),
        "diverged_share": float(one.diverged.mean()),
        "usable_decades": _usable_decades(one),
        "runs": sweep.seeds,
        "steps": steps,
        "trainings": len(one.diverged),
        "sweep": sweep_command(sweep),
    }


def curves(tuned: Sequence[Tuned]) -> list[dict[str, Any]]:
    """Return losses and accuracies over the steps, of each variant at its best configuration."""
    return [{"label": one.variant.label, **_curve(one.members)} for one in tuned]


def _curve(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {"steps": record.evaluated.tolist()}
    for name in ("val_loss", "val_accuracy", "train_loss", "train_accuracy"):
        table = getattr(record, name)
        if np.isfinite(table).any():
            found[name] = [_mean(values) for values in table]
    every = max(1, len(record.loss) // _POINTS)
    found["batch_loss"] = {
        "steps": record.steps[::every].tolist(),
        "values": [float(np.mean(values)) for values in record.loss[::every]],
    }
    return found


def _mean(values: np.ndarray) -> Interval:
    finite = values[np.isfinite(values)]
    return interval(finite if finite.size else [np.nan])


def sensitivities(tuned: Sequence[Tuned]) -> list[dict[str, Any]]:
    """Return validation accuracy by learning rate, other settings as in the best configuration."""
    return [one for one in map(_sensitivity, tuned) if len(one["rates"]) > 1]


def _sensitivity(one: Tuned) -> dict[str, Any]:
    rest = {a.name: one.chosen[a.name] for a in one.variant.sweep.parsed if a.name != "lr"}
    places = [
        place
        for place, other in enumerate(one.configurations)
        if all(other[name] == value for name, value in rest.items())
    ]
    places.sort(key=lambda place: float(one.configurations[place]["lr"]))
    return {
        "label": one.variant.label,
        "rates": [one.configurations[place]["lr"] for place in places],
        "val_accuracy": [_scored(one.of(place)) for place in places],
    }


def _scored(record: Record) -> Interval:
    return interval(np.where(record.diverged, 0.0, record.val_accuracy[-1]))


def norms(record: Record) -> np.ndarray:
    """Return the (S,) norms of all weight matrices and kernels together."""
    total = sum(w.double().square().flatten(1).sum(1) for w in _weights(record))
    return np.sqrt(np.asarray(total))


def sparsity(record: Record, limit: float) -> np.ndarray:
    """Return the (S,) shares of weights whose absolute value is below a limit."""
    weights = torch.cat([w.flatten(1) for w in _weights(record)], dim=1)
    return np.asarray((weights.abs() < limit).double().mean(1))


def _weights(record: Record) -> list[Tensor]:
    return [value for value in record.states.values() if value.ndim > 2]


def notes(tuned: Sequence[Tuned]) -> list[str]:
    """Return what the engine has to say about the trainings, each sentence once."""
    records = (record for one in tuned for record in one.records)
    return list(dict.fromkeys(note for record in records for note in record.notes))


def edges(tuned: Sequence[Tuned]) -> Iterator[dict[str, Any]]:
    """Yield the variants whose best learning rate is the smallest or the largest tried."""
    for one in tuned:
        rates = sorted({float(other["lr"]) for other in one.configurations})
        rate = float(one.chosen["lr"])
        if len(rates) > 2 and rate in (rates[0], rates[-1]):
            yield {"label": one.variant.label, "lr": rate, "largest": rate == rates[-1]}


def _usable_decades(one: Tuned) -> float | None:
    """Return the width of the range of rates within two points of the best; None for one rate."""
    found = _sensitivity(one)
    if len(found["rates"]) < 2:
        return None
    scores = [number.mean for number in found["val_accuracy"]]
    return decades(found["rates"], scores, max(scores) - NEAR)


def summary(
    tuned: Sequence[Tuned], spec: PresetSpec, interrupted: bool, reference: str | None = None
) -> dict[str, Any]:
    """Return what every preset's result has."""
    return {
        "data": _data(spec),
        "shared": _shared(tuned),
        "trainings": sum(len(one.diverged) for one in tuned),
        "rows": rows(tuned, spec, reference),
        "curves": curves(tuned),
        "sensitivity": sensitivities(tuned),
        "edges": list(edges(tuned)),
        "notes": notes(tuned),
        "interrupted": interrupted,
    }


def data_of(spec: PresetSpec) -> tuple[Splits, TensorData]:
    """Return what the trainings of a preset share, on its device."""
    run = Run(configuration=configurations.complete(spec.settings), seed=0, split=spec.seed)
    data = DataSpec(root=spec.data_root, target=spec.target)
    return loaded(run, data, devices.resolve(spec.device))


def _data(spec: PresetSpec) -> dict[str, Any]:
    splits, _tensors = data_of(spec)
    sizes = {
        "train": len(splits.train.y),
        "validation": len(splits.validation.y),
        "test": len(splits.test.y),
    }
    return {"name": splits.name, "samples": sizes, "classes": len(splits.classes)}


def _shared(tuned: Sequence[Tuned]) -> dict[str, Any]:
    """Return the settings that are the same in all trainings, those that are left out apart."""
    everything = [one for each in tuned for one in each.configurations]
    return {
        name: value
        for name, value in (everything[0].items() if everything else ())
        if value is not None and all(one[name] == value for one in everything)
    }
