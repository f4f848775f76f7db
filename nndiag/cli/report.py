"""`nndiag report RUN...`: pages of results that were computed before. Never loads torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nndiag.cli import options
from nndiag.cli.outcome import Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError

if TYPE_CHECKING:
    from nndiag.schema.result import Result

_USUAL = Path("report.html")


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help=_("Files that --json wrote, or names of sweeps in the store."),
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", "--report", metavar="PATH", help=_("The page ('-': stdout).")
        ),
    ] = _USUAL,
    lang: options.Language = None,
) -> int:
    to_stdout = str(output) == "-"
    Outputs(report=_USUAL if to_stdout else output)  # checks the path and what a page needs
    results = _named({run: _result(run) for run in dict.fromkeys(runs)})

    from nndiag.report import page

    if to_stdout:
        sys.stdout.write(page.html(results))
    else:
        print(_("report: {path}").format(path=page.write(results, output)), file=sys.stderr)
    return 0


def _result(run: str) -> Result:
    from nndiag.experiments import runs
    from nndiag.report import saved
    from nndiag.store import database

    path = Path(run)
    if path.is_file():
        return saved.read(path)
    if path.suffix == ".json" or path.name != run or not database.exists(database.home()):
        raise UsageError(
            _("RUN: '{run}' is no file, nor the name of a sweep in the store {folder}").format(
                run=run, folder=database.home()
            )
        )
    return runs.shown(run)


def _named(results: dict[str, Result]) -> dict[str, Result]:
    """Call each result by its file's short name where that tells them all apart."""
    short = [Path(run).stem for run in results]
    if len(set(short)) < len(short):
        return results
    return dict(zip(short, results.values(), strict=True))
