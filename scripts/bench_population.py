"""Time the population engine against one plain loop and against two worker processes.

    python scripts/bench_population.py [--members 64] [--rounds 3] [--quick]

All in one run, Adam, networks of the table drawn on the digits. A figure is trainings of 300 steps
a second, from as many steps of each as fit the time (at least 20), set-up included; the last column
is the engine's share of this machine's plain matrix-product peak. "CPU x" compares processor time
per training with that of the loop, which other work on the machine disturbs less than the clock.

Then what `nndiag compare-optimizers` trains by default, through the engine and through the loop.
Some five minutes on two idle cores; --quick: depth 20, batches of 64, one round, a minute.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from statistics import median

import torch
from torch import nn

from nndiag import datasets
from nndiag.cli.compare import OPTIMIZERS
from nndiag.datasets.splits import Splits
from nndiag.experiments import compare_optimizers
from nndiag.schema.spec import DataSpec, NetworkSpec, OptimizerSpec
from nndiag.schema.spec_compare import CompareOptimizersSpec
from nndiag.training.initial import random_network
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import train
from nndiag.training.short import batches
from nndiag.training.tuning import rate_grid
from nndiag.zoo import optimizers

TRAINING = 300
#: Seconds that one plain training is given, which decides the steps; trainings of the loop timed.
SHARE, FEW = 0.25, 3


@dataclass(frozen=True)
class Cell:
    """A row of the table."""

    depth: int
    width: int
    batch: int

    @property
    def flops(self) -> float:
        """Floating-point operations of a training step: 6 a weight and sample."""
        weights = 64 * self.width + (self.depth - 2) * self.width**2 + 10 * self.width
        return 6.0 * weights * self.batch


@dataclass(frozen=True)
class Time:
    """What some trainings took, on the clock and of the processor."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Time:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


@cache
def digits() -> Splits:
    return datasets.load(DataSpec())


def drawn(spec: NetworkSpec, seed: int) -> nn.Module:
    return random_network(spec, digits().input_shape, seed, classes=len(digits().classes))


def network(cell: Cell) -> NetworkSpec:
    return NetworkSpec(depth=cell.depth, width=cell.width, act="relu", init="he_normal")


def on_cpu() -> TensorData:
    return TensorData.of(digits(), torch.device("cpu"))


def loop(cell: Cell, steps: int, count: int, threads: int) -> Time:
    """Time `count` plain PyTorch trainings, one after another."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    data, spec = on_cpu(), network(cell)

    def work() -> None:
        for seed in range(count):
            model = drawn(spec, seed)
            plain(model, torch.optim.Adam(model.parameters(), 1e-3), data, cell.batch, steps, seed)

    plain(model := drawn(spec, 0), torch.optim.Adam(model.parameters()), data, cell.batch, 3, 0)
    return timed(work)


def plain(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: TensorData,
    batch: int,
    steps: int,
    seed: int,
    eval_every: int = TRAINING + 1,
) -> None:
    """Train as a tutorial does."""
    for step, rows in enumerate(batches(len(data.train_y), batch, steps, seed), start=1):
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows])
        loss.backward()
        optimizer.step()
        if step % eval_every == 0:
            model.eval()
            with torch.no_grad():
                float((model(data.val_x).argmax(1) == data.val_y).double().mean())


def engine(cell: Cell, steps: int, count: int) -> Time:
    data, spec = on_cpu(), network(cell)
    settings = Settings(optimizer="adam", steps=steps, batch_size=cell.batch, eval_every=10**9)
    members = [Member(seed=seed, lr=1e-3 * (1 + seed % 4)) for seed in range(count)]
    train(lambda place: drawn(spec, place), members[:2], settings, data)
    return timed(lambda: train(lambda place: drawn(spec, place), members, settings, data))


def peak(threads: int) -> float:
    """Return floating-point operations a second of a plain 1024 x 1024 product."""
    torch.set_num_threads(threads)
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / min(timed(lambda: a @ a).wall for _ in range(20))


HEAD = (
    *("depth", "width", "batch", "steps", "loop, 1 thread", "loop, {cores} threads"),
    *("2 processes", "engine", "x loop", "x 2 proc.", "CPU x", "of peak"),
)


def row(cell: Cell, members: int, rounds: int, cores: int, pool: ProcessPoolExecutor) -> list[str]:
    """Time one cell; rounds are interleaved, so that all columns see the same machine."""
    step = loop(cell, 20, 1, 1).cpu / 20
    steps = max(20, min(TRAINING, round(SHARE / step)))
    walls: dict[str, list[float]] = {"one": [], "all": [], "pair": [], "engine": []}
    cpus: dict[str, list[float]] = {"one": [], "engine": []}
    for _round in range(rounds):
        pair = list(pool.map(loop, [cell] * 2, [steps] * 2, [FEW] * 2, [1] * 2))
        walls["pair"].append(max(each.wall for each in pair))
        torch.set_num_threads(cores)
        for name, took in (
            ("engine", engine(cell, steps, members)),
            ("one", loop(cell, steps, FEW, 1)),
            ("all", loop(cell, 20, 1, cores)),
        ):
            walls[name].append(took.wall)
            if name in cpus:
                cpus[name].append(took.cpu)
    taken = {"one": FEW * steps, "all": 20, "pair": 2 * FEW * steps, "engine": members * steps}
    rate = {name: taken[name] / TRAINING / median(took) for name, took in walls.items()}
    cpu = median(cpus["one"]) / FEW / (median(cpus["engine"]) / members)
    best = max(rate["one"], rate["all"])
    of_peak = rate["engine"] * TRAINING * cell.flops / peak(cores)
    return [
        *(str(number) for number in (cell.depth, cell.width, cell.batch, steps)),
        *(f"{rate[name]:.2f}" for name in ("one", "all", "pair", "engine")),
        *(f"{rate['engine'] / other:.1f}" for other in (best, rate["pair"])),
        f"{cpu:.1f}",
        f"{of_peak:.0%}",
    ]


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def whole_comparison(cores: int) -> None:
    """Time the default `compare-optimizers` and its trainings through the plain loop.

    The loop trains with one seed of each optimizer and rate; the others take as long.
    """
    torch.set_num_threads(cores)
    spec = CompareOptimizersSpec(optimizers=OPTIMIZERS)
    results: list[int] = []
    together = timed(lambda: results.append(compare_optimizers.run(spec).result["trainings"]))
    torch.set_num_threads(1)
    data = on_cpu()
    done = 0
    alone = Time(0.0, 0.0)
    for name in spec.optimizers:
        row = optimizers.parse(name)
        batch = len(data.train_y) if row.full_batch else spec.batch_size
        for rate in rate_grid(row.lr or 1e-3, spec.rates):
            model = drawn(spec.network, 0)
            optimizer = optimizers.build(model.parameters(), OptimizerSpec(name=name, lr=rate))
            took = timed(
                lambda: plain(model, optimizer, data, batch, spec.steps, 0, spec.steps // 30)  # noqa: B023
            )
            alone = Time(alone.wall + took.wall, alone.cpu + took.cpu)
            done += 1
    scale = results[0] / done
    print(
        f"\ncompare-optimizers, {results[0]} trainings of {spec.steps} steps: engine "
        f"{together.wall:.1f} s (CPU {together.cpu:.1f} s); plain loop, 1 thread, "
        f"{scale * alone.wall:.0f} s (CPU {scale * alone.cpu:.0f} s), from {done} of them"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="depth 20, batch 64, one round")
    options = parser.parse_args()
    cores = torch.get_num_threads()
    rounds = 1 if options.quick else options.rounds
    cells = [
        Cell(depth, width, batch)
        for depth in ((20,) if options.quick else (5, 20))
        for width in (32, 64, 128, 256)
        for batch in ((64,) if options.quick else (32, 64))
    ]
    print(f"torch {torch.__version__}, {cores} threads, peak {peak(cores) / 1e9:.0f} GFLOP/s")
    print(f"trainings of {TRAINING} steps a second, median of {rounds} interleaved rounds\n")
    print(line([text.format(cores=cores) for text in HEAD]))
    print(line(["---"] * len(HEAD)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(loop, [cells[0]] * 2, [3] * 2, [1] * 2, [1] * 2))  # imports done
        for cell in cells:
            print(line(row(cell, options.members, rounds, cores, pool)), flush=True)
    whole_comparison(cores)


if __name__ == "__main__":
    main()
