"""What all trainings of one `nndiag transfer` share: weights, images, bodies and heads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nndiag.datasets import images
from nndiag.datasets.images import TargetImages
from nndiag.schema.progress import Watch
from nndiag.schema.spec_transfer import RATE, RATE_WITHOUT_NORM, TransferSpec, head_units
from nndiag.training import devices, distributed, pretraining, transferring, weights
from nndiag.training.transferring import Learner, Strategy, Transferred, Tuning
from nndiag.training.weights import Weights
from nndiag.zoo import augmentations, backbones

#: Images whose forward pass is timed for the estimate.
_TIMED = 64

Told = Callable[[], None]


def _silent() -> None:
    pass


def image_size(spec: TransferSpec, *, own: bool) -> int:
    """Return the side of the images in pixels: as asked, the backbone's own, or a small one."""
    row = backbones.row(spec.backbone)
    if spec.data.image_size is not None:
        return row.side(spec.data.image_size)
    return row.crop if own else row.small_images


class TransferBench:
    """A backbone with its weights and the target's images, by number of labels and seed.

    Attributes:
        block_count: blocks of the body.
        lr: of a random backbone.
    """

    def __init__(
        self, spec: TransferSpec, given: Weights, device: torch.device, watch: Watch | None = None
    ) -> None:
        self.spec, self.given, self.device = spec, given, device
        self._watch = watch  # of the first reading of the images, which may be many files
        self.row = backbones.row(spec.backbone)
        self.image_size = image_size(spec, own=given.kind in ("imagenet", "file"))
        self._labels = 0
        self._targets: dict[int, TargetImages] = {}
        self._source = ""
        self._problems: set[str] = set()
        outline = self._headless(backbones.outline(self.row.name, image_size=self.image_size))
        self.block_count = len(backbones.blocks(outline))
        usual = RATE if pretraining.normalises_batches(outline) else RATE_WITHOUT_NORM
        self.lr = usual if spec.lr is None else spec.lr
        with torch.no_grad():
            shape = 2, 3, self.image_size, self.image_size
            self._width = outline.eval()(torch.empty(shape, device="meta")).shape[1]

    @classmethod
    def of(
        cls, spec: TransferSpec, watch: Watch, device: torch.device | None = None
    ) -> TransferBench:
        """Find the weights (a pre-training, where there are none yet) and return the bench.

        The data are looked at first: nobody waits for a pre-training to learn of a wrong folder.
        """
        device = device or devices.resolve(spec.device)
        sizes = image_size(spec, own=False), image_size(spec, own=True)
        with distributed.first_on_machine():
            images.check(spec.data, max(spec.labels_per_class), watch)
            given = weights.find(spec.weights, spec.backbone, sizes, device, watch)
        return cls(spec, given, device, watch)

    def facts(self) -> dict[str, Any]:
        """Return what a result says of the bench."""
        given = self.given
        return {
            "backbone": self.row.name,
            "weights": {"kind": given.kind, "origin": given.origin, "accuracy": given.accuracy},
            "data": self._source
            or self.target(self.spec.labels_per_class[0], self.spec.seed).source,
            "problems": sorted(self._problems),
            "image_size": self.image_size,
            "epochs": self.spec.epochs,
            "lr": self.lr,
        }

    def plans(self) -> Iterator[tuple[Strategy, int]]:
        """Yield every strategy, and the control, with every number of labels."""
        for labels in self.spec.labels_per_class:
            for name in dict.fromkeys([*self.spec.strategies, "random"]):
                yield transferring.strategy(name, self.block_count), labels
        if self.spec.by_layer:
            for count in range(self.block_count + 1):
                how = transferring.first_frozen(count, self.block_count)
                yield how, self.spec.labels_per_class[0]

    def target(self, labels: int, seed: int) -> TargetImages:
        """Return the images of a seed, normalised and on the device.

        Those of one number of labels are kept: images of 224 pixels fill memory fast.
        """
        if labels != self._labels:
            self._labels = labels
            self._targets.clear()
        if seed not in self._targets:
            found = images.load(
                self.spec.data,
                labels_per_class=labels,
                image_size=self.image_size,
                resize=self.row.resize if self.image_size == self.row.crop else self.image_size,
                seed=seed,
                watch=self._watch,
            )
            self._watch = None
            self._source = found.source
            self._problems.update(found.problems)
            parts = {
                name: replace(
                    part, x=images.normalised(part.x).to(self.device), y=part.y.to(self.device)
                )
                for name in ("train", "validation", "test")
                for part in (getattr(found, name),)
            }
            self._targets[seed] = replace(found, **parts)
        return self._targets[seed]

    def seconds(self, plans: Sequence[tuple[Strategy, int]]) -> float:
        """Return how long all plans will take, from a step and a forward pass on this machine."""
        labels, batch = plans[0][1], self.spec.batch_size
        target = self.target(labels, self.spec.seed)
        learner = self._learner(target, self.spec.seed, pretrained=False)
        rows = slice(0, min(batch, len(target.train.y)))
        few = (target.train.x[rows], target.train.y[rows])
        how = transferring.strategy("scratch", self.block_count)
        tuning = replace(self._tuning(self.spec.seed), epochs=1)
        step = min(learner.fit(how, tuning, few, few).seconds for _try in range(2))
        began = time.perf_counter()
        learner.accuracy(target.validation.x[:_TIMED], target.validation.y[:_TIMED])
        look = (time.perf_counter() - began) / len(target.validation.y[:_TIMED])
        watched = len(target.validation.y)
        once = (watched + len(target.test.y)) * look
        total = 0.0
        for strategy, count in plans:
            trained = count * len(target.classes)
            for stage in strategy.stages:
                freed = stage.count(self.block_count) / self.block_count
                images_seen = self.spec.epochs * stage.share * trained
                if freed:
                    total += images_seen * (look + freed * max(0.0, step / batch - look))
                    total += self.spec.epochs * stage.share * watched * look
                else:
                    total += (trained + watched) * look
            total += once
        return total * self.spec.seeds

    def train(
        self, how: Strategy, labels: int, seed: int, told: Told = _silent
    ) -> tuple[Learner, Transferred, float]:
        """Train one network; return it, what happened, and its accuracy on the test images."""
        target = self.target(labels, seed)
        learner = self._learner(target, seed, pretrained=how.pretrained)
        one = learner.fit(
            how,
            self._tuning(seed),
            (target.train.x, target.train.y),
            (target.validation.x, target.validation.y),
            told=told,
        )
        return learner, one, learner.accuracy(target.test.x, target.test.y)

    def _learner(self, target: TargetImages, seed: int, *, pretrained: bool) -> Learner:
        body = self.body(seed, pretrained=pretrained)
        return Learner(body, backbones.blocks(body), self._head(len(target.classes), seed))

    def _tuning(self, seed: int) -> Tuning:
        spec = self.spec
        return Tuning(
            epochs=self.spec.epochs,
            batch_size=spec.batch_size,
            lr=self.lr,
            backbone_rate=spec.backbone_rate,
            seed=seed,
            augment=augmentations.of(spec.data.name) if spec.augment else None,
        )

    def body(self, seed: int, *, pretrained: bool) -> nn.Module:
        """Return a body, with the given weights or with random ones drawn from the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = backbones.build(self.row.name, image_size=self.image_size)
        body = self._headless(model)
        if pretrained and self.given.state is not None:
            body.load_state_dict(dict(self.given.state))
        return body.to(self.device)

    def _headless(self, model: nn.Module) -> nn.Module:
        return backbones.body(model, pooled=not self.spec.head.startswith("flatten"))

    def _head(self, classes: int, seed: int) -> nn.Module:
        units = head_units(self.spec.head)
        dropout = [nn.Dropout(self.spec.dropout)] if self.spec.dropout else []
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if not units:
                layers: list[nn.Module] = [*dropout, nn.Linear(self._width, classes)]
            else:
                hidden = nn.Linear(self._width, units)
                layers = [hidden, nn.ReLU(), *dropout, nn.Linear(units, classes)]
        head = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
        return head.to(self.device)
