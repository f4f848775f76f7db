"""The specification of `nndiag diagnose`."""

from __future__ import annotations

import importlib.util
import shlex
from dataclasses import dataclass
from pathlib import Path

from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name

_SAVED_MODELS = (".pt", ".pth", ".safetensors", ".ckpt", ".onnx")


@dataclass(frozen=True, kw_only=True)
class DiagnoseSpec:
    """A script to run and to watch.

    Attributes:
        script: path, or with `module` a name as for `python -m`.
        args: the script's own arguments.
        steps: end the run after so many optimizer steps; None runs to the end.
        every: record layer statistics at each so-many-th step.
        try_fixes: re-run the script with candidate fixes.
        repeats: seeds of each fix.
        trial_steps: optimizer steps of a re-run; None for as many as were watched, 300 at most.
    """

    script: str
    args: tuple[str, ...] = ()
    module: bool = False
    steps: int | None = None
    every: int = 1
    try_fixes: bool = False
    repeats: int = 3
    trial_steps: int | None = None

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--steps", self.steps, 1),
            ("--every", self.every, 1),
            ("--repeats", self.repeats, 3),
            ("--trial-steps", self.trial_steps, 20),
        ):
            if value is not None and value < least:
                raise UsageError(
                    _("{option}: got {value}; accepted: a whole number of at least {least}").format(
                        option=option, value=value, least=least
                    )
                )

    def check(self) -> None:
        """Check that there is something to run; costs no import of it.

        Raises:
            UsageError: no such script or module.
        """
        if self.module:
            _check_module(self.script)
        else:
            _check_script(Path(self.script))

    def command(self) -> str:
        """Return the command line that repeats the run."""
        parts = ["nndiag", "diagnose"]
        for option, value, usual in (
            ("--steps", self.steps, None),
            ("--every", self.every, 1),
            ("--repeats", self.repeats, 3),
            ("--trial-steps", self.trial_steps, None),
        ):
            if value != usual:
                parts += [option, str(value)]
        parts += ["--try-fixes"] if self.try_fixes else []
        parts += ["-m"] if self.module else []
        return shlex.join([*parts, self.script, *self.args])


def _check_script(path: Path) -> None:
    if path.is_dir():
        raise UsageError(
            _("SCRIPT: {path} is a folder; accepted: a Python file, or -m MODULE").format(path=path)
        )
    if not path.exists():
        near = sorted(other.name for other in path.parent.glob("*.py"))
        if near:
            raise unknown_name("SCRIPT", path.name, near)
        raise UsageError(_("SCRIPT: there is no file {path}").format(path=path))
    if path.suffix in _SAVED_MODELS:
        raise UsageError(
            _("SCRIPT: {path} is a saved model; accepted: the Python file that trains it").format(
                path=path
            )
        )


def _check_module(name: str) -> None:
    import sys

    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    finally:
        if added:
            sys.path.remove(here)
    if found is None:
        near = sorted(path.stem for path in Path.cwd().glob("*.py"))
        if near:
            raise unknown_name("-m", name, near)
        raise UsageError(_("-m: there is no module {name}").format(name=name))
