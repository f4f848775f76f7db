"""The process that trains for the playground; it answers between slices of a training.

What travels: orders to it are ("configure", GradientsSpec), ("run",), ("pause",), ("step", N) and
("look",); it sends ("points", dict), ("view", dict) and ("refused", sentence). A view is sent when
one was asked for by "look", so that a slow reader is never flooded.
"""

from __future__ import annotations

import signal
import time
from multiprocessing.connection import Connection
from typing import Any

from nndiag import locales
from nndiag.schema.errors import NndiagError

#: Seconds that a slice of training takes, about: the page answers within it.
_SLICE = 0.1


def serve(connection: Connection, language: str) -> None:
    """Obey orders until the other end closes or the process is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    import torch

    torch.set_num_threads(1)
    locales.use(language)
    worker = _Worker(connection)
    try:
        while True:
            worker.turn()
    except (EOFError, OSError):  # the playground has gone
        return


class _Worker:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._training: Any = None
        self._running = self._asked = self._changed = False
        self._slice = 1

    def turn(self) -> None:
        """Take the orders that wait, train for a slice, show what changed if that was asked for."""
        idle = not self._running and not (self._asked and self._changed)
        while self._connection.poll(None if idle else 0):
            self._obey(*self._connection.recv())
            idle = False
        if self._training is not None and self._running:
            self._train()
        if self._asked and self._changed and self._training is not None:
            self._asked = self._changed = False
            view = self._training.view()
            self._running &= not view.diverged
            self._connection.send(("view", view.to_dict()))

    def _obey(self, order: str, *given: Any) -> None:
        if order == "configure":
            self._configure(given[0])
        elif order == "look":
            self._asked = True
        elif order == "step" and self._training is not None:
            self._training.advance(given[0])
            self._changed = True
        else:
            self._running = order == "run"

    def _configure(self, spec: Any) -> None:
        from nndiag.training.live import LiveTraining

        self._slice = 1
        try:
            self._training = LiveTraining(spec)
        except NndiagError as error:
            self._training, self._running = None, False
            self._connection.send(("refused", str(error)))
            return
        self._changed = True
        self._connection.send(("points", self._training.points()))

    def _train(self) -> None:
        started = time.perf_counter()
        self._training.advance(self._slice)
        share = _SLICE / max(time.perf_counter() - started, 1e-6)
        self._slice = max(1, min(2 * self._slice, round(self._slice * share)))
        self._changed = True
