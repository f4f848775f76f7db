"""The presets of `sweep`: one thing varied, everything else tuned alike and repeated."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.cli.principles import numbers
from nndiag.cli.settings import with_settings
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_generalisation import LearningCurveSpec
from nndiag.schema.spec_presets import (
    ActivationsSpec,
    BatchSizesSpec,
    InitsSpec,
    LrFindSpec,
    PresetSpec,
    RegularizersSpec,
    SchedulesSpec,
)
from nndiag.schema.spec_shapes import ShapesSpec

Rates = Annotated[int, typer.Option(help=_("Learning rates tried for each variant."))]
Seeds = Annotated[int, typer.Option(help=_("Trainings of each configuration."))]
TargetAccuracy = Annotated[
    float, typer.Option(help=_("Validation accuracy whose first step is noted, 0 to 1."))
]


def preset(
    kind: type[PresetSpec], *left_out: str
) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., int]]:
    """Turn a function from a preset's own options to fields of its spec into a command.

    The experiment and the report are found by the function's name; every setting that is not
    `left_out` and every shared option is added.
    """

    def give(own: Callable[..., dict[str, Any]]) -> Callable[..., int]:
        name = own.__name__

        def run(
            *,
            base: dict[str, Any],
            rates: Rates = kind.rates,
            seeds: Seeds = kind.seeds,
            target_accuracy: TargetAccuracy = kind.target_accuracy,
            data_root: options.DataRoot = None,
            target: options.Target = None,
            json: options.JsonPath = None,
            plot: options.PlotPath = None,
            report: options.ReportPath = None,
            seed: options.Seed = 0,
            device: options.Device = "auto",
            lang: options.Language = None,
            **given: Any,
        ) -> int:
            outputs = Outputs(json=json, plot=plot, report=report)
            spec = kind(
                base=base,
                rates=rates,
                seeds=seeds,
                target_accuracy=target_accuracy,
                data_root=data_root,
                target=target,
                seed=seed,
                device=device,
                **own(**given),
            )
            return _run(name, spec, outputs)

        run.__name__, run.__doc__ = name, own.__doc__
        return with_settings(*left_out)(_merged(own, run))

    return give


def _merged(own: Callable[..., Any], run: Callable[..., int]) -> Callable[..., int]:
    """Give `run` the options of `own` in place of its keyword arguments."""
    shared = inspect.signature(run).parameters.values()
    added = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in inspect.signature(own).parameters.values()
    ]
    kept = [one for one in shared if one.kind is not inspect.Parameter.VAR_KEYWORD]
    hints = get_type_hints(run, include_extras=True) | get_type_hints(own, include_extras=True)
    run.__signature__ = inspect.Signature([*added, *kept])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: hints[one.name] for one in (*added, *kept)} | {"return": int}
    return run


def _run(name: str, spec: PresetSpec, outputs: Outputs) -> int:
    from nndiag.training import presets, variants

    variants.check(presets.planned(spec))

    experiment = importlib.import_module(f"nndiag.experiments.{name}")
    views = importlib.import_module("nndiag.report.presets")

    with display() as shown:
        result = experiment.run(spec, watch=shown)
    code = outputs.deliver(result, getattr(views, name)(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def listed(text: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that a text joins by commas, each once."""
    if text is None:
        return usual
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


@preset(SchedulesSpec, "schedule")
def compare_schedules(
    schedules: Annotated[
        str | None,
        typer.Option(help=_("Schedules joined by commas: cosine, step:50:0.5 (default: all).")),
    ] = None,
) -> dict[str, Any]:
    return {"schedules": listed(schedules, SchedulesSpec.schedules)}


@preset(LearningCurveSpec, "train_samples")
def learning_curve(
    sizes: Annotated[
        str | None,
        typer.Option(
            help=_("Samples joined by commas, or shares of the training split (default 0.03 to 1).")
        ),
    ] = None,
    wider: Annotated[
        int, typer.Option(help=_("Times the width that is tried on the largest size."))
    ] = LearningCurveSpec.wider,
) -> dict[str, Any]:
    chosen = LearningCurveSpec.sizes if sizes is None else numbers("--sizes", sizes)
    return {"sizes": tuple(sorted(set(chosen))), "wider": wider}


@preset(BatchSizesSpec, "batch_size")
def compare_batch_sizes(
    batch_sizes: Annotated[
        str | None,
        typer.Option(help=_("Sizes joined by commas, full: the whole set (default 1,2 .. full).")),
    ] = None,
    epochs: Annotated[int, typer.Option(help=_("Passes over the data, unless --steps."))] = 8,
    reference: Annotated[
        int, typer.Option(help=_("The size whose best rate is scaled to the others."))
    ] = 32,
    scaling: Annotated[
        bool, typer.Option(help=_("Also train at the linearly scaled rate."))
    ] = True,
) -> dict[str, Any]:
    sizes = tuple(map(_size, listed(batch_sizes, ())))
    return {
        "sizes": sizes or BatchSizesSpec.sizes,
        "epochs": epochs,
        "reference": reference,
        "scaling": scaling,
    }


def _size(text: str) -> int:
    if text in ("full", "all"):
        return 0
    if not text.isdigit() or not int(text):
        raise UsageError(
            _("--batch-sizes: got '{text}'; accepted: whole numbers or full").format(text=text)
        )
    return int(text)


@preset(RegularizersSpec, "patience", "min_delta", "restore_best", "l1", "l2")
def compare_regularizers(
    regularizers: Annotated[
        str | None,
        typer.Option(
            help=_(
                "l1, l2, weight_decay, dropout, batch_norm, noise, augment, smaller, "
                "early_stopping, cnn, joined by commas (default: all)."
            )
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(help=_("Evaluations (20 a training) without improvement."))
    ] = RegularizersSpec.patience,
    min_delta: Annotated[
        float, typer.Option(help=_("By how much the validation loss must fall to be better."))
    ] = RegularizersSpec.min_delta,
    restore_best: Annotated[
        bool, typer.Option(help=_("Early stopping ends with the best weights."))
    ] = RegularizersSpec.restore_best,
) -> dict[str, Any]:
    return {
        "regularizers": listed(regularizers, RegularizersSpec.regularizers),
        "patience": patience,
        "min_delta": min_delta,
        "restore_best": restore_best,
    }


@preset(LrFindSpec, "lr", "schedule")
def lr_find(
    low: Annotated[float, typer.Option(help=_("Where the rate begins."))] = LrFindSpec.low,
    high: Annotated[float, typer.Option(help=_("Where it ends."))] = LrFindSpec.high,
    range_steps: Annotated[
        int, typer.Option(help=_("Steps of the test."))
    ] = LrFindSpec.range_steps,
) -> dict[str, Any]:
    return {"low": low, "high": high, "range_steps": range_steps}


@preset(InitsSpec, "init")
def compare_inits(
    inits: Annotated[
        str | None,
        typer.Option(help=_("Initialisations joined by commas: he_normal, normal:0.1.")),
    ] = None,
) -> dict[str, Any]:
    return {"inits": listed(inits, InitsSpec.inits)}


@preset(ActivationsSpec, "act")
def compare_activations(
    activations: Annotated[
        str | None,
        typer.Option(help=_("Activations joined by commas: relu, leaky_relu:0.2.")),
    ] = None,
) -> dict[str, Any]:
    return {"activations": listed(activations, ActivationsSpec.activations)}


@preset(ShapesSpec, "depth", "width", "widths")
def compare_shapes(
    shapes: Annotated[
        str | None,
        typer.Option(help=_("constant:5, pyramid:5, widening:5, 512-256-128, joined by commas.")),
    ] = None,
    parameters: Annotated[
        int | None,
        typer.Option(help=_("Parameters of named shapes (default: those of 512-256-128-64).")),
    ] = None,
) -> dict[str, Any]:
    return {"shapes": listed(shapes, ShapesSpec.shapes), "parameters": parameters}


def comparisons() -> dict[Callable[..., int], str]:
    """Return the comparisons, each with a line on what it does."""
    return {
        lr_find: _("The range test: a learning rate from one short training, and a check of it."),
        compare_inits: _("Initialisations: the signal before training, and what becomes of it."),
        compare_activations: _("Activations: slopes, saturation, dying units, accuracy."),
        compare_shapes: _("Depth against width, constant against pyramid, at equal parameters."),
        compare_schedules: _("Learning-rate schedules, each tuned, and 'first without decay'."),
        compare_regularizers: _("What holds overfitting back: gap, sparsity and norm of weights."),
        compare_batch_sizes: _("Batch sizes: noise, speed, accuracy, memory; the rate scaled."),
    }
