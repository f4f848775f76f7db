"""Pre-training a backbone here, on letters, when no weights of ImageNet are to be had.

The recipe is the same for all: fresh images in every batch, SGD with Nesterov momentum and weight
decay (AdamW for transformers) under one cycle of the rate (Smith & Topin 2018), residual branches
that start at zero (Goyal et al. 2017), bfloat16 and channels-last memory where the machine is
faster with them. The number of images follows from the work that one image costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn

from nndiag.datasets.images import normalised
from nndiag.datasets.letters import Letters, classes
from nndiag.training import precision
from nndiag.training.short import flushed_denormals
from nndiag.zoo import backbones, schedules

#: Floating-point operations of a pre-training, and the fewest and most images that it sees.
_WORK, _FEWEST, _MOST = 1.2e13, 9_600, 64_000
_BATCH, _SMALL_BATCH = 64, 32
_HELD_OUT = 1_000
#: Batches that an estimate is made from.
TIMED = 6
_SGD_RATE, _ADAM_RATE, _LARGE_ADAM_RATE = 0.1, 1e-2, 5e-4


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a pre-training consists of; with the version it names the cached weights.

    Attributes:
        batches: of `batch_size` images.
    """

    backbone: str
    image_size: int
    batches: int
    batch_size: int = _BATCH
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Weights of a body, and how well the network reads letters that it never saw."""

    state: dict[str, Tensor]
    accuracy: float
    seconds: float


def recipe(backbone: str, image_size: int) -> Recipe:
    """Return the recipe for a backbone at a side of `image_size` pixels."""
    images = min(_MOST, max(_FEWEST, int(_WORK / (3 * flops(backbone, image_size)))))
    size = _SMALL_BATCH if backbone == backbones.SMALL.name else _BATCH
    return Recipe(backbone=backbone, image_size=image_size, batches=images // size, batch_size=size)


def flops(backbone: str, image_size: int) -> float:
    """Return the floating-point operations of one image's forward pass (multiply-add: 2)."""
    from torch.utils.flop_counter import FlopCounterMode

    body = backbones.body(backbones.outline(backbone, image_size=image_size)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        body(torch.empty(1, 3, image_size, image_size, device="meta"))
    return float(counter.get_total_flops())


def estimate(
    how: Recipe, device: torch.device, told: Callable[[int], None] = lambda done: None
) -> float:
    """Return the seconds that a pre-training will take, from `TIMED` batches of it."""
    ends: list[float] = []

    def note(done: int) -> None:
        ends.append(time.perf_counter())
        told(done)

    pretrain(replace(how, batches=TIMED), device, told=note, measured=False)
    return median(later - earlier for earlier, later in pairwise(ends)) * how.batches


def pretrain(
    how: Recipe,
    device: torch.device,
    *,
    told: Callable[[int], None] = lambda done: None,
    measured: bool = True,
) -> Pretrained:
    """Train a backbone on letters.

    Args:
        told: called after every batch with the number of batches done.
        measured: find out the accuracy on letters not seen.
    """
    started = time.perf_counter()
    with flushed_denormals(), torch.random.fork_rng():
        torch.manual_seed(how.seed)
        body, model = _network(how, device)
        large = precision.large(model)
        optimizer, top = _optimizer(model, large)
        factors = schedules.parse("one_cycle:0.2").factors(max(2, how.batches))
        letters = Letters(image_size=how.image_size, seed=how.seed)
        model.train()
        for done, (x, y) in enumerate(letters.batches(how.batches, how.batch_size), start=1):
            for group in optimizer.param_groups:
                group["lr"] = top * float(factors[done - 1])
            optimizer.zero_grad(set_to_none=True)
            with precision.autocast(device, enabled=large):
                scores = model(_placed(x, device))
                loss = nn.functional.cross_entropy(scores, y.to(device))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            told(done)
        accuracy = _accuracy(model, how, device) if measured else float("nan")
    state = {name: value.detach().cpu().contiguous() for name, value in body.state_dict().items()}
    return Pretrained(state=state, accuracy=accuracy, seconds=time.perf_counter() - started)


def _network(how: Recipe, device: torch.device) -> tuple[nn.Module, nn.Module]:
    body = backbones.body(backbones.build(how.backbone, image_size=how.image_size))
    _start_at_zero(body)
    with torch.no_grad():
        width = body.eval()(torch.zeros(2, 3, how.image_size, how.image_size)).shape[1]
    model = nn.Sequential(body, nn.Linear(width, len(classes()))).to(device)
    return body, model.to(memory_format=torch.channels_last)


def _start_at_zero(body: nn.Module) -> None:
    """Let every residual branch of a ResNet start as zero, so that the network starts shallow."""
    for module in body.modules():
        last = getattr(module, "bn3", None) or getattr(module, "bn2", None)
        if hasattr(module, "downsample") and isinstance(last, nn.BatchNorm2d):
            nn.init.zeros_(last.weight)


def normalises_batches(network: nn.Module) -> bool:
    """Say whether a network has BatchNorm, and so bears large rates."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def _optimizer(model: nn.Module, large: bool) -> tuple[torch.optim.Optimizer, float]:
    if large and normalises_batches(model):
        sgd = torch.optim.SGD(
            model.parameters(),
            lr=_SGD_RATE,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
            fused=True,
        )
        return sgd, _SGD_RATE
    rate = _LARGE_ADAM_RATE if large else _ADAM_RATE
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2, fused=True), rate


def _placed(x: Tensor, device: torch.device) -> Tensor:
    return normalised(x.to(device)).to(memory_format=torch.channels_last)


def _accuracy(model: nn.Module, how: Recipe, device: torch.device) -> float:
    """Return the accuracy on letters of another stream."""
    x, y = Letters(image_size=how.image_size, seed=how.seed + 10_007).batch(_HELD_OUT)
    model.eval()
    with torch.no_grad():
        right = [
            model(_placed(part, device)).argmax(1).cpu() == labels
            for part, labels in zip(x.split(200), y.split(200), strict=True)
        ]
    return float(torch.cat(right).double().mean())
