"""`nndiag diagnose`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.locales import _
from nndiag.schema.errors import RunError
from nndiag.schema.spec_diagnose import DiagnoseSpec

#: What comes after SCRIPT belongs to the script.
SETTINGS = {"allow_interspersed_args": False, "ignore_unknown_options": False}


def diagnose(
    script: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT", help=_("The script that trains (with -m: a module), unchanged.")
        ),
    ],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]...", help=_("The script's own arguments.")),
    ] = None,
    module: Annotated[
        bool, typer.Option("-m", "--module", help=_("Run SCRIPT as a module, as python -m does."))
    ] = False,
    steps: Annotated[
        int | None, typer.Option(help=_("Stop after so many optimizer steps (default: the end)."))
    ] = None,
    every: Annotated[
        int, typer.Option(help=_("Record layer statistics at each so-many-th step."))
    ] = 1,
    try_fixes: Annotated[
        bool,
        typer.Option("--try-fixes", help=_("Re-run the script with what may cure it, and rank.")),
    ] = False,
    repeats: Annotated[int, typer.Option(help=_("Seeds of each fix, at least 3."))] = 3,
    trial_steps: Annotated[
        int | None,
        typer.Option(help=_("Optimizer steps of a re-run (default: as watched, at most 300).")),
    ] = None,
    all_layers: Annotated[
        bool, typer.Option("--all-layers", help=_("Show every row of a deep network."))
    ] = False,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    sarif: Annotated[
        Path | None,
        typer.Option("--sarif", metavar="PATH", help=_("Write the findings as SARIF 2.1.0.")),
    ] = None,
    fail_on: options.FailOn = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report, fail_on=fail_on)
    spec = DiagnoseSpec(
        script=script,
        args=tuple(args or ()),
        module=module,
        steps=steps,
        every=every,
        try_fixes=try_fixes,
        repeats=repeats,
        trial_steps=trial_steps,
    )
    spec.check()

    from nndiag.experiments import diagnose as experiment
    from nndiag.report import run_report
    from nndiag.report.live import StepLine

    with _script_output(outputs.to_stdout), StepLine() as live, display() as shown:
        result = experiment.run(spec, watch=shown, live=live)
    if sarif is not None:
        _write_sarif(sarif, result)
    code = outputs.deliver(result, run_report.diagnose(result, all_layers=all_layers))
    if result.result["interrupted"]:
        return INTERRUPTED_EXIT
    return code or int(result.result["script_exit"])


@contextlib.contextmanager
def _script_output(json_on_stdout: bool) -> Iterator[None]:
    """Leave stdout to the JSON text alone where it goes there."""
    if not json_on_stdout:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _write_sarif(path: Path, result: object) -> None:
    from nndiag.report.sarif import sarif
    from nndiag.schema.result import Result

    assert isinstance(result, Result)
    try:
        path.write_text(sarif(result) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(
            _("--sarif: {path} cannot be written: {reason}").format(
                path=path, reason=error.strerror
            )
        ) from None
