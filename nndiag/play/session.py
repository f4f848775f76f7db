"""The playground's side of its worker: orders out, views in, and a process that can be killed."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from nndiag import locales
from nndiag.play import worker
from nndiag.schema.spec import GradientsSpec


class Session:
    """One reader's training in a process of its own.

    A context manager; the process starts with the first order and dies with the session.
    """

    def __init__(self) -> None:
        self._process: Any = None
        self._connection: Connection | None = None
        self._spec: GradientsSpec | None = None
        self.running = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()

    @property
    def process_id(self) -> int | None:
        """The worker's, None while there is none."""
        return None if self._process is None else self._process.pid

    def configure(self, spec: GradientsSpec) -> None:
        """Begin a training anew; one that is under way goes on running with the new settings."""
        self._spec = spec
        self._send("configure", spec)
        self._send("look")

    def run(self) -> None:
        self.running = True
        self._send("run")

    def pause(self) -> None:
        self.running = False
        self._send("pause")

    def step(self, steps: int = 1) -> None:
        """Pause, and take so many steps."""
        self.pause()
        self._send("step", steps)

    def reset(self) -> None:
        """Go back to the network before training."""
        self.pause()
        if self._spec is not None:
            self.configure(self._spec)

    def cancel(self) -> None:
        """Kill the worker, whatever it is doing; the next order starts another."""
        self.running = False
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

    def news(self) -> Iterator[tuple[str, Any]]:
        """Yield what the worker has sent; each view that is taken asks for the next one."""
        try:
            while self._connection is not None and self._connection.poll(0):
                kind, given = self._connection.recv()
                if kind == "view":
                    self._send("look")
                    self.running &= not given["diverged"]
                elif kind == "refused":
                    self.running = False
                yield kind, given
        except (EOFError, OSError):  # killed from outside: begin again at the next order
            self.cancel()

    def _send(self, *order: Any) -> None:
        if self._process is None or not self._process.is_alive():
            self._start(order)
        assert self._connection is not None
        self._connection.send(order)

    def _start(self, order: tuple[Any, ...]) -> None:
        context = get_context("spawn")  # torch does not survive a fork
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.serve, args=(theirs, locales.language()), daemon=True
        )
        self._process.start()
        theirs.close()
        if order[0] != "configure" and self._spec is not None:  # after a cancel
            self._connection.send(("configure", self._spec))
            self._connection.send(("look",))
