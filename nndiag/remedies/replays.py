"""Fresh processes that run a script with changes made on the way, a few at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nndiag.schema.result import revive

#: One thread a run; no window, no logging service: a trial leaves no trace of the script's.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
}
_LOOK = 0.02  # seconds between two looks at the processes


@dataclass(frozen=True, kw_only=True)
class Script:
    """What is run, and how.

    Attributes:
        target: path, or with `module` a name as for `python -m`.
        layers: of its models as a first run saw them (`interventions.layers_of`).
        by_hand: it moves its weights itself, without a torch optimizer.
        timeout: seconds after which a run is ended.
    """

    target: str
    argv: tuple[str, ...] = ()
    module: bool = False
    steps: int
    layers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    by_hand: bool = False
    timeout: float = 300.0


@dataclass(frozen=True)
class Run:
    """Changes under one seed."""

    names: str
    seed: int


Figures = dict[str, Any]


class Replays:
    """Runs that were done, by change and seed; `figures["crash"]` tells why one has no numbers.

    Args:
        workers: processes at a time.
        told: called after each run with its changes.
    """

    def __init__(
        self, script: Script, *, workers: int, told: Callable[[Run], None] | None = None
    ) -> None:
        self._script, self._workers, self._told = script, max(1, workers), told
        self.done: dict[Run, Figures] = {}

    def run(self, runs: Iterable[Run]) -> None:
        """Do all runs that are not done yet.

        Raises:
            KeyboardInterrupt: all processes are ended; what was done is kept.
        """
        waiting = [one for one in dict.fromkeys(runs) if one not in self.done]
        going: list[_Process] = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                while waiting or going:
                    while waiting and len(going) < self._workers:
                        going.append(_Process(self._script, waiting.pop(0), Path(folder)))
                    for process in [one for one in going if one.ended()]:
                        going.remove(process)
                        self.done[process.run] = process.figures()
                        if self._told is not None:
                            self._told(process.run)
                    time.sleep(_LOOK)
            finally:
                for process in going:
                    process.kill()


class _Process:
    """One run under way."""

    def __init__(self, script: Script, run: Run, folder: Path) -> None:
        self.run = run
        self._script, self._started = script, time.perf_counter()
        stem = f"{abs(hash(run))}-{run.seed}"
        self._result, self._words = folder / f"{stem}.result", folder / f"{stem}.words"
        job = folder / f"{stem}.job"
        job.write_text(
            json.dumps(
                {
                    "target": script.target,
                    "argv": list(script.argv),
                    "module": script.module,
                    "steps": script.steps,
                    "seed": run.seed,
                    "by_hand": script.by_hand,
                    "names": run.names,
                    "layers": {kind: dict(layers) for kind, layers in script.layers.items()},
                    "result": str(self._result),
                }
            ),
            encoding="utf-8",
        )
        with self._words.open("wb") as words:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "nndiag.attach.replay", str(job)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # Ctrl-C in the terminal is for us alone
            )
        self._late = False

    def ended(self) -> bool:
        """Whether the process is over; one that takes too long is ended."""
        if self._popen.poll() is not None:
            return True
        if time.perf_counter() - self._started > self._script.timeout:
            self._late = True
            self.kill()
        return self._late

    def kill(self) -> None:
        """End the process with all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._popen.pid, signal.SIGKILL)
            else:
                self._popen.kill()
        self._popen.wait()

    def figures(self) -> Figures:
        seconds = time.perf_counter() - self._started
        if self._late:
            return {"crash": f"timed out after {self._script.timeout:g} s", "seconds": seconds}
        try:
            figures: Figures = revive(json.loads(self._result.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError):
            words = self._words.read_text(encoding="utf-8", errors="replace").strip()
            last = words.splitlines()[-1] if words else f"exit code {self._popen.returncode}"
            return {"crash": last, "seconds": seconds}
        return {**figures, "crash": figures["error"]}
