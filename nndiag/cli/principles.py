"""`nndiag perceptron`, `ewma`, `backprop`, `losses` and `descent`: the first principles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_principles import (
    BackpropSpec,
    DescentSpec,
    EwmaSpec,
    LossesSpec,
    PerceptronSpec,
)

Seeds = Annotated[int, typer.Option(help=_("Repetitions; they give the intervals."))]


def perceptron(
    weights: Annotated[str, typer.Option(help=_("Weights of the neuron."))] = "4,-2",
    bias: Annotated[float, typer.Option(help=_("Its bias."))] = 1.0,
    at: Annotated[
        list[str] | None,
        typer.Option(help=_("An input, --at=-1,2; again for more (default (-1,2) and (0,-1)).")),
    ] = None,
    act: Annotated[
        str, typer.Option(help=_("Activation: step, or a name such as sigmoid or tanh."))
    ] = "sigmoid",
    learn: Annotated[
        str, typer.Option(help=_("Truth tables: and, or, xor, nand, nor, xnor, or 0110."))
    ] = "and,or,xor",
    epochs: Annotated[int, typer.Option(help=_("At most so many passes of the rule."))] = 100,
    seeds: Seeds = 20,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    given = numbers("--weights", weights)
    usual = PerceptronSpec.at if len(given) == 2 else ()
    spec = PerceptronSpec(
        weights=given,
        bias=bias,
        at=usual if at is None else tuple(numbers("--at", text) for text in at),
        act=act,
        tables=tuple(dict.fromkeys(part.strip() for part in learn.split(",") if part.strip())),
        epochs=epochs,
        seeds=seeds,
        seed=seed,
    )

    from nndiag.experiments import perceptron as experiment
    from nndiag.report import principles

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    return outputs.deliver(result, principles.perceptron(result))


def ewma(
    betas: Annotated[
        str, typer.Option(help=_("Weights of the past, 0 to 0.999, joined by commas."))
    ] = "0.5,0.9,0.98",
    values: Annotated[
        str | None, typer.Option(help=_("Your own series: numbers, or a CSV file."))
    ] = None,
    column: Annotated[
        str | None, typer.Option(help=_("Column of the CSV file, where it has several."))
    ] = None,
    samples: Annotated[int, typer.Option(help=_("Length of the drawn series."))] = 200,
    noise: Annotated[float, typer.Option(help=_("Standard deviation of its noise."))] = 0.3,
    seeds: Seeds = 20,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    spec = EwmaSpec(
        betas=tuple(dict.fromkeys(numbers("--betas", betas))),
        values=_series(values, column),
        samples=samples,
        noise=noise,
        seeds=seeds,
        seed=seed,
    )

    from nndiag.experiments import ewma as experiment
    from nndiag.report import principles

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    return outputs.deliver(result, principles.ewma(result))


def _series(values: str | None, column: str | None) -> tuple[float, ...] | None:
    from nndiag.datasets import series

    if values is None or not values.lower().endswith((".csv", ".tsv", ".txt")):
        if column is not None:
            raise UsageError(_("--column: needs --values with a CSV file"))
        return None if values is None else numbers("--values", values)
    return series.read(Path(values), column)


def backprop(
    act: Annotated[
        str, typer.Option(help=_("Activation: sigmoid, tanh, relu, leaky_relu:0.2 ..."))
    ] = "sigmoid",
    depth: Annotated[int, typer.Option(help=_("Units of the chain."))] = 10,
    weights: Annotated[
        str, typer.Option(help=_("Weights of the chain: one for all of its units, or one each."))
    ] = "1",
    x: Annotated[float, typer.Option("--input", help=_("Input of the chain."))] = 0.5,
    seeds: Seeds = 20,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    spec = BackpropSpec(
        act=act, depth=depth, weights=numbers("--weights", weights), x=x, seeds=seeds, seed=seed
    )
    _check_formula(spec.act)

    from nndiag.experiments import backprop as experiment
    from nndiag.report import principles

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    return outputs.deliver(result, principles.backprop(result))


def losses(
    start: Annotated[
        float, typer.Option(help=_("Mean score that the unit gives the right class at first."))
    ] = -8.0,
    lr: Annotated[float, typer.Option(help=_("Learning rate."))] = 0.1,
    steps: Annotated[int, typer.Option(help=_("Steps of gradient descent."))] = 400,
    delta: Annotated[float, typer.Option(help=_("Error at which Huber's loss turns."))] = 0.5,
    seeds: Seeds = 20,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    spec = LossesSpec(start=start, lr=lr, steps=steps, delta=delta, seeds=seeds, seed=seed)

    from nndiag.experiments import losses as experiment
    from nndiag.report import principle_descents

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    return outputs.deliver(result, principle_descents.losses(result))


def descent(
    model: Annotated[str, typer.Option(help=_("linear or logistic regression."))] = "linear",
    data: Annotated[
        str, typer.Option(help=_("synthetic, or digits: measurements of the real images."))
    ] = "synthetic",
    samples: Annotated[int, typer.Option(help=_("Samples of the data."))] = 256,
    batch_sizes: Annotated[
        str | None,
        typer.Option(help=_("Joined by commas; all is the whole set (default 1,8,32,all).")),
    ] = None,
    epochs: Annotated[int, typer.Option(help=_("Passes over the data."))] = 20,
    lr: Annotated[float, typer.Option(help=_("Learning rate, the same for all."))] = 0.1,
    seeds: Seeds = 20,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    spec = DescentSpec(
        model=model,
        data=data,
        samples=samples,
        batch_sizes=(
            tuple(size for size in DescentSpec.batch_sizes if size < samples)
            if batch_sizes is None
            else _sizes(batch_sizes)
        ),
        epochs=epochs,
        lr=lr,
        seeds=seeds,
        seed=seed,
    )

    from nndiag.experiments import descent as experiment
    from nndiag.report import principle_descents

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    return outputs.deliver(result, principle_descents.descent(result))


def _sizes(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or (part.isdecimal() and int(part) > 0) for part in parts):
        raise UsageError(
            _(
                "--batch-sizes: got '{text}'; accepted: sizes from 1, or all, joined by commas"
            ).format(text=text)
        )
    return tuple(dict.fromkeys(0 if part == "all" else int(part) for part in parts))


def _check_formula(act: str) -> None:
    """Answer a wrong name before torch is loaded."""
    from nndiag.zoo import formulas

    formulas.formula(act)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Return the numbers of `4,-2`.

    Raises:
        UsageError: a part is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            _("{option}: got '{text}'; accepted: numbers joined by commas").format(
                option=option, text=text
            )
        ) from None
