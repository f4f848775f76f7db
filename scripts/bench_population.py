"""Time the population engine against one plain loop and against two worker processes.

    python scripts/bench_population.py [--steps 300] [--members 64] [--quick]

All in one run, Adam, networks of the table drawn on the digits. A figure is trainings of 300 steps
a second; the last column is the engine's share of this machine's plain matrix-product peak.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import torch
from torch import nn

from nndiag import datasets
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import train
from nndiag.training.short import batches
from nndiag.zoo import activations, initialisations, networks

TRAINING = 300
Cell = tuple[int, int, int]


def problem(cell: Cell, steps: int) -> tuple[Callable[[int], nn.Module], Settings, TensorData]:
    depth, width, batch = cell
    spec = NetworkSpec(depth=depth, width=width, act="relu", init="he_normal")
    splits = datasets.load(DataSpec())

    def build(place: int) -> nn.Module:
        model = networks.build(spec, splits.input_shape, len(splits.classes))
        initialisations.initialise(
            model,
            initialisations.parse(spec.init),
            activations.parse(spec.act),
            generator=torch.Generator().manual_seed(place),
        )
        return model

    settings = Settings(optimizer="adam", steps=steps, batch_size=batch, eval_every=10**9)
    return build, settings, TensorData.of(splits, torch.device("cpu"))


def lone(cell: Cell, steps: int, count: int, threads: int) -> float:
    """Return seconds for `count` plain PyTorch trainings of `steps` steps, one after another."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    build, settings, data = problem(cell, steps)
    plain(build(0), settings, data, 0)
    started = time.perf_counter()
    for place in range(count):
        plain(build(place), settings, data, place)
    return time.perf_counter() - started


def plain(model: nn.Module, settings: Settings, data: TensorData, seed: int) -> None:
    """Train as a tutorial does; nothing is recorded."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for rows in batches(len(data.train_y), settings.batch_size, settings.steps, seed):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows])
        loss.backward()
        optimizer.step()


def together(cell: Cell, steps: int, count: int) -> float:
    build, settings, data = problem(cell, steps)
    members = [Member(seed=place, lr=1e-3 * (1 + place % 4)) for place in range(count)]
    train(build, members[:2], settings, data)
    started = time.perf_counter()
    train(build, members, settings, data)
    return time.perf_counter() - started


def peak(threads: int) -> float:
    """Return floating-point operations a second of a plain 1024 x 1024 product."""
    torch.set_num_threads(threads)
    a = torch.randn(1024, 1024)
    best = min(_seconds(lambda: a @ a) for _ in range(20))
    return 2 * 1024**3 / best


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def flops(cell: Cell) -> float:
    """Return floating-point operations of a training step: 6 a weight and sample."""
    depth, width, batch = cell
    weights = 64 * width + (depth - 2) * width**2 + 10 * width
    return 6.0 * weights * batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="depth 20, batch 64 only")
    options = parser.parse_args()
    cores = torch.get_num_threads()
    cells = [
        (depth, width, batch)
        for depth in ((20,) if options.quick else (5, 20))
        for width in (32, 64, 128, 256)
        for batch in ((64,) if options.quick else (32, 64))
    ]
    top = peak(cores)
    print(f"torch {torch.__version__}, {cores} threads, product peak {top / 1e9:.0f} GFLOP/s")
    print(
        "trainings a second, median of interleaved rounds; x: engine over loop, over two processes"
    )
    print("(the machine must be idle: torch's own threads collapse beside other work)")
    print(
        f"| depth | width | batch | loop, 1 thread | loop, {cores} threads | 2 processes | engine "
        "| x loop 1 | x 2 proc. | of peak |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(lone, [cells[0]] * 2, [2] * 2, [1] * 2, [1] * 2))  # imports done
        for cell in cells:
            row(cell, options.steps, options.members, cores, pool, top)


def row(
    cell: Cell, steps: int, members: int, cores: int, pool: ProcessPoolExecutor, top: float
) -> None:
    few, rounds = 3, 3
    seconds: dict[str, list[float]] = {"one": [], "all": [], "pair": [], "engine": []}
    for _round in range(rounds):
        seconds["pair"].append(max(pool.map(lone, [cell] * 2, [steps] * 2, [few] * 2, [1] * 2)))
        torch.set_num_threads(cores)
        seconds["engine"].append(together(cell, steps, members))
        seconds["one"].append(lone(cell, steps, few, 1))
        seconds["all"].append(lone(cell, steps, few, cores))
    share = steps / TRAINING
    trainings = {"one": few, "all": few, "pair": 2 * few, "engine": members}
    rate = {name: share * trainings[name] / median(took) for name, took in seconds.items()}
    of_peak = rate["engine"] * TRAINING * flops(cell) / top
    figures = " | ".join(f"{rate[name]:.2f}" for name in ("one", "all", "pair", "engine"))
    print(
        "| " + " | ".join(map(str, cell)) + f" | {figures} | {rate['engine'] / rate['one']:.1f} "
        f"| {rate['engine'] / rate['pair']:.1f} | {of_peak:.0%} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
