"""Runs a user's script as `python script.py` would, and watches its training."""

from __future__ import annotations

import random
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nndiag.attach.intervening import Intervening
from nndiag.attach.patches import Patches
from nndiag.attach.session import Enough, Session
from nndiag.schema.observation import Observation


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a script ended.

    Attributes:
        exit_code: of the script: 0, what it gave to `sys.exit`, or 1 for an exception.
    """

    observation: Observation
    exit_code: int


def observe(
    target: str,
    argv: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int | None = None,
    every: int = 1,
    seed: int | None = None,
    interventions: Sequence[Intervening] = (),
    told: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Run a script in this process as `__main__` and return what was seen of its training.

    Its output goes where it always goes; a traceback is printed as Python would print it.

    Args:
        target: path of the script, or with `module` a name as for `python -m`.
        argv: the script's own arguments.
        steps: end it after so many optimizer steps.
        every: record layer statistics at each so-many-th step.
        seed: takes the place of the seeds that the script sets (each is shifted by it).
        told: called after each step with its number and the newest loss.
    """
    name = target if module else str(Path(target).resolve())
    with (
        _as_main([target, *argv], None if module else str(Path(name).parent)) as namespace,
        _reseeded(seed),
        Session(steps=steps, every=every, interventions=interventions, told=told) as session,
    ):
        error: BaseException | None = None
        stopped = interrupted = False
        code = 0
        try:
            namespace.update(_run(name, module))
        except Enough as end:
            stopped = True
            namespace.update(_globals_of(end))
        except KeyboardInterrupt as end:
            interrupted = True
            namespace.update(_globals_of(end))
        except SystemExit as end:
            code = _exit_code(end)
            namespace.update(_globals_of(end))
        except BaseException as end:
            error, code = end, 1
            namespace.update(_globals_of(end))
            _print_own(end)
        observation = session.observation(
            namespace=namespace, error=error, stopped=stopped, interrupted=interrupted
        )
    return Outcome(observation=observation, exit_code=code)


def _run(name: str, module: bool) -> dict[str, Any]:
    if module:
        return runpy.run_module(name, run_name="__main__", alter_sys=True)
    return runpy.run_path(name, run_name="__main__")


@contextmanager
def _as_main(argv: list[str], folder: str | None) -> Iterator[dict[str, Any]]:
    """Give the script its arguments and its folder on the path; take them back after it."""
    kept_argv, kept_path, kept_main = sys.argv, list(sys.path), sys.modules.get("__main__")
    sys.argv = argv
    sys.path[0:1] = [folder if folder is not None else str(Path.cwd())]
    try:
        yield {}
    finally:
        sys.argv, sys.path[:] = kept_argv, kept_path
        if kept_main is not None:
            sys.modules["__main__"] = kept_main


@contextmanager
def _reseeded(seed: int | None) -> Iterator[None]:
    """Shift every seed that the script sets."""
    if seed is None:
        yield
        return
    import numpy as np

    patches = Patches()

    def shifted(original: Callable[..., Any]) -> Callable[..., Any]:
        def set_seed(value: Any = None, *args: Any, **kwargs: Any) -> Any:
            if isinstance(value, int):
                value = (value + 7919 * seed) % 2**32
            return original(value, *args, **kwargs)

        return set_seed

    for owner, name in (
        *((torch, "manual_seed"), (torch.random, "manual_seed")),
        *((random, "seed"), (np.random, "seed"), (np.random, "default_rng")),
    ):
        patches.wrap(owner, name, shifted)
    try:
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        yield
    finally:
        patches.undo()


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    print(end.code, file=sys.stderr)
    return 1


def _globals_of(error: BaseException) -> dict[str, Any]:
    """Return the script's variables as they were when the exception left it."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "__main__" and "__file__" in (
            names := trace.tb_frame.f_globals
        ):
            return dict(names)
        trace = trace.tb_next
    return {}


def _print_own(error: BaseException) -> None:
    """Print the traceback from the script's own first frame on."""
    trace = error.__traceback__
    own = Path(__file__).parent
    while trace is not None and (
        Path(trace.tb_frame.f_code.co_filename).parent == own
        or "runpy" in trace.tb_frame.f_code.co_filename
    ):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
