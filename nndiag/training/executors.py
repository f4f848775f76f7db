"""Where the trainings of a sweep run: here, on worker processes, or on a Dask cluster.

All three are `concurrent.futures` executors: `submit` gives a `Future`, `as_completed` and `wait`
stream what is done.
"""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError, unknown_name

KINDS = ("local", "processes", "dask")
#: Deaths of a worker under one task after the first, before the task is given up.
RETRIES = 2
_CONNECT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What `--executor` asks for.

    Attributes:
        name: local, processes or dask.
        workers: number of processes; 0 for one a core.
        address: of the Dask scheduler.
    """

    name: str = "local"
    workers: int = 0
    address: str = ""

    @property
    def text(self) -> str:
        """As it is typed."""
        rest = self.address or (str(self.workers) if self.workers else "")
        return f"{self.name}:{rest}" if rest else self.name


def parse(text: str) -> Kind:
    """Return what `local`, `processes`, `processes:N` or `dask:ADDRESS` asks for; loads nothing.

    Raises:
        UsageError: unknown, N is no positive number, no address, or Dask is not installed.
    """
    name, _colon, rest = text.partition(":")
    if name not in KINDS:
        raise unknown_name("--executor", text, KINDS)
    if name == "local" and rest:
        raise _refused(text)
    if name == "processes" and rest and not (rest.isdigit() and int(rest) > 0):
        raise _refused(text)
    if name == "dask":
        if not rest:
            raise _refused(text)
        _require_dask()
    workers = int(rest) if name == "processes" and rest else 0
    return Kind(name=name, workers=workers, address=rest if name == "dask" else "")


def _refused(text: str) -> UsageError:
    return UsageError(
        _(
            "--executor: got '{text}'; accepted: local, processes, processes:N with N at least 1, "
            "dask:ADDRESS such as dask:tcp://127.0.0.1:8786"
        ).format(text=text)
    )


def _require_dask() -> None:
    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            _("--executor: dask needs dask.distributed; pip install 'nndiag[cluster]'")
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """An open executor.

    Attributes:
        window: tasks to hand over at a time; None for all of them at once.
        remote: whether tasks run in other processes.
    """

    executor: Executor
    window: int | None
    remote: bool


@contextmanager
def opened(kind: Kind) -> Iterator[Place]:
    """Yield the executor; on the way out what still runs is given up.

    Raises:
        RunError: the Dask scheduler does not answer.
    """
    if kind.name == "local":
        yield Place(executor=Here(), window=1, remote=False)
    elif kind.name == "processes":
        count = kind.workers or _cores()
        with WorkerProcesses(count) as pool:
            yield Place(executor=pool, window=2 * count, remote=True)
    else:
        with _cluster(kind.address) as executor:
            yield Place(executor=executor, window=None, remote=True)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Here(Executor):
    """Runs a task while it is submitted; its future is done when `submit` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class WorkerDiedError(RunError):
    """A task under which a worker process died every time."""


@dataclass
class _Task:
    future: Future[Any]
    call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
    deaths: int = 0


class WorkerProcesses(Executor):
    """Processes with one torch thread each, a task at a time; one that dies is replaced.

    Every worker is a pool of its own, so that a death is the fault of exactly one task: that one
    is tried again, at most `RETRIES` times, and the others never notice.

    Args:
        count: number of processes; each starts with its first task.
    """

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._workers = [_Worker() for _place in range(count)]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    @property
    def process_ids(self) -> list[int]:
        """The workers that have started."""
        return [worker.process_id for worker in self._workers if worker.process_id]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._closing.is_set():
            raise RuntimeError("no tasks after shutdown")
        task = _Task(Future(), (fn, args, kwargs))
        self._tasks.put(task)
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop; with `cancel_futures` running tasks are killed, else they are waited for."""
        self._closing.set()
        if cancel_futures:
            with suppress(queue.Empty):
                while True:
                    task = self._tasks.get_nowait()
                    if task is not None:
                        task.future.cancel()
            for worker in self._workers:
                worker.kill()
        for _thread in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown(cancel_futures=True)

    def _serve(self, worker: _Worker) -> None:
        while (task := self._tasks.get()) is not None:
            if task.deaths or task.future.set_running_or_notify_cancel():
                self._run(worker, task)
        worker.close()

    def _run(self, worker: _Worker, task: _Task) -> None:
        fn, args, kwargs = task.call
        try:
            result = worker.run(fn, *args, **kwargs)
        except BrokenProcessPool:
            worker.close()
            task.deaths += 1
            if task.deaths <= RETRIES and not self._closing.is_set():
                self._tasks.put(task)
                return
            text = _("the worker process died {count} times under this task")
            task.future.set_exception(WorkerDiedError(text.format(count=task.deaths)))
        except BaseException as error:
            task.future.set_exception(error)
        else:
            task.future.set_result(result)


class _Worker:
    """One process, started when it is needed."""

    def __init__(self) -> None:
        self.process_id = 0
        self._pool: ProcessPoolExecutor | None = None
        self._killed = False

    def run(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # torch does not survive a fork
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)
            self.process_id = self._pool.submit(os.getpid).result()
        if self._killed:
            raise BrokenProcessPool
        return self._pool.submit(fn, *args, **kwargs).result()

    def kill(self) -> None:
        self._killed = True
        if self.process_id:
            with suppress(OSError):
                os.kill(self.process_id, getattr(signal, "SIGKILL", signal.SIGTERM))

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._pool, self.process_id = None, 0


def _prepare() -> None:
    """Set a worker up: Ctrl-C is the parent's affair, and one core is its share."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch, which its first task loads


def _end_with_parent() -> None:
    """Wait for the parent's death, also by SIGKILL, and die with it instead of waiting for work."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """Yield the executor of a running Dask scheduler.

    Raises:
        RunError: it does not answer.
    """
    _require_dask()
    distributed: Any = importlib.import_module("distributed")
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what it reports by traceback we say in a sentence
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError):
        log.setLevel(level)
        raise RunError(
            _(
                "--executor: no Dask scheduler answers at {address}; begin one with: dask scheduler"
            ).format(address=address)
        ) from None
    with client:
        executor: Executor = client.get_executor(retries=RETRIES, pure=False)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)
            log.setLevel(level)
