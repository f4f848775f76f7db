"""`nndiag sweep`."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.cli.settings import with_settings
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_sweep import SweepSpec

#: What a resumed sweep may be given anew: where it runs and what becomes of its result.
_WITH_RESUME = {"resume", "executor", "json", "plot", "report", "lang"}


@with_settings()
def sweep(
    context: typer.Context,
    axes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AXIS=VALUES...",
            help=_(
                "Any option below with the values it takes: act=relu,tanh, lr=log:1e-4:1:9, "
                "depth=int:2:10:2, dropout=lin:0:0.5:6."
            ),
        ),
    ] = None,
    *,
    base: dict[str, Any],
    seeds: Annotated[int, typer.Option(help=_("Trainings of each configuration."))] = 5,
    metric: Annotated[
        str,
        typer.Option(
            help=_("What is best: val_accuracy, val_loss, test_accuracy, test_loss, train_loss.")
        ),
    ] = "val_accuracy",
    samples: Annotated[
        int | None, typer.Option(help=_("Random search: so many configurations, not the grid."))
    ] = None,
    halving: Annotated[
        bool,
        typer.Option("--halving", help=_("Successive halving: only the better half trains on.")),
    ] = False,
    cv: Annotated[
        int | None, typer.Option(metavar="K", help=_("Stratified cross-validation over K folds."))
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help=_("Where: local, processes, processes:N, dask:ADDRESS."),
        ),
    ] = "local",
    name: Annotated[
        str | None, typer.Option(help=_("Name in the store (default: made from the axes)."))
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME", help=_("Go on with a stored sweep."))
    ] = None,
    data_root: options.DataRoot = None,
    target: options.Target = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    from nndiag.training import executors

    place = executors.parse(executor)
    if resume is not None:
        _refuse_beside_resume(context)
        from nndiag.store import runs

        spec, name = runs.resumed(resume)
    else:
        spec = SweepSpec(
            axes=tuple(axes or ()),
            base=base,
            seeds=seeds,
            seed=seed,
            metric=metric,
            samples=samples,
            halving=halving,
            folds=cv,
            data_root=data_root,
            target=target,
            device=device,
        )
    _check(spec)

    from nndiag.experiments import sweep as experiment
    from nndiag.report import sweep as view

    with display() as shown:
        result = experiment.run(spec, watch=shown, executor=place, name=name)
    code = outputs.deliver(result, view.sweep(result))
    if not result.result["interrupted"]:
        return code
    line = f"nndiag sweep --resume {shlex.quote(result.result['sweep'])}"
    print(_("to go on: {command}").format(command=line), file=sys.stderr)
    return INTERRUPTED_EXIT


def _refuse_beside_resume(context: typer.Context) -> None:
    for name in context.params:
        given = str(context.get_parameter_source(name)).endswith("COMMANDLINE")
        if given and name not in _WITH_RESUME:
            option = "AXIS=VALUES" if name == "axes" else f"--{name.replace('_', '-')}"
            raise UsageError(
                _("{option}: has no meaning with --resume, which knows the whole sweep").format(
                    option=option
                )
            )


def _check(spec: SweepSpec) -> None:
    """Answer a wrong name before torch is loaded."""
    from nndiag.schema.spec import DataSpec
    from nndiag.training import configurations

    data = DataSpec(root=spec.data_root, target=spec.target)
    configurations.check(configurations.asked(spec), spec.folds, data)
