"""Print what the probe costs: a training step with it against the same step without, in one run.

Base and probed steps alternate in blocks of 16 (a whole cycle of the probe's transfers), so that a
change of the machine's load falls on both. Times are process CPU time; medians over pairs.

    python scripts/bench_probe.py [--threads 1] [--pairs 20] [--case mlp-adam ...]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.probe.probe import Probe

BLOCK = 16


def mlp() -> tuple[nn.Module, Tensor]:
    """20 Linear layers, 64 -> 256 ... -> 10, tanh, batch 256."""
    sizes = [64, *[256] * 19, 10]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1]), torch.randn(256, 64)


def relu_mlp() -> tuple[nn.Module, Tensor]:
    """The same with relu, whose dead units cost one more look."""
    model, x = mlp()
    assert isinstance(model, nn.Sequential)
    return nn.Sequential(*[nn.ReLU() if isinstance(m, nn.Tanh) else m for m in model]), x


def resnet() -> tuple[nn.Module, Tensor]:
    """torchvision's ResNet-18 on 64 x 64 images, batch 32."""
    from torchvision.models import resnet18

    return resnet18(num_classes=10), torch.randn(32, 3, 64, 64)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-4)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-3)


CASES: dict[
    str, tuple[Callable[[], tuple[nn.Module, Tensor]], Callable[..., torch.optim.Optimizer]]
]
CASES = {
    "mlp-adam": (mlp, adam),
    "mlp-sgd": (mlp, sgd),
    "relu-mlp-adam": (relu_mlp, adam),
    "resnet18-adam": (resnet, adam),
    "resnet18-sgd": (resnet, sgd),
}


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """Train one block; return the CPU milliseconds of a step."""
    start = time.process_time()
    for _step in range(BLOCK):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return (time.process_time() - start) / BLOCK * 1e3


def compare(case: str, pairs: int, *, exact: bool, every: int) -> np.ndarray:
    """Return (pairs, 2): milliseconds of a step without and with the probe."""
    build, make = CASES[case]
    torch.manual_seed(0)
    model, x = build()
    optimizer = make(model)
    y = torch.randint(0, 10, (len(x),))
    probe = Probe(model, optimizer, exact=exact, every=every)
    times = np.zeros((pairs + 1, 2))
    for pair in range(pairs + 1):
        for probed in (0, 1) if pair % 2 else (1, 0):
            with probe if probed else contextlib.nullcontext():
                times[pair, probed] = steps(model, optimizer, x, y)
    return times[1:]  # the first pair warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    gc.collect()
    gc.freeze()  # a collection of all that the imports made would fall on one of the two
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), CPU time, median [IQR]")
    print(f"{'case':15} {'probe':16} {'base ms':>8} {'probed ms':>9} {'overhead':>9}  IQR")
    for case in arguments.case:
        pairs = arguments.pairs if case.find("resnet") < 0 else max(4, arguments.pairs // 4)
        for label, exact, every in (
            ("default", False, 1),
            ("every 10", False, 10),
            ("exact", True, 1),
        ):
            times = compare(case, pairs, exact=exact, every=every)
            ratio = times[:, 1] / times[:, 0] - 1
            low, middle, high = np.percentile(ratio, [25, 50, 75])
            base, probed = np.median(times, axis=0)
            print(
                f"{case:15} {label:16} {base:8.2f} {probed:9.2f} {middle:+9.1%}"
                f"  [{low:+.1%}, {high:+.1%}]",
                flush=True,
            )


if __name__ == "__main__":
    main()
