"""`nndiag depth-limit`."""

from __future__ import annotations

from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_depth import DepthLimitSpec


def depth_limit(
    depth: Annotated[
        str, typer.Option(help=_("Weight layers, joined by commas; at most 10000."))
    ] = "20,200,1000",
    methods: Annotated[
        str | None,
        typer.Option(
            help=_(
                "Joined by commas (default all): tanh-orthogonal, tanh-gaussian, relu-he, selu, "
                "sigmoid-batchnorm, relu-batchnorm."
            )
        ),
    ] = None,
    width: Annotated[int, typer.Option(help=_("Units of a hidden layer."))] = 64,
    steps: Annotated[int, typer.Option(help=_("Optimizer steps of every training."))] = 80,
    batch_size: Annotated[int, typer.Option(help=_("Samples of a batch."))] = 64,
    gain: Annotated[
        float | None,
        typer.Option(help=_("Gain of the tanh methods (default 1 + 1 / sqrt(depth)).")),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help=_("Learning rate of Adam (default 0.02 / depth)."))
    ] = None,
    rates: Annotated[
        int,
        typer.Option(
            help=_("Learning rates that every method but tanh-orthogonal may choose from.")
        ),
    ] = 2,
    seeds: Annotated[
        int | None,
        typer.Option(help=_("Trainings of each (default 3, and 1 from 1,000 layers on).")),
    ] = None,
    target_accuracy: Annotated[
        float, typer.Option(help=_("Test accuracy that counts as trained, 0 to 1."))
    ] = 0.9,
    data: options.DataName = "digits",
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
    spec = DepthLimitSpec(
        depths=_depths(depth),
        methods=_methods(methods),
        data=DataSpec(name=data, root=data_root, target=target),
        width=width,
        steps=steps,
        batch_size=batch_size,
        gain=gain,
        lr=lr,
        rates=rates,
        seeds=seeds,
        seed=seed,
        target=target_accuracy,
        device=device,
    )

    from nndiag import datasets

    datasets.check(spec.data)

    from nndiag.experiments import depth_limit as experiment
    from nndiag.report import depth_limit as view

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, view.depth_limit(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def _depths(text: str) -> tuple[int, ...]:
    parts = [part.strip().replace("_", "") for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(
            _("{option}: got '{text}'; accepted: whole numbers joined by commas").format(
                option="--depth", text=text
            )
        )
    return tuple(dict.fromkeys(map(int, parts)))


def _methods(text: str | None) -> tuple[str, ...]:
    from nndiag.zoo.deep_methods import DEEP_METHODS

    if text is None:
        return DEEP_METHODS.names
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(DEEP_METHODS.get(name, "--methods").name for name in dict.fromkeys(names))
