"""`nndiag transfer`: what pre-training gives, by strategy, over seeds, against scratch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from nndiag import __version__
from nndiag.datasets import images
from nndiag.datasets.images import TargetImages
from nndiag.diagnosis.transfer_reading import reading
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_transfer import TransferSpec, head_units
from nndiag.training import devices, saving, transferring, weights
from nndiag.training.transferring import Learner, Strategy, Transferred, Tuning
from nndiag.training.weights import Weights
from nndiag.zoo import augmentations, backbones

#: Epochs over which the early slope is taken.
EARLY = 3


@dataclass(kw_only=True)
class _Tried:
    """One strategy at one number of labels, a run a seed."""

    how: Strategy
    labels: int
    runs: list[Transferred] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


def run(spec: TransferSpec, *, save: str | None = None, watch: Watch | None = None) -> Result:
    """Train every strategy with the same images, order and epochs; say what pre-training gave.

    Ctrl-C keeps what is complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    watch = watch or Silent()
    device = devices.resolve(spec.device)
    images.check(spec.data)
    sizes = image_size(spec, own=False), image_size(spec, own=True)
    given = weights.find(spec.weights, spec.backbone, sizes, device, watch)
    bench = _Bench(spec, given, device)
    tried: list[_Tried] = []
    interrupted = False
    saved = None
    epochs = itertools.count(1)

    def tick() -> None:
        watch.update(next(epochs))

    try:
        plans = list(bench.plans())
        watch.stage(_("epochs"), len(plans) * spec.seeds * bench.epochs)
        for how, labels in plans:
            tried.append(_Tried(how=how, labels=labels))
            for seed in range(spec.seed, spec.seed + spec.seeds):
                learner, one, test = bench.train(how, labels, seed, tick)
                tried[-1].runs.append(one)
                tried[-1].test.append(test)
                if save and saved is None and how.name == _kept(spec):
                    names = bench.target(labels, seed).classes
                    saved = saving.save(
                        learner, names, spec, save, image_size=bench.image_size
                    )
    except KeyboardInterrupt:
        interrupted = True
        tried = [one for one in tried if len(one.runs) == spec.seeds]
    rows = [_row(one) for one in tried]
    return Result(
        command="transfer",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result={
            "backbone": bench.name,
            "weights": {"kind": given.kind, "origin": given.origin, "accuracy": given.accuracy},
            "data": bench.target(spec.labels_per_class[0], spec.seed).source,
            "problems": bench.problems,
            "image_size": bench.image_size,
            "epochs": bench.epochs,
            "rows": rows,
            "curves": [_curve(one) for one in tried],
            "blocks": _blocks(tried),
            "reading": reading(rows),
            "saved": saved,
            "interrupted": interrupted,
        },
        version=__version__,
    )


def image_size(spec: TransferSpec, *, own: bool) -> int:
    """Return the side of the images in pixels: as asked, the backbone's own, or a small one."""
    row = backbones.row(spec.backbone)
    if spec.data.image_size is not None:
        return max(spec.data.image_size, row.least)
    return row.crop if own else row.small_images


class _Bench:
    """What all trainings share."""

    def __init__(self, spec: TransferSpec, given: Weights, device: torch.device) -> None:
        self.spec, self.given, self.device = spec, given, device
        self.row = backbones.row(spec.backbone)
        self.name = self.row.name
        self.image_size = image_size(spec, own=given.kind in ("imagenet", "file"))
        small = self.row is backbones.SMALL
        self.epochs = spec.epochs or (24 if small else 12)
        self._targets: dict[tuple[int, int], TargetImages] = {}
        self._blocks = len(backbones.blocks(self._body(0, pretrained=False)))

    @property
    def problems(self) -> list[str]:
        return sorted({p for target in self._targets.values() for p in target.problems})

    def plans(self) -> Iterator[tuple[Strategy, int]]:
        """Yield every strategy with every number of labels."""
        for labels in self.spec.labels_per_class:
            for name in dict.fromkeys(self.spec.strategies):
                yield transferring.strategy(name, self._blocks), labels
        if self.spec.by_layer:
            for count in range(self._blocks + 1):
                how = transferring.first_frozen(count, self._blocks)
                yield how, self.spec.labels_per_class[0]

    def target(self, labels: int, seed: int) -> TargetImages:
        """Return the images of a seed, normalised and on the device."""
        if (labels, seed) not in self._targets:
            found = images.load(
                self.spec.data,
                labels_per_class=labels,
                image_size=self.image_size,
                resize=self.row.resize if self.image_size == self.row.crop else self.image_size,
                seed=seed,
            )
            parts = {
                name: replace(
                    part, x=images.normalised(part.x).to(self.device), y=part.y.to(self.device)
                )
                for name in ("train", "validation", "test")
                for part in (getattr(found, name),)
            }
            self._targets[labels, seed] = replace(found, **parts)
        return self._targets[labels, seed]

    def train(
        self, how: Strategy, labels: int, seed: int, told: Callable[[], None]
    ) -> tuple[Learner, Transferred, float]:
        """Train one network; return it, what happened, and its accuracy on the test images."""
        spec, target = self.spec, self.target(labels, seed)
        body = self._body(seed, pretrained=how.pretrained)
        learner = Learner(
            body, backbones.blocks(body), self._head(body, len(target.classes), seed)
        )
        tuning = Tuning(
            epochs=self.epochs,
            batch_size=spec.batch_size,
            lr=spec.lr,
            backbone_rate=spec.backbone_rate,
            seed=seed,
            augment=augmentations.of(spec.data.name) if spec.augment else None,
        )
        one = learner.fit(
            how,
            tuning,
            (target.train.x, target.train.y),
            (target.validation.x, target.validation.y),
            told=told,
        )
        return learner, one, learner.accuracy(target.test.x, target.test.y)

    def _body(self, seed: int, *, pretrained: bool) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = backbones.build(self.name, image_size=self.image_size)
        body = backbones.body(model, pooled=not self.spec.head.startswith("flatten"))
        if pretrained and self.given.state is not None:
            body.load_state_dict(dict(self.given.state))
        return body.to(self.device)

    def _head(self, body: nn.Module, classes: int, seed: int) -> nn.Module:
        side = self.image_size
        with torch.no_grad():
            width = body.eval()(torch.zeros(2, 3, side, side, device=self.device)).shape[1]
        units = head_units(self.spec.head)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            dropout = [nn.Dropout(self.spec.dropout)] if self.spec.dropout else []
            if not units:
                layers: list[nn.Module] = [*dropout, nn.Linear(width, classes)]
            else:
                layers = [nn.Linear(width, units), nn.ReLU(), *dropout, nn.Linear(units, classes)]
            head = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
        return head.to(self.device)


def _kept(spec: TransferSpec) -> str:
    """Return the strategy whose first network is saved."""
    return "finetune" if "finetune" in spec.strategies else spec.strategies[0]


def _slope(accuracy: Sequence[float]) -> float:
    """Return the mean rise an epoch from before training over the first epochs."""
    early = min(EARLY, len(accuracy) - 1)
    return (accuracy[early] - accuracy[0]) / early


def _row(one: _Tried) -> dict[str, Any]:
    return {
        "label": f"{one.how.name}, {one.labels}",
        "strategy": one.how.name,
        "labels_per_class": one.labels,
        "pretrained": one.how.pretrained,
        "start": interval([run.accuracy[1] for run in one.runs]),
        "slope": interval([_slope(run.accuracy) for run in one.runs]),
        "test_accuracy": interval(one.test),
        "validation_accuracy": interval([run.accuracy[-1] for run in one.runs]),
        "trainable_parameters": one.runs[0].trainable,
        "seconds": float(np.mean([run.seconds for run in one.runs])),
        "diverged": sum(not np.isfinite(run.loss).all() for run in one.runs),
        "runs": [
            {"start": run.accuracy[1], "slope": _slope(run.accuracy), "test_accuracy": test}
            for run, test in zip(one.runs, one.test, strict=True)
        ],
    }


def _curve(one: _Tried) -> dict[str, Any]:
    table = np.array([run.accuracy for run in one.runs])
    return {
        "strategy": one.how.name,
        "labels_per_class": one.labels,
        "accuracy": [interval(values) for values in table.T],
        "loss": [interval(values) for values in np.array([run.loss for run in one.runs]).T],
    }


def _blocks(tried: Sequence[_Tried]) -> list[dict[str, Any]]:
    """Return gradient norm and movement of each block for the strategies that free any."""
    return [
        {
            "strategy": one.how.name,
            "labels_per_class": one.labels,
            "block": name,
            "gradient_norm": interval([r.gradient[name] for r in one.runs], log=True),
            "moved": interval([r.moved[name] for r in one.runs], log=True),
        }
        for one in tried
        for name in one.runs[0].gradient
    ]
