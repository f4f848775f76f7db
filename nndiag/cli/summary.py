"""`nndiag summary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.network import network_spec
from nndiag.cli.outcome import Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NETS, NetworkSpec
from nndiag.schema.spec_summary import SummarySpec, shape_of

_USUAL_DEPTH, _USUAL_WIDTH = 3, 64


def summary(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=_(
                "A torchvision classifier by name, small_cnn, mlp, cnn, rnn, lstm, gru, or "
                "package.module:factory."
            ),
        ),
    ],
    input_size: Annotated[
        str | None,
        typer.Option(metavar="SIZES", help=_("Of one sample, such as 224 or 3x224x224.")),
    ] = None,
    batch_size: Annotated[int, typer.Option(help=_("Samples of a batch."))] = 1,
    classes: Annotated[
        int | None, typer.Option(help=_("Outputs (default: the model's own)."))
    ] = None,
    depth_limit: Annotated[
        int | None, typer.Option(help=_("Levels of nesting to show (default: what a page holds)."))
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help=_("Weight layers of mlp, cnn, rnn, lstm or gru."))
    ] = None,
    width: Annotated[int | None, typer.Option(help=_("Their units or channels."))] = None,
    act: Annotated[str | None, typer.Option(help=_("Their activation."))] = None,
    norm: Annotated[str | None, typer.Option(help=_("Their norm: none, batch or layer."))] = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    ours = {"--depth": depth, "--width": width, "--act": act, "--norm": norm}
    network = _network(model, depth, width, act, norm) if model in NETS else None
    if network is None:
        _check(model, ours, classes)
    spec = SummarySpec(
        model=model,
        network=network,
        input_shape=None if input_size is None else shape_of(input_size, channels=_channels(model)),
        batch_size=batch_size,
        classes=classes,
        depth=depth_limit,
    )

    from nndiag.experiments import summary as experiment
    from nndiag.report import summary as tables

    result = experiment.run(spec)
    return outputs.deliver(result, tables.summary(result))


def _network(
    net: str, depth: int | None, width: int | None, act: str | None, norm: str | None
) -> NetworkSpec:
    from nndiag.zoo import networks

    found = network_spec(
        net,
        depth,
        width,
        act,
        None,
        norm or "none",
        usual_depth=_USUAL_DEPTH,
        usual_width=_USUAL_WIDTH,
    )
    networks.check(found)
    return found


def _channels(model: str) -> int:
    """Return the channels of the pictures that a model usually sees, 0 where nobody knows."""
    from nndiag.zoo.registry import is_import

    if is_import(model) or model in NETS:
        return 1 if model == "cnn" else 0
    return 3


def _check(model: str, ours: Mapping[str, object], classes: int | None) -> None:
    """Answer a wrong name or option before torch is loaded."""
    from nndiag.zoo import backbones
    from nndiag.zoo.registry import is_import

    found = backbones.row(model, "MODEL", NETS)
    for option, value in ours.items():
        if value is not None:
            raise UsageError(
                _("{option}: {model} has its own; accepted with {nets}").format(
                    option=option, model=found.name, nets=", ".join(NETS)
                )
            )
    if classes is not None and is_import(model):
        raise UsageError(
            _("--classes: got {classes}, but {model} is called without arguments").format(
                classes=classes, model=model
            )
        )
