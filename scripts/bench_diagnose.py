"""Time a training with and without the recorder of `nndiag diagnose`.

    python scripts/bench_diagnose.py [--pairs 15] [--threads 1] [--every 1] [--case NAME]

Blocks of steps of one training are plain and watched in turns, in one process: two trainings of
the same seed differ by a per cent or two, from where their memory lies. The figure is the median
over pairs of blocks, by wall clock and by CPU time. Everything is recorded at each step. The hooks
are put on and off around each block, as their cost is part of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

from nndiag.attach.session import Session


def mlp() -> tuple[nn.Module, torch.Tensor]:
    layers: list[nn.Module] = []
    for _layer in range(19):
        layers += [nn.Linear(256, 256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10)), torch.randn(256, 256)


def resnet() -> tuple[nn.Module, torch.Tensor]:
    from torchvision.models import resnet18

    return resnet18(num_classes=10), torch.randn(32, 3, 64, 64)


def transformer() -> tuple[nn.Module, torch.Tensor]:
    block = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    body = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = body, nn.Linear(256, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(x).mean(1))

    return Model(), torch.randn(16, 64, 256)


CASES = {"mlp": (mlp, 80), "resnet18": (resnet, 10), "transformer": (transformer, 10)}


@dataclass(eq=False)
class Training:
    """A loop as a user writes it; `told` is called with the loss after every step."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    x: torch.Tensor
    y: torch.Tensor
    told: Callable[[torch.Tensor], None] | None = None

    def step(self) -> None:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        if self.told is not None:
            self.told(loss)


def training(build: Callable[[], tuple[nn.Module, torch.Tensor]]) -> Training:
    torch.manual_seed(0)
    model, x = build()
    y = torch.randint(10, (len(x),))
    return Training(model, torch.optim.Adam(model.parameters(), lr=1e-4), x, y)


def timed(one: Training, steps: int) -> tuple[float, float]:
    """Return seconds of wall clock and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _step in range(steps):
        one.step()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--case", choices=CASES)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| model | ms a step | wall clock | CPU time |\n|---|---|---|---|")
    for name, (build, steps) in CASES.items():
        if options.case not in (None, name):
            continue
        one = training(build)
        walls, cpus, base = [], [], []
        session = Session(every=options.every)
        with session:
            timed(one, 20)  # the input and every gradient are looked at in the first steps
        for _pair in range(options.pairs):
            wall, cpu = timed(one, steps)
            with session:
                seen_wall, seen_cpu = timed(one, steps)
            walls.append(seen_wall / wall - 1)
            cpus.append(seen_cpu / cpu - 1)
            base.append(wall / steps * 1e3)
        print(
            f"| {name} | {median(base):.1f} | {median(walls):+.1%} | {median(cpus):+.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
