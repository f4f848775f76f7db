"""What happens with a result: shown, saved, drawn, and turned into an exit code."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError, unknown_name

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from nndiag.schema.result import Result

FINDINGS_EXIT = 3
INTERRUPTED_EXIT = 130


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where a command's result goes; checked before anything is computed."""

    json: Path | None = None
    plot: Path | None = None
    fail_on: str | None = None

    def __post_init__(self) -> None:
        if self.fail_on not in (None, "warning", "critical"):
            raise unknown_name("--fail-on", str(self.fail_on), ["warning", "critical"])
        for option, path in (("--json", self.json), ("--plot", self.plot)):
            if path is not None and str(path) != "-":
                require_writable(option, path)
        if self.plot is not None:
            from nndiag.report import plot

            plot.check_path(self.plot)

    @property
    def to_stdout(self) -> bool:
        """Whether stdout belongs to the JSON text alone."""
        return str(self.json) == "-"

    def deliver(self, result: Result, view: RenderableType, console: Console | None = None) -> int:
        """Show and save the result; return the exit code."""
        if not self.to_stdout:
            from rich.console import Console

            (console or Console()).print(view)
        if self.json is not None:
            self._write_json(result)
        if self.plot is not None:
            from nndiag.report import plot

            print(_("figure: {path}").format(path=plot.write(result, self.plot)), file=sys.stderr)
        return self._exit_code(result)

    def _write_json(self, result: Result) -> None:
        if self.to_stdout:
            sys.stdout.write(result.to_json() + "\n")
            return
        try:
            Path(str(self.json)).write_text(result.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            raise RunError(
                _("--json: {path} cannot be written: {reason}").format(
                    path=self.json, reason=error.strerror
                )
            ) from None

    def _exit_code(self, result: Result) -> int:
        if self.fail_on is None:
            return 0
        from nndiag.schema.finding import Severity

        limit = Severity(self.fail_on).rank
        return FINDINGS_EXIT if any(f.severity.rank >= limit for f in result.findings) else 0


def require_writable(option: str, path: Path) -> None:
    folder = path.parent
    if path.is_dir():
        raise UsageError(_("{option}: {path} is a folder").format(option=option, path=path))
    if not folder.is_dir():
        raise UsageError(
            _("{option}: the folder {folder} does not exist").format(option=option, folder=folder)
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(_("{option}: {path} is not writable").format(option=option, path=path))
