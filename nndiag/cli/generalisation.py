"""`nndiag bias-variance` and `split`: what a model knows beyond its training set, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.cli.principles import numbers
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_generalisation import BiasVarianceSpec, SplitSpec, usual_values

#: What is usual by task: samples of a training set, noise.
_USUAL = {"regression": (30, 0.3), "classification": (200, 0.0)}
#: Training sets of a repetition: polynomials cost nothing.
_SETS, _NETWORK_SETS = 20, 10


def bias_variance(
    task: Annotated[
        str, typer.Option(help=_("regression of a known curve, or classification of --data."))
    ] = "regression",
    axis: Annotated[
        str | None,
        typer.Option(
            help=_(
                "What grows: degree (of polynomials), width or epochs (of networks); default "
                "degree, in classification width."
            )
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(help=_("Its values, joined by commas (default: from few to many).")),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help=_("Samples of a training set (default 30; classification 200).")),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            help=_(
                "Standard deviation of the targets' noise (default 0.3); in classification the "
                "share of wrong labels (default 0)."
            )
        ),
    ] = None,
    sets: Annotated[
        int | None,
        typer.Option(help=_("Training sets of a repetition (default 20; networks 10).")),
    ] = None,
    width: Annotated[int, typer.Option(help=_("Hidden units, with --axis epochs."))] = 32,
    epochs: Annotated[
        int | None,
        typer.Option(
            help=_(
                "Passes over a training set, with --axis width (default 1000; classification 60)."
            )
        ),
    ] = None,
    data: options.DataName = "digits",
    data_root: options.DataRoot = None,
    target: options.Target = None,
    seeds: Annotated[int, typer.Option(help=_("Repetitions; they give the intervals."))] = 10,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    chosen = axis or ("width" if task == "classification" else "degree")
    usual_samples, usual_noise = _USUAL.get(task, _USUAL["regression"])
    spec = BiasVarianceSpec(
        task=task,
        axis=chosen,
        values=usual_values(chosen, task) if values is None else _whole("--values", values),
        samples=usual_samples if samples is None else samples,
        noise=usual_noise if noise is None else noise,
        sets=(_SETS if chosen == "degree" else _NETWORK_SETS) if sets is None else sets,
        width=width,
        epochs=epochs,
        data=DataSpec(name=data, root=data_root, target=target),
        seeds=seeds,
        seed=seed,
        device=device,
    )
    _check(spec)

    from nndiag.experiments import bias_variance as experiment
    from nndiag.report import generalisation

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, generalisation.bias_variance(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def split(
    fractions: Annotated[
        str, typer.Option(help=_("Shares of training, validation and test."))
    ] = "0.6,0.2,0.2",
    data: options.DataName = "digits",
    data_root: options.DataRoot = None,
    target: options.Target = None,
    seeds: Annotated[
        int, typer.Option(help=_("Divisions that are compared, by class and at random."))
    ] = 100,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    spec = SplitSpec(
        data=DataSpec(name=data, root=data_root, target=target),
        fractions=numbers("--fractions", fractions),
        seeds=seeds,
        seed=seed,
    )

    from nndiag import datasets
    from nndiag.experiments import split as experiment
    from nndiag.report import generalisation

    datasets.check(spec.data)
    with display() as shown:
        result = experiment.run(spec, watch=shown)
    return outputs.deliver(result, generalisation.split(result))


def _check(spec: BiasVarianceSpec) -> None:
    """Answer what does not fit together before torch is loaded."""
    from nndiag import datasets

    if spec.task == "classification":
        datasets.check(spec.data)
    elif spec.data != DataSpec():
        raise UsageError(_("--data: is for --task classification; regression draws its own"))
    if spec.epochs is not None and spec.axis != "width":
        raise UsageError(_("--epochs: is for --axis width; give --values with --axis epochs"))


def _whole(option: str, text: str) -> tuple[int, ...]:
    """Return whole numbers in growing order."""
    found = numbers(option, text)
    if not all(number.is_integer() for number in found):
        raise UsageError(
            _("{option}: got '{text}'; accepted: whole numbers joined by commas").format(
                option=option, text=text
            )
        )
    return tuple(sorted({int(number) for number in found}))
