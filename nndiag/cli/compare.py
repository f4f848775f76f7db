"""`nndiag compare-optimizers` and `nndiag compare-fixes`."""

from __future__ import annotations

from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.network import network_spec
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import DataSpec, NetworkSpec, OptimizerSpec
from nndiag.schema.spec_compare import CompareFixesSpec, CompareOptimizersSpec, TrajectorySpec

#: Tuned by default: every table optimizer whose update is linear in the rate.
OPTIMIZERS = (
    *("gd", "sgd", "momentum", "nesterov", "adagrad", "adadelta"),
    *("rmsprop", "adam", "nadam", "adamw", "radam", "adamax"),
)

#: Broken networks by name: what `gradients` shows as each symptom.
PROBLEMS = {
    "vanishing": NetworkSpec(width=64, act="sigmoid", init="xavier_normal"),
    "exploding": NetworkSpec(width=64, act="relu", init="normal"),
    "saturation": NetworkSpec(width=64, act="tanh", init="normal"),
    "dying-relu": NetworkSpec(depth=30, width=4, act="relu", init="he_normal"),
    "rnn-exploding": NetworkSpec(net="rnn", depth=1, width=32, act="tanh", init="torch"),
    "symmetry": NetworkSpec(depth=5, width=64, act="tanh", init="constant:0.1"),
}

Optimizers = Annotated[
    str | None, typer.Option(help=_("Names joined by commas; package.module:Class works too."))
]
Steps = Annotated[int, typer.Option(help=_("Optimizer steps of every training."))]
BatchSize = Annotated[int, typer.Option(help=_("Samples of a batch."))]
Seeds = Annotated[int, typer.Option(help=_("Trainings of each candidate at its best rate."))]
FixSeeds = Annotated[
    int | None,
    typer.Option(
        help=_("Trainings of each candidate at its best rate (default 5; recurrent nets 16).")
    ),
]
GridSeeds = Annotated[
    int | None,
    typer.Option(
        help=_("Seeds that choose the learning rate (default 1; recurrent nets 2), of --seeds.")
    ),
]
TargetAccuracy = Annotated[
    float, typer.Option(help=_("Validation accuracy that counts as success, 0 to 1."))
]


def compare_optimizers(
    context: typer.Context,
    optimizers: Optimizers = None,
    net: options.Net = "mlp",
    depth: options.Depth = None,
    width: options.Width = None,
    act: options.Act = None,
    init: options.Init = None,
    norm: options.Norm = "none",
    steps: Steps = 300,
    batch_size: BatchSize = 64,
    rates: Annotated[int, typer.Option(help=_("Learning rates on the first grid."))] = 7,
    seeds: Seeds = 5,
    target_accuracy: TargetAccuracy = 0.9,
    tune: Annotated[
        str, typer.Option(help=_("lr, or full: momentum, betas and the like too."))
    ] = "lr",
    show_default: Annotated[
        bool, typer.Option("--show-default", help=_("Also rank the textbook rates, untuned."))
    ] = False,
    trajectory: Annotated[
        bool,
        typer.Option("--trajectory", help=_("Show paths on functions of two variables instead.")),
    ] = False,
    surface: Annotated[
        str | None,
        typer.Option(
            help=_("With --trajectory: ravine, rosenbrock, beale, himmelblau, saddle (all).")
        ),
    ] = None,
    data: options.DataName = "digits",
    data_root: options.DataRoot = None,
    target: options.Target = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    fail_on: options.FailOn = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report, fail_on=fail_on)
    if trajectory:
        return _trajectories(
            context, outputs, _names(optimizers, PATHS), surface, steps, seeds, seed
        )
    if surface is not None:
        raise UsageError(_("--surface: needs --trajectory"))
    network = network_spec(
        net, depth, width, act, init, norm, usual_depth=3, usual_width=32, usual_act="relu"
    )
    spec = CompareOptimizersSpec(
        network=network,
        data=DataSpec(name=data, root=data_root, target=target),
        optimizers=_names(optimizers, OPTIMIZERS),
        steps=steps,
        batch_size=batch_size,
        rates=rates,
        seeds=seeds,
        seed=seed,
        target=target_accuracy,
        device=device,
        tune=tune,
        show_default=show_default,
    )
    _check(spec.network, spec.data, spec.optimizers)

    from nndiag.experiments import compare_optimizers as experiment
    from nndiag.report import comparisons

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, comparisons.compare_optimizers(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


#: What --trajectory takes beside its own options.
_WITH_TRAJECTORY = {
    *("trajectory", "surface", "optimizers", "steps", "seeds", "seed"),
    *("json", "plot", "report", "fail_on", "lang"),
}
#: Drawn by default: one for each idea (plain, inertia, adaptivity).
PATHS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
_PATH_STEPS = 1000


def _trajectories(
    context: typer.Context,
    outputs: Outputs,
    names: tuple[str, ...],
    surface: str | None,
    steps: int,
    starts: int,
    seed: int,
) -> int:
    from nndiag.zoo import optimizers, surfaces

    given = [
        name
        for name in context.params
        if str(context.get_parameter_source(name)).endswith("COMMANDLINE")
    ]
    for name in given:
        if name not in _WITH_TRAJECTORY:
            raise UsageError(
                _("--{option}: has no meaning with --trajectory").format(
                    option=name.replace("_", "-")
                )
            )
    wanted = surface.split(",") if surface else list(surfaces.SURFACES)
    spec = TrajectorySpec(
        surfaces=tuple(surfaces.parse(name.strip()).name for name in wanted),
        optimizers=names,
        steps=steps if "steps" in given else _PATH_STEPS,
        starts=starts,
        seed=seed,
    )
    for name in spec.optimizers:
        optimizers.parse(name, "--optimizers")

    from nndiag.experiments import trajectories as experiment
    from nndiag.report import trajectories

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, trajectories.table(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def compare_fixes(
    problem: Annotated[
        str | None,
        typer.Option(
            help=_(
                "vanishing (default), exploding, saturation, dying-relu, rnn-exploding or "
                "symmetry; or describe a network of your own."
            )
        ),
    ] = None,
    optimizers: Optimizers = None,
    net: options.Net = "mlp",
    depth: options.Depth = None,
    width: options.Width = None,
    act: options.Act = None,
    init: options.Init = None,
    norm: options.Norm = "none",
    steps: Annotated[
        int | None, typer.Option(help=_("Optimizer steps of every training (default 300)."))
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=_("Samples of a batch (default 64; recurrent nets 32)."))
    ] = None,
    rates: Annotated[int, typer.Option(help=_("Learning rates tried for each fix."))] = 4,
    seeds: FixSeeds = None,
    grid_seeds: GridSeeds = None,
    target_accuracy: TargetAccuracy = 0.9,
    data: options.DataName = "digits",
    data_root: options.DataRoot = None,
    target: options.Target = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    fail_on: options.FailOn = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report, fail_on=fail_on)
    own = (depth, width, act, init) != (None,) * 4 or net != "mlp" or norm != "none"
    if own and problem is not None:
        raise UsageError(
            _(
                "--problem: names a whole network; leave out --net, --depth, --width, --act, "
                "--init and --norm, or leave out --problem"
            )
        )
    name = None if own else (problem or "vanishing")
    if name is not None and name not in PROBLEMS:
        raise unknown_name("--problem", name, PROBLEMS)
    network = (
        PROBLEMS[name]
        if name is not None
        else network_spec(net, depth, width, act, init, norm, usual_width=64)
    )
    usual = ("momentum",) if network.recurrent else ("sgd", "momentum", "adam")
    trainings, choosing = _seeds(network, seeds, grid_seeds)
    spec = CompareFixesSpec(
        problem=name,
        network=network,
        data=DataSpec(name=data, root=data_root, target=target),
        optimizers=_names(optimizers, usual),
        steps=steps if steps is not None else (600 if network.recurrent else 300),
        batch_size=batch_size if batch_size is not None else (32 if network.recurrent else 64),
        rates=rates,
        seeds=trainings,
        grid_seeds=choosing,
        seed=seed,
        target=target_accuracy,
        device=device,
    )
    _check(spec.network, spec.data, spec.optimizers)

    from nndiag.experiments import compare_fixes as experiment
    from nndiag.report import comparisons

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, comparisons.compare_fixes(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def _seeds(network: NetworkSpec, seeds: int | None, choosing: int | None) -> tuple[int, int]:
    """Return the seeds of a trial, and how many choose its rate: recurrent nets differ more."""
    usual, few = (16, 2) if network.recurrent else (5, 1)
    count = usual if seeds is None else seeds
    return count, min(few, count) if choosing is None else choosing


def _names(text: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return usual
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _check(network: NetworkSpec, data: DataSpec, names: tuple[str, ...]) -> None:
    """Answer a wrong name before torch is loaded."""
    from nndiag import datasets
    from nndiag.zoo import networks, optimizers

    networks.check(network)
    datasets.check(data)
    for name in names:
        row = optimizers.parse(name, "--optimizers")
        lr = row.lr if row.lr is not None else 1e-3
        optimizers.check(OptimizerSpec(name=name, lr=lr))
