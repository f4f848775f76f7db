"""`nndiag boundary`: how a network bends the plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import Outputs, require_writable
from nndiag.locales import _
from nndiag.schema.spec import require_range
from nndiag.schema.spec_boundary import BoundarySpec


def boundary(
    data: Annotated[
        str, typer.Option("--data", help=_("moons, circles, spirals, xor or blobs."))
    ] = "spirals",
    depth: Annotated[int, typer.Option(help=_("Weight layers, the output layer included."))] = 4,
    width: Annotated[
        int, typer.Option(help=_("Units of a hidden layer; 2 can be drawn as they are."))
    ] = 16,
    act: Annotated[str, typer.Option(help=_("Activation, or package.module:Name."))] = "tanh",
    lr: Annotated[float, typer.Option(help=_("Learning rate of Adam."))] = 0.01,
    steps: Annotated[int, typer.Option(help=_("Optimizer steps."))] = 1500,
    frames: Annotated[int, typer.Option(help=_("Pictures of the animation."))] = 40,
    seeds: Annotated[int, typer.Option(help=_("Trainings; they give the intervals."))] = 5,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    animate: Annotated[
        Path | None,
        typer.Option("--animate", metavar="PATH", help=_("Film the training: gif or html.")),
    ] = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    if animate is not None:
        require_writable("--animate", animate)
        from nndiag.report import animation

        animation.check_path(animate)
        require_range("--frames", frames, 2, 500)
    spec = BoundarySpec(
        data=data,
        depth=depth,
        width=width,
        act=act,
        lr=lr,
        steps=steps,
        frames=frames if animate is not None else 0,
        seeds=seeds,
        seed=seed,
        device=device,
    )

    from nndiag.zoo import activations

    activations.parse(spec.act)

    from nndiag.experiments import boundary as experiment
    from nndiag.report import boundary as view

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, view.boundary(result))
    if animate is not None:
        path = animation.write(result, animate)
        typer.echo(_("animation: {path}").format(path=path), err=True)
    return code
