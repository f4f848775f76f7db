"""`nndiag reproduce`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_reproduce import ReproduceSpec


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...|all|list]", help=_("Claims; all unless given.")),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=_("Only claims at initialisation: under 20 seconds."))
    ] = False,
    seeds: Annotated[int, typer.Option(help=_("Repetitions of each; all must agree."))] = 5,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    from nndiag import claims

    asked = names or ["all"]
    for name in asked:
        if name not in ("all", "list"):
            claims.check(name)
    outputs = Outputs(json=json, plot=plot, report=report)
    spec = ReproduceSpec(claims=(), seeds=seeds, seed=seed)

    chosen = _chosen(asked, quick=quick)
    if "list" in asked:
        return _list(chosen)

    from nndiag.experiments import reproduce as experiment
    from nndiag.report import claims as view

    with display() as shown:
        result = experiment.run(replace(spec, claims=chosen), watch=shown)
    code = outputs.deliver(result, view.reproduce(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def _chosen(asked: list[str], *, quick: bool) -> tuple[str, ...]:
    """Return the names to check."""
    from nndiag import claims

    if {"all", "list"} & set(asked):
        return tuple(claims.names(trains=False) if quick else claims.every_name())
    for name in asked:
        if quick and name in claims.names(trains=True):
            raise UsageError(
                _(
                    "--quick: {name} trains networks; leave --quick out (nndiag reproduce list "
                    "--quick names those that do not)"
                ).format(name=name)
            )
    return tuple(dict.fromkeys(asked))


def _list(chosen: tuple[str, ...]) -> int:
    from rich.console import Console

    from nndiag import claims
    from nndiag.report.claims import listing

    trained = claims.names(trains=True)
    kinds = {
        _("At initialisation (--quick)"): [name for name in chosen if name not in trained],
        _("With training"): [name for name in chosen if name in trained],
    }
    console = Console()
    for title, names in kinds.items():
        lines = listing(title, [claims.get(name) for name in names], console.width)
        console.print(*lines, sep="\n")
    return 0
