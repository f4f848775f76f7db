"""Time a training with and without each tool, everything it shows at every step.

Blocks of steps alternate between a plain training and one of the same seed with the tool on it, in
one process a tool; the figures are medians over pairs of blocks. What a tool does in threads of its
own counts in the wall clock of the block that waits for it (writers are flushed), what it does in
another process (the service of W&B) only there.

    python scripts/peers/overhead.py --one TOOL CASE PAIRS THREADS     (used by compare.py)
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402
from bench_diagnose import CASES, timed, training  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.optim import Optimizer  # noqa: E402

Told = Callable[[Tensor], None]
#: What is around the blocks of the watched training, and what its loop calls after every step.
Attached = tuple[AbstractContextManager[object], Told]


def nothing(loss: Tensor) -> None:
    pass


def nndiag(model: nn.Module, optimizer: Optimizer) -> Attached:
    from nndiag.attach.session import Session

    return Session(every=1), nothing


def wandb(model: nn.Module, optimizer: Optimizer) -> Attached:
    import wandb as package

    run = package.init(mode="offline", dir=tempfile.mkdtemp())
    run.watch(model, log="all", log_freq=1)
    return nullcontext(), lambda loss: run.log({"loss": loss.item()})


def tensorboard(model: nn.Module, optimizer: Optimizer) -> Attached:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(tempfile.mkdtemp())
    steps = iter(range(10**9))

    def told(loss: Tensor) -> None:
        step = next(steps)
        writer.add_scalar("loss", loss.item(), step)
        for name, parameter in model.named_parameters():
            writer.add_histogram(f"weight/{name}", parameter, step)
            writer.add_histogram(f"grad/{name}", parameter.grad, step)

    @contextmanager
    def flushed() -> Iterator[None]:
        yield
        writer.flush()

    return Reused(flushed), told


def lightning(model: nn.Module, optimizer: Optimizer) -> Attached:
    from lightning.pytorch.utilities import grad_norm

    kept: list[dict[str, float]] = []

    def told(loss: Tensor) -> None:
        kept[:] = [{name: float(norm) for name, norm in grad_norm(model, 2).items()}]

    return nullcontext(), told


def torchmortem(model: nn.Module, optimizer: Optimizer) -> Attached:
    from torchmortem import Autopsy

    autopsy = Autopsy(model, optimizer=optimizer)
    autopsy.attach()
    return nullcontext(), lambda loss: autopsy.step(loss=loss.item())


def torch_audit(model: nn.Module, optimizer: Optimizer) -> Attached:
    from torch_audit import autopatch

    autopatch(model, optimizer=optimizer, every_n_steps=1, fail_level="FATAL")
    return nullcontext(), nothing


class Reused:
    """A context manager that can be entered again and again, from a function that makes one."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self.make = make

    def __enter__(self) -> None:
        self.current = self.make()
        self.current.__enter__()

    def __exit__(self, *error: object) -> None:
        self.current.__exit__(None, None, None)


TOOLS: dict[str, Callable[[nn.Module, Optimizer], Attached]] = {
    "nndiag diagnose": nndiag,
    "Lightning grad_norm": lightning,
    "torch-audit": torch_audit,
    "torchmortem": torchmortem,
    "W&B watch(log='all')": wandb,
    "TensorBoard histograms": tensorboard,
}
SHOWS = {
    "nndiag diagnose": "signal, gradients, saturation, dead units, updates, losses, modes, data",
    "Lightning grad_norm": "gradient norms of the weights",
    "torch-audit": "23 checks, no series",
    "torchmortem": "gradients, activations, updates, weights, loss",
    "W&B watch(log='all')": "histograms of weights and gradients",
    "TensorBoard histograms": "histograms of weights and gradients",
}


def measure(tool: str, case: str, pairs: int, threads: int) -> dict[str, float]:
    """Return added shares of wall clock and CPU time, and the plain step in milliseconds."""
    torch.set_num_threads(threads)
    build, steps = CASES[case]
    plain, watched = training(build), training(build)
    around, told = TOOLS[tool](watched.model, watched.optimizer)
    timed(plain, 20)
    with around:
        watched.told = told
        timed(watched, 20)
    walls, cpus, base = [], [], []
    for _pair in range(pairs):
        wall, cpu = timed(plain, steps)
        with around:
            seen_wall, seen_cpu = timed(watched, steps)
        walls.append(seen_wall / wall - 1)
        cpus.append(seen_cpu / cpu - 1)
        base.append(wall / steps * 1e3)
    return {"wall": median(walls), "cpu": median(cpus), "ms": median(base)}


def table(python: Path, cases: list[str], *, pairs: int, threads: int) -> None:
    """Print a table for each case; the tools follow one another in processes of their own."""
    for case in cases:
        print(f"\n{case}\n\n| tool | wall clock | CPU time | plain step, ms | shows |")
        print("|---|---|---|---|---|")
        for tool in TOOLS:
            done = subprocess.run(
                [str(python), __file__, "--one", tool, case, str(pairs), str(threads)],
                capture_output=True,
                text=True,
                env={**os.environ, "WANDB_SILENT": "true", "OMP_NUM_THREADS": str(threads)},
                check=False,
            )
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
                print(f"| {tool} | - | - | - | did not run: {reason[:80]} |", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"| {tool} | {found['wall']:+.1%} | {found['cpu']:+.1%} | {found['ms']:.1f} "
                f"| {SHOWS[tool]} |",
                flush=True,
            )


def main() -> None:
    _one, tool, case, pairs, threads = sys.argv[1:]
    with contextlib.redirect_stdout(io.StringIO()):
        found = measure(tool, case, int(pairs), int(threads))
    print(json.dumps(found), flush=True)
    os._exit(0)  # a tracker's service and writers need not be waited for


if __name__ == "__main__":
    main()
