"""`nndiag runs list|show|compare|export`: reads the store of sweeps."""

from __future__ import annotations

import csv
import io
import json as json_text
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nndiag.cli import options
from nndiag.cli.outcome import Outputs, require_writable
from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.spec import require_choice
from nndiag.schema.spec_sweep import METRICS

SUFFIXES = (".csv", ".json")
Name = Annotated[str, typer.Argument(metavar="NAME", help=_("Name of a sweep in the store."))]


def commands() -> typer.Typer:
    """Return the group of commands, in the language in use."""
    app = typer.Typer(no_args_is_help=True)
    app.command(name="list", help=_("Lists the sweeps of the store."))(list_sweeps)
    app.command(name="show", help=_("Shows a sweep as far as it got, without training."))(show)
    app.command(name="compare", help=_("Compares sweeps: their best, and what they share."))(
        compare
    )
    app.command(name="export", help=_("Writes every run of a sweep to a CSV or JSON file."))(export)
    return app


def list_sweeps(
    json: options.JsonPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, report=report)

    from nndiag.experiments import runs as experiment
    from nndiag.report import runs as view

    result = experiment.listed()
    return outputs.deliver(result, view.listing(result))


def show(
    name: Name,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)

    from nndiag.experiments import runs as experiment
    from nndiag.report import sweep as view

    result = experiment.shown(name)
    return outputs.deliver(result, view.sweep(result))


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME NAME...", help=_("Two sweeps or more.")),
    ],
    metric: Annotated[
        str | None, typer.Option(help=_("What is best (default: as the first sweep has it)."))
    ] = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    if len(set(names)) < 2:
        raise UsageError(_("runs compare: got one sweep; accepted: two or more names"))
    if metric is not None:
        require_choice("--metric", metric, tuple(METRICS))

    from nndiag.experiments import runs as experiment
    from nndiag.report import runs as view

    result = experiment.compared(list(dict.fromkeys(names)), metric)
    return outputs.deliver(result, view.comparison(result))


def export(
    name: Name,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help=_("A file that ends in .csv or .json."))
    ],
    lang: options.Language = None,
) -> int:
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            _("PATH: got '{path}'; accepted: a file name that ends in {suffixes}").format(
                path=path, suffixes=", ".join(SUFFIXES)
            )
        )
    require_writable("PATH", path)

    from nndiag.experiments import runs as experiment

    rows = experiment.exported(name)
    text = _as_csv(rows) if path.suffix.lower() == ".csv" else _as_json(rows)
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise RunError(
            _("'{path}' cannot be written: {reason}").format(path=path, reason=error.strerror)
        ) from None
    print(_("{count} runs: {path}").format(count=len(rows), path=path), file=sys.stderr)
    return 0


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    from nndiag.schema.result import plain

    return json_text.dumps(plain(rows), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
