"""Chunks of a population side by side: one Python thread a core, one torch thread each.

Small matrix products gain little from torch's own threads; whole chunks side by side use the cores
fully, as torch lets go of the interpreter while it computes.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nndiag.training.stacked import draws_apart

Work = TypeVar("Work")
Done = TypeVar("Done")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the results that were complete.

    Attributes:
        done: by the place of the item.
    """

    def __init__(self, done: dict[int, Any]) -> None:
        super().__init__()
        self.done = done


class Lanes:
    """As many lanes as torch has threads on a CPU; one where that would change the results.

    A network that draws random numbers from torch's global generator would get them from two lanes
    in an order that is a matter of chance; a GPU has its own parallelism.

    Args:
        model: one of the networks.
        x: (B, *input_shape) inputs to try it on, on the device.
        trusted: the optimizer draws no random numbers.
        stacked: no network trains alone.
        always_one_thread: torch gets one thread also where there is but one lane, so that the
            order of sums does not depend on the machine.

    Attributes:
        draws: whether a training pass takes random numbers.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        *,
        trusted: bool = True,
        stacked: bool = True,
        always_one_thread: bool = False,
    ) -> None:
        self.draws = _draws(model, x)
        apart = not self.draws or (stacked and draws_apart(model))
        side_by_side = x.device.type == "cpu" and trusted and apart
        self.count = torch.get_num_threads() if side_by_side else 1
        self._always = always_one_thread
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def map(self, work: Callable[[Work], Done], items: Sequence[Work]) -> list[Done]:
        """Return work(item) for every item, in order.

        Raises:
            Interrupted: at Ctrl-C, which ends all lanes.
        """
        done: dict[int, Done] = {}
        try:
            if self.count == 1 or len(items) == 1:
                with one_thread() if self._always else nullcontext():
                    for place, item in enumerate(items):
                        done[place] = work(item)
            else:
                self._side_by_side(work, items, done)
        except KeyboardInterrupt:
            raise Interrupted(dict(sorted(done.items()))) from None
        return [done[place] for place in range(len(items))]

    def _side_by_side(
        self, work: Callable[[Work], Done], items: Sequence[Work], done: dict[int, Done]
    ) -> None:
        with one_thread(), ThreadPoolExecutor(self.count) as pool:
            futures = {pool.submit(work, item): place for place, item in enumerate(items)}
            try:
                for future in as_completed(futures):
                    done[futures[future]] = future.result()
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
def one_thread() -> Iterator[None]:
    """Give torch one thread inside: for small products more of them mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _draws(model: nn.Module, x: Tensor) -> bool:
    """Whether a training pass takes random numbers, from a layer or from a function."""
    before = torch.get_rng_state()
    try:
        with torch.no_grad():
            copy.deepcopy(model).train()(x.clone())
    except Exception:  # whatever is wrong is said when it trains
        return True
    return not torch.equal(before, torch.get_rng_state())
