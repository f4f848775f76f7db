"""Training a head on a backbone: which blocks learn when, and how fast.

A strategy is a list of stages. In a stage the last so many blocks of the backbone learn with the
head; the blocks before them stand still, their BatchNorm statistics too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nndiag.schema.spec_transfer import HEAD_RATE, unfrozen
from nndiag.training import distributed, precision
from nndiag.training.short import flushed_denormals

Augment = Callable[[Tensor], Tensor]

#: Images of one pass without gradients.
_EVALUATED = 256


@dataclass(frozen=True)
class Stage:
    """A share of the epochs in which the last `blocks` blocks learn (None: all of them)."""

    share: float
    blocks: int | None

    def count(self, blocks: int) -> int:
        """Return how many of a body's blocks learn."""
        return blocks if self.blocks is None else self.blocks


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a backbone is used.

    Attributes:
        pretrained: it starts from the given weights, else from random ones.
        slow: it learns at the smaller rate.
        first_frozen: how many of the first blocks stand still, in a comparison by layer.
    """

    name: str
    pretrained: bool
    stages: tuple[Stage, ...]
    slow: bool = True
    first_frozen: int | None = None


def strategy(name: str, blocks: int) -> Strategy:
    """Return the strategy of that name for a backbone of so many blocks.

    `random` is the control: a frozen backbone that was never trained tells what the architecture
    gives by itself. `gradual` frees one block after the other, from the last, in the first half of
    the epochs (Howard & Ruder 2018).
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
        first = tuple(Stage(0.5 / blocks, freed) for freed in range(blocks))
        stages = (*first, Stage(0.5, None))
        return Strategy(name=name, pretrained=True, stages=stages)
    count = min(unfrozen(name), blocks)
    return Strategy(name=name, pretrained=True, stages=(Stage(0.5, 0), Stage(0.5, count)))


def first_frozen(count: int, blocks: int) -> Strategy:
    """Return the strategy that freezes the first `count` blocks (Yosinski et al. 2014)."""
    return Strategy(
        name=f"first {count} frozen",
        pretrained=True,
        stages=(Stage(1.0, blocks - count),),
        first_frozen=count,
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
        seconds: of the training (one pass for cached features included), evaluation left out.
        squares: block -> squared gradient norm of every step in which it learnt.
    """

    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    trainable: int = 0
    moved: dict[str, float] = field(default_factory=dict)
    gradient: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    squares: dict[str, list[Tensor]] = field(default_factory=dict)


Images = tuple[Tensor, Tensor]


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
        self.large = precision.large(body)
        self.device = next(head.parameters()).device
        body.to(memory_format=precision.layout(is_large=self.large))

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """Return the share of images (N, 3, S, S) whose label (N,) is recognised."""
        return self._accuracy(nn.Sequential(self.body, self.head), x, y)

    def fit(
        self,
        how: Strategy,
        tuning: Tuning,
        train: Images,
        validation: Images,
        told: Callable[[], None] = lambda: None,
    ) -> Transferred:
        """Train by a strategy.

        Args:
            train, validation: images (N, 3, S, S) and labels (N,).
            told: called after every epoch.
        """
        run = Transferred()
        start = {name: _copied(block) for name, block in self.blocks}
        order = torch.Generator().manual_seed(tuning.seed)
        with flushed_denormals(), torch.random.fork_rng():
            torch.manual_seed(tuning.seed + distributed.rank())
            run.accuracy.append(self.accuracy(*validation))
            optimizer = _optimizer(self.head, tuning)
            phase: _Phase | None = None
            for epoch in range(tuning.epochs):
                began = time.perf_counter()
                stage = _stage(how.stages, epoch / tuning.epochs)
                if phase is None or stage is not phase.stage:
                    phase = self._phase(stage, tuning, train, validation)
                    _extend(optimizer, phase.freed, how, tuning)
                _slow_down(optimizer, epoch / tuning.epochs)
                run.loss.append(self._epoch(phase, optimizer, tuning, order, run.squares))
                run.seconds += time.perf_counter() - began
                run.accuracy.append(self._accuracy(phase.network, *phase.validation))
                told()
        run.trainable = sum(p.numel() for g in optimizer.param_groups for p in g["params"])
        for name, block in self.blocks:
            if name in run.squares:
                run.gradient[name] = float(torch.stack(run.squares[name]).mean().sqrt())
                run.moved[name] = _moved(start[name], block)
        return run

    def _phase(self, stage: Stage, tuning: Tuning, train: Images, validation: Images) -> _Phase:
        """Free a stage's blocks; a body that stands still sees every image once."""
        freed = self.blocks[len(self.blocks) - stage.count(len(self.blocks)) :]
        self.body.requires_grad_(False)
        for _name, block in freed:
            block.requires_grad_(True)
        if freed or tuning.augment is not None:
            network: nn.Module = nn.Sequential(self.body, self.head)
        else:
            network = self.head
            train, validation = self._features(train), self._features(validation)
        return _Phase(
            stage=stage,
            network=network,
            trained=distributed.parallel(network),
            freed=freed,
            train=train,
            validation=validation,
        )

    def _features(self, images: Images) -> Images:
        return self._evaluated(self.body, images[0]), images[1]

    def _epoch(
        self,
        phase: _Phase,
        optimizer: torch.optim.Optimizer,
        tuning: Tuning,
        order: torch.Generator,
        squares: dict[str, list[Tensor]],
    ) -> float:
        """Make one pass over the training images; return the mean loss."""
        self.body.eval()
        self.head.train()
        for _name, block in phase.freed:
            block.train()
        x, y = phase.train
        losses = []
        for rows in _batches(len(y), tuning.batch_size, order):
            mine = distributed.part(rows).to(y.device)
            images = x[mine] if tuning.augment is None else tuning.augment(x[mine])
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                scores = phase.trained(self._placed(images))
                loss = nn.functional.cross_entropy(scores, y[mine], reduction="sum") / len(rows)
            (distributed.size() * loss).backward()  # the processes' gradients are averaged
            for name, block in phase.freed:
                squares.setdefault(name, []).append(_squared_norm(block))
            optimizer.step()
            losses.append(distributed.total(loss.detach()))
        return float(torch.stack(losses).mean())

    def _accuracy(self, network: nn.Module, x: Tensor, y: Tensor) -> float:
        return float((self._evaluated(network, x).argmax(1) == y).double().mean())

    def _evaluated(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return a network's outputs (N, ...) in evaluation mode."""
        network.eval()
        with torch.no_grad(), self._autocast():
            parts = [network(self._placed(part)) for part in x.split(_EVALUATED)]
        return torch.cat(parts).to(x.dtype)

    def _autocast(self) -> AbstractContextManager[None]:
        return precision.autocast(self.device, enabled=self.large)

    def _placed(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            return x
        return x.contiguous(memory_format=precision.layout(is_large=self.large))


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """What learns, and from what, while a stage lasts: images, or features computed once.

    Attributes:
        trained: the network as the optimizer's steps call it (several processes average in it).
    """

    stage: Stage
    network: nn.Module
    trained: nn.Module
    freed: Sequence[tuple[str, nn.Module]]
    train: Images
    validation: Images


def _optimizer(head: nn.Module, tuning: Tuning) -> torch.optim.Optimizer:
    rate = HEAD_RATE * tuning.lr
    head_alone = [{"params": list(head.parameters()), "lr": rate, "initial_lr": rate}]
    return torch.optim.AdamW(head_alone, weight_decay=1e-4, fused=True)


def _extend(
    optimizer: torch.optim.Optimizer,
    freed: Sequence[tuple[str, nn.Module]],
    how: Strategy,
    tuning: Tuning,
) -> None:
    """Let the optimizer move blocks that it does not hold yet; what it knows of others stays."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    new = [p for _name, block in freed for p in block.parameters() if id(p) not in held]
    if new:
        rate = tuning.lr * (tuning.backbone_rate if how.slow else 1.0)
        optimizer.add_param_group({"params": new, "lr": rate, "initial_lr": rate})


def _slow_down(optimizer: torch.optim.Optimizer, done: float) -> None:
    """Let all rates fall along half a cosine."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * 0.5 * (1 + math.cos(math.pi * done))


def _batches(samples: int, size: int, order: torch.Generator) -> tuple[Tensor, ...]:
    """Return the row numbers of an epoch's batches, equal in size to within one.

    None has a single image, which BatchNorm could not normalise.
    """
    count = min(math.ceil(samples / size), max(1, samples // 2))
    return torch.randperm(samples, generator=order).tensor_split(count)


def _stage(stages: Sequence[Stage], done: float) -> Stage:
    """Return the stage under way when this share of the epochs is done."""
    end = 0.0
    for stage in stages:
        end += stage.share
        if done < end - 1e-9:
            return stage
    return stages[-1]


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
    return nn.utils.get_total_norm(p.grad for p in block.parameters() if p.grad is not None) ** 2
