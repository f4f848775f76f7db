"""Chunks of a population side by side: one Python thread a core, one torch thread each.

Small matrix products gain little from torch's own threads; whole chunks side by side use the cores
fully, as torch lets go of the interpreter while it computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

Work = TypeVar("Work")
Done = TypeVar("Done")


class Lanes:
    """As many lanes as torch has threads on a CPU; one where that would change the results.

    Random layers draw from one global generator, whose order two lanes would make a matter of
    chance; a GPU has its own parallelism.
    """

    def __init__(self, device: torch.device, model: nn.Module) -> None:
        random = any(
            isinstance(module, nn.modules.dropout._DropoutNd | nn.RReLU)
            for module in model.modules()
        )
        self.count = 1 if random or device.type != "cpu" else torch.get_num_threads()
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def map(self, work: Callable[[Work], Done], items: Sequence[Work]) -> list[Done]:
        """Return work(item) for every item, in order. Ctrl-C stops all lanes."""
        if self.count == 1 or len(items) == 1:
            return [work(item) for item in items]
        with _one_thread_each(), ThreadPoolExecutor(self.count) as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def checked(self, progress: Callable[[int], None]) -> Callable[[int], None]:
        """Return a progress callback that lanes may call, and that ends them after Ctrl-C."""

        def tell(steps: int) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            with self._lock:
                progress(steps)

        return tell


@contextmanager
def _one_thread_each() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
