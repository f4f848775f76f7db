"""`nndiag gradients`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.network import network_spec
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import (
    DataSpec,
    GradientsSpec,
    OptimizerSpec,
)

_STEP_OPTIONS = ("--optimizer", "--lr", "--clip-norm", "--clip-value")


def gradients(
    context: typer.Context,
    net: options.Net = "mlp",
    depth: options.Depth = None,
    width: options.Width = None,
    act: options.Act = None,
    init: options.Init = None,
    norm: options.Norm = "none",
    residual: Annotated[
        bool, typer.Option("--residual", help=_("Add each hidden block's input to its output."))
    ] = False,
    bias_std: Annotated[
        float, typer.Option(help=_("Standard deviation of the Gaussian biases."))
    ] = 0.0,
    dropout: Annotated[
        float, typer.Option(help=_("Probability of zeroing a hidden output."))
    ] = 0.0,
    batch_size: Annotated[int, typer.Option(help=_("Samples of a batch."))] = 128,
    data: options.DataName = "digits",
    data_root: options.DataRoot = None,
    target: options.Target = None,
    seeds: Annotated[
        int | None,
        typer.Option(help=_("Networks to draw (default 10; with --train 1).")),
    ] = None,
    train: Annotated[
        int,
        typer.Option(
            metavar="STEPS",
            show_default=False,
            help=_("Train for this many steps (default: look at initialisation only)."),
        ),
    ] = 0,
    optimizer: Annotated[
        str | None, typer.Option(help=_("Optimizer of --train (default sgd)."))
    ] = None,
    lr: Annotated[float | None, typer.Option(help=_("Learning rate of --train."))] = None,
    clip_norm: Annotated[
        float | None, typer.Option(help=_("Clip the total gradient norm to this."))
    ] = None,
    clip_value: Annotated[
        float | None, typer.Option(help=_("Clip each gradient entry to this."))
    ] = None,
    theory: Annotated[
        bool, typer.Option("--theory/--no-theory", help=_("Show the prediction of theory."))
    ] = True,
    all_layers: Annotated[
        bool, typer.Option("--all-layers", help=_("Show every row of a deep network."))
    ] = False,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    fail_on: options.FailOn = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report, fail_on=fail_on)
    network = network_spec(
        net, depth, width, act, init, norm, residual=residual, bias_std=bias_std, dropout=dropout
    )
    stepping = dict(zip(_STEP_OPTIONS, (optimizer, lr, clip_norm, clip_value), strict=True))
    spec = GradientsSpec(
        network=network,
        data=DataSpec(name=data, root=data_root, target=target),
        batch_size=batch_size,
        seeds=seeds if seeds is not None else (1 if train else 10),
        seed=seed,
        train=train,
        optimizer=_optimizer(train, stepping),
        theory=theory,
        device=device,
    )
    _check_names(spec)

    from nndiag.experiments import gradients as experiment
    from nndiag.report import tables

    with display() as shown:
        result = experiment.run(spec, watch=shown, distributions=outputs.drawn)
    code = outputs.deliver(result, tables.gradients(result, all_layers=all_layers))
    interrupted = result.result.get("training", {}).get("interrupted", False)
    return INTERRUPTED_EXIT if interrupted else code


def _optimizer(train: int, given: Mapping[str, object]) -> OptimizerSpec | None:
    if not train:
        for option, value in given.items():
            if value is not None:
                raise UsageError(
                    _("{option}: needs --train STEPS, as nothing is trained without it").format(
                        option=option
                    )
                )
        return None
    name, lr, clip_norm, clip_value = given.values()
    return OptimizerSpec(
        name=str(name or "sgd"),
        lr=lr,  # type: ignore[arg-type]
        clip_norm=clip_norm,  # type: ignore[arg-type]
        clip_value=clip_value,  # type: ignore[arg-type]
    )


def _check_names(spec: GradientsSpec) -> None:
    """Answer a wrong name before torch is loaded."""
    from nndiag import datasets
    from nndiag.zoo import networks, optimizers

    networks.check(spec.network)
    datasets.check(spec.data)
    if spec.optimizer is not None:
        optimizers.check(spec.optimizer)
