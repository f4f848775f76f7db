"""Every command with a line on what it does, in the groups in which `--help` shows them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from nndiag.cli import (
    boundary,
    compare,
    depth_limit,
    diagnose,
    generalisation,
    gradients,
    lessons,
    play,
    predict,
    presets,
    principles,
    quiz,
    report,
    reproduce,
    runs,
    summary,
    sweep,
    transfer,
)
from nndiag.locales import _
from nndiag.schema.errors import InterruptedRunError


@dataclass(frozen=True)
class Command:
    """One command: its name, its function, and its line of help."""

    name: str
    run: Callable[..., int]
    help: str
    settings: Mapping[str, Any] | None = None


def register(app: typer.Typer) -> None:
    """Add every command; the help texts are in the language in use."""
    for title, commands in (
        (_("Look and diagnose"), _looking()),
        (_("Compare and cure"), _comparing()),
        (_("Train many, keep, report"), _keeping()),
        (_("Generalise and transfer"), _generalising()),
        (_("Learn"), _learning()),
    ):
        for one in commands:
            app.command(
                name=one.name,
                help=one.help,
                rich_help_panel=title,
                context_settings=dict(one.settings) if one.settings else None,
            )(_interruptible(one.run))
    app.add_typer(
        runs.commands(),
        name="runs",
        help=_("Reads the store of sweeps."),
        rich_help_panel=_("Train many, keep, report"),
    )


def _interruptible(run: Callable[..., int]) -> Callable[..., int]:
    """Let Ctrl-C end a command with a word; Typer would end it in silence."""

    @functools.wraps(run)
    def command(*given: Any, **named: Any) -> int:
        try:
            return run(*given, **named)
        except KeyboardInterrupt:
            raise InterruptedRunError(_("interrupted")) from None

    return command


def _looking() -> Iterator[Command]:
    yield Command(
        "gradients",
        gradients.gradients,
        _("Shows how the signal and the gradient change from layer to layer, on real data."),
    )
    yield Command(
        "diagnose",
        diagnose.diagnose,
        _("Runs your own training script, unchanged, and says what is wrong with it."),
        diagnose.SETTINGS,
    )
    yield Command(
        "summary",
        summary.summary,
        _("Lists the layers of a network: output, parameters, operations."),
    )
    yield Command(
        "play",
        play.play,
        _("Opens a page on which you steer a real training and watch its layers."),
    )
    yield Command(
        "boundary",
        boundary.boundary,
        _("Points of the plane, layer by layer, with activations and without."),
    )


def _comparing() -> Iterator[Command]:
    yield Command(
        "compare-fixes",
        compare.compare_fixes,
        _("Trains a broken network with every fix of it, tuned alike, over seeds."),
    )
    yield Command(
        "compare-optimizers",
        compare.compare_optimizers,
        _("Tunes every optimizer alike and ranks them over seeds."),
    )
    for run, text in presets.comparisons().items():
        yield Command(run.__name__.replace("_", "-"), run, text)
    yield Command(
        "depth-limit",
        depth_limit.depth_limit,
        _("How deep a plain network trains, by method, and what decides it."),
    )


def _keeping() -> Iterator[Command]:
    yield Command(
        "sweep",
        sweep.sweep,
        _("Trains every combination of settings, keeps the runs, and compares them."),
    )
    yield Command(
        "report",
        report.report,
        _("Puts saved results and stored sweeps on one page to read."),
    )
    yield Command(
        "reproduce",
        reproduce.reproduce,
        _("Checks published claims at laptop scale: measured, judged, compared."),
    )


def _generalising() -> Iterator[Command]:
    yield Command(
        "transfer",
        transfer.transfer,
        _("Measures what a pre-trained backbone gives, by strategy, against scratch."),
    )
    yield Command(
        "predict",
        predict.predict,
        _("Says what a network that transfer --save wrote sees in images."),
    )
    yield Command(
        "bias-variance",
        generalisation.bias_variance,
        _("Takes the error of growing models apart: bias, variance, noise."),
    )
    yield Command(
        "learning-curve",
        presets.learning_curve,
        _("Accuracy against training-set size: more data, or more capacity?"),
    )
    yield Command(
        "split",
        generalisation.split,
        _("Divides the data by class, compares distributions, looks for leaks."),
    )


def _learning() -> Iterator[Command]:
    for name, run, text in (
        (
            "perceptron",
            principles.perceptron,
            _("One neuron: its value, its boundary, and what it can learn."),
        ),
        (
            "ewma",
            principles.ewma,
            _("Moving averages: the noise they leave, their lag, their first steps."),
        ),
        (
            "backprop",
            principles.backprop,
            _("A gradient by hand, factor by factor, beside autograd and differences."),
        ),
        (
            "losses",
            principles.losses,
            _("Losses with their gradients, and why MSE with a sigmoid stalls."),
        ),
        (
            "descent",
            principles.descent,
            _("Batch, mini-batch and stochastic gradient descent on the same surface."),
        ),
        (
            "quiz",
            quiz.quiz,
            _("Predict first, then the experiment says what is right, and why."),
        ),
        (
            "lessons",
            lessons.lessons,
            _("Lists the short lessons, one for every symptom."),
        ),
        (
            "explain",
            lessons.explain,
            _("Explains a symptom or a topic in a minute: what, formula, what to look at."),
        ),
    ):
        yield Command(name, run, text)
