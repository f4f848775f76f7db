"""Training a head on a backbone: which blocks learn when, and how fast.

A strategy is a list of stages. In a stage the last so many blocks of the backbone learn with the
head; the blocks before them stand still, their BatchNorm statistics too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.schema.spec_transfer import HEAD_RATE, unfrozen
from nndiag.training.short import flushed_denormals

Augment = Callable[[Tensor], Tensor]

#: Images of one pass without gradients.
_EVALUATED = 256


@dataclass(frozen=True)
class Stage:
    """A share of the epochs in which the last `blocks` blocks learn (None: all of them)."""

    share: float
    blocks: int | None


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a backbone is used.

    Attributes:
        pretrained: it starts from the given weights, else from random ones.
        slow: it learns at the smaller rate.
    """

    name: str
    pretrained: bool
    stages: tuple[Stage, ...]
    slow: bool = True


def strategy(name: str, blocks: int) -> Strategy:
    """Return the strategy of that name for a backbone of so many blocks.

    `random` is the control: a frozen backbone that was never trained tells what the architecture
    gives by itself. `gradual` frees one block more in each stage (Howard & Ruder 2018).
    """
    everything, head = (Stage(1.0, None),), (Stage(1.0, 0),)
    if name == "scratch":
        return Strategy(name=name, pretrained=False, stages=everything, slow=False)
    if name == "random":
        return Strategy(name=name, pretrained=False, stages=head)
    if name == "frozen":
        return Strategy(name=name, pretrained=True, stages=head)
    if name == "finetune":
        return Strategy(name=name, pretrained=True, stages=everything)
    if name == "gradual":
        share = 1 / (blocks + 1)
        stages = tuple(Stage(share, freed) for freed in range(blocks + 1))
        return Strategy(name=name, pretrained=True, stages=stages)
    count = min(unfrozen(name), blocks)
    return Strategy(name=name, pretrained=True, stages=(Stage(0.5, 0), Stage(0.5, count)))


def first_frozen(count: int, blocks: int) -> Strategy:
    """Return the strategy that freezes the first `count` blocks (Yosinski et al. 2014)."""
    return Strategy(
        name=f"first {count} frozen", pretrained=True, stages=(Stage(1.0, blocks - count),)
    )


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What all strategies share.

    Attributes:
        lr: of a backbone that starts from random weights; all rates fall along half a cosine.
        backbone_rate: share of it that a pre-trained backbone learns with.
    """

    epochs: int
    batch_size: int
    lr: float
    backbone_rate: float
    seed: int
    augment: Augment | None = None


@dataclass(kw_only=True)
class Transferred:
    """What one training gave.

    Attributes:
        accuracy: (epochs + 1,) on the validation images, before training first.
        loss: (epochs,) mean training loss.
        trainable: parameters that learnt at some time.
        moved: block -> norm of its change over norm of what it started from; absent if frozen.
        gradient: block -> root mean square gradient norm over the steps in which it learnt.
        seconds: of the training, evaluation left out.
    """

    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    trainable: int = 0
    moved: dict[str, float] = field(default_factory=dict)
    gradient: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Learner:
    """A body of named blocks with a head on it, and the training of both.

    Args:
        body: images (B, 3, S, S) to features (B, F).
        blocks: (name, module) from input to output; together they own every parameter of `body`.
        head: features to scores.
    """

    def __init__(
        self, body: nn.Module, blocks: Sequence[tuple[str, nn.Module]], head: nn.Module
    ) -> None:
        self.body, self.blocks, self.head = body, list(blocks), head

    def scores(self, x: Tensor) -> Tensor:
        """Return (N, classes) scores of images, in evaluation mode."""
        self.body.eval()
        self.head.eval()
        with torch.no_grad():
            return torch.cat([self.head(self.body(part)) for part in x.split(_EVALUATED)])

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        return float((self.scores(x).argmax(1) == y).double().mean())

    def fit(
        self,
        how: Strategy,
        tuning: Tuning,
        train: tuple[Tensor, Tensor],
        validation: tuple[Tensor, Tensor],
        told: Callable[[], None] = lambda: None,
    ) -> Transferred:
        """Train by a strategy.

        Args:
            train, validation: images (N, 3, S, S) and labels (N,).
            told: called after every epoch.
        """
        run = Transferred()
        start = {name: _copied(block) for name, block in self.blocks}
        squares: dict[str, list[Tensor]] = {}
        learnt: set[int] = set()
        with flushed_denormals(), torch.random.fork_rng():
            torch.manual_seed(tuning.seed)
            if all(stage.blocks == 0 for stage in how.stages) and tuning.augment is None:
                train, validation = self._features(train), self._features(validation)
                whole: nn.Module = self.head
            else:
                whole = nn.Sequential(self.body, self.head)
            run.accuracy.append(_accuracy(whole, *validation))
            order = torch.Generator().manual_seed(tuning.seed)
            optimizer = None
            previous: object = ()
            for epoch in range(tuning.epochs):
                stage = _stage(how.stages, epoch / tuning.epochs)
                if optimizer is None or stage is not previous:
                    freed = self._free(stage)
                    optimizer = self._optimizer(freed, how, tuning)
                    previous = stage
                learnt |= {id(p) for group in optimizer.param_groups for p in group["params"]}
                rate = 0.5 * (1 + np.cos(np.pi * epoch / tuning.epochs))
                started = time.perf_counter()
                run.loss.append(
                    self._epoch(whole, optimizer, rate, train, tuning, order, freed, squares)
                )
                run.seconds += time.perf_counter() - started
                run.accuracy.append(_accuracy(whole, *validation))
                told()
        run.trainable = sum(
            p.numel()
            for p in {id(p): p for p in [*self.body.parameters(), *self.head.parameters()]}.values()
            if id(p) in learnt
        )
        for name, block in self.blocks:
            if name in squares:
                run.gradient[name] = float(torch.stack(squares[name]).mean().sqrt())
                run.moved[name] = _moved(start[name], block)
        return run

    def _features(self, images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what the frozen body makes of all images: computed once."""
        self.body.eval()
        with torch.no_grad():
            return torch.cat([self.body(part) for part in images[0].split(_EVALUATED)]), images[1]

    def _free(self, stage: Stage) -> list[tuple[str, nn.Module]]:
        """Let the last blocks of a stage learn; return them."""
        count = len(self.blocks) if stage.blocks is None else stage.blocks
        freed = self.blocks[len(self.blocks) - count :]
        for parameter in self.body.parameters():
            parameter.requires_grad_(False)
        for _name, block in freed:
            for parameter in block.parameters():
                parameter.requires_grad_(True)
        return freed

    def _optimizer(
        self, freed: Sequence[tuple[str, nn.Module]], how: Strategy, tuning: Tuning
    ) -> torch.optim.Optimizer:
        rate = tuning.lr * (tuning.backbone_rate if how.slow else 1.0)
        groups = [{"params": list(self.head.parameters()), "lr": HEAD_RATE * tuning.lr}]
        owned = [p for _name, block in freed for p in block.parameters()]
        if owned:
            groups.append({"params": owned, "lr": rate})
        for group in groups:
            group["initial_lr"] = group["lr"]
        return torch.optim.AdamW(groups, weight_decay=1e-4, fused=True)

    def _epoch(
        self,
        whole: nn.Module,
        optimizer: torch.optim.Optimizer,
        rate: float,
        train: tuple[Tensor, Tensor],
        tuning: Tuning,
        order: torch.Generator,
        freed: Sequence[tuple[str, nn.Module]],
        squares: dict[str, list[Tensor]],
    ) -> float:
        """Make one pass over the training images; return the mean loss."""
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate
        self.body.eval()
        self.head.train()
        for _name, block in freed:
            block.train()
        x, y = train
        losses = []
        for rows in _batches(len(y), tuning.batch_size, order):
            images = x[rows] if tuning.augment is None else tuning.augment(x[rows])
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(whole(images), y[rows])
            loss.backward()
            for name, block in freed:
                squares.setdefault(name, []).append(_squared_norm(block))
            optimizer.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())


def _batches(samples: int, size: int, order: torch.Generator) -> list[Tensor]:
    """Return the row numbers of an epoch's batches; a last one of a single image joins another."""
    parts = list(torch.randperm(samples, generator=order).split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:  # BatchNorm cannot normalise one image
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _stage(stages: Sequence[Stage], done: float) -> Stage:
    """Return the stage under way when this share of the epochs is done."""
    end = 0.0
    for stage in stages:
        end += stage.share
        if done < end - 1e-9:
            return stage
    return stages[-1]


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        right = [
            model(part).argmax(1) == labels
            for part, labels in zip(x.split(_EVALUATED), y.split(_EVALUATED), strict=True)
        ]
    return float(torch.cat(right).double().mean())


def _copied(block: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in block.parameters()]


def _moved(start: Sequence[Tensor], block: nn.Module) -> float:
    """Return the norm of a block's change over the norm of what it started from."""
    pairs = list(zip(start, block.parameters(), strict=True))
    change = sum(
        float((after.detach() - before).double().square().sum()) for before, after in pairs
    )
    norm = sum(float(before.double().square().sum()) for before, _after in pairs)
    return (change / norm) ** 0.5 if norm else float("nan")


def _squared_norm(block: nn.Module) -> Tensor:
    gradients = [p.grad for p in block.parameters() if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    return norms.square().sum()
