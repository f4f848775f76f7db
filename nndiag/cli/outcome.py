"""What happens with a result: shown, saved, drawn, and turned into an exit code."""

from __future__ import annotations

import os
import shlex
import sys
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError, unknown_name

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from nndiag.schema.result import Result

FINDINGS_EXIT = 3
INTERRUPTED_EXIT = 130
#: What was typed after `nndiag`; a result keeps it, so that it can be repeated.
ARGUMENTS: ContextVar[tuple[str, ...]] = ContextVar("ARGUMENTS", default=())


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where a command's result goes; checked before anything is computed."""

    json: Path | None = None
    plot: Path | None = None
    report: Path | None = None
    fail_on: str | None = None

    def __post_init__(self) -> None:
        if self.fail_on not in (None, "warning", "critical"):
            raise unknown_name("--fail-on", str(self.fail_on), ["warning", "critical"])
        for option, path in (
            ("--json", self.json),
            ("--plot", self.plot),
            ("--report", self.report),
        ):
            if path is not None and (option, str(path)) != ("--json", "-"):
                require_writable(option, path)
        if self.drawn:
            from nndiag.report import plot

            if self.plot is not None:
                plot.check_path(self.plot)
            if self.report is not None:
                plot.check_path(self.report, "--report", suffixes=[".html"])

    @property
    def to_stdout(self) -> bool:
        """Whether stdout belongs to the JSON text alone."""
        return str(self.json) == "-"

    @property
    def drawn(self) -> bool:
        """Whether a figure is made of the result."""
        return self.plot is not None or self.report is not None

    def deliver(self, result: Result, view: RenderableType, console: Console | None = None) -> int:
        """Show and save the result; return the exit code."""
        if typed := ARGUMENTS.get():
            command = shlex.join(["nndiag", *typed])
            result = replace(result, environment={**result.environment, "command": command})
        if not self.to_stdout:
            from rich.console import Console

            (console or Console()).print(view, crop=False)  # what is to be copied stays whole
        if self.json is not None:
            self._write_json(result)
        if self.plot is not None:
            from nndiag.report import plot

            print(_("figure: {path}").format(path=plot.write(result, self.plot)), file=sys.stderr)
        if self.report is not None:
            from nndiag.report import page

            print(
                _("report: {path}").format(
                    path=page.write({self.report.stem: result}, self.report)
                ),
                file=sys.stderr,
            )
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
