"""The entry point: language, commands, and errors turned into one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from nndiag import __version__, locales
from nndiag.cli import typer_words
from nndiag.cli.outcome import ARGUMENTS, INTERRUPTED_EXIT
from nndiag.schema.errors import NndiagError


def build() -> TyperGroup:
    """Assemble the commands, in the language in use."""
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

    app = typer.Typer(
        name="nndiag",
        help=locales._(
            "Shows, layer by layer, why a neural network does not train, and what cures it."
        ),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": typer_words.HELP_NAMES},
    )

    @app.callback()
    def top(
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                callback=_print_version,
                is_eager=True,
                help=locales._("Print the version and exit."),
            ),
        ] = False,
    ) -> None:
        pass

    app.command(
        name="gradients",
        help=locales._(
            "Shows how the signal and the gradient change from layer to layer, on real data."
        ),
    )(gradients.gradients)
    app.command(
        name="diagnose",
        help=locales._("Runs your own training script, unchanged, and says what is wrong with it."),
        context_settings=diagnose.SETTINGS,
    )(diagnose.diagnose)
    app.command(
        name="compare-fixes",
        help=locales._("Trains a broken network with every fix of it, tuned alike, over seeds."),
    )(compare.compare_fixes)
    app.command(
        name="compare-optimizers",
        help=locales._("Tunes every optimizer alike and ranks them over seeds."),
    )(compare.compare_optimizers)
    presets.register(app)
    app.command(
        name="perceptron",
        help=locales._("One neuron: its value, its boundary, and what it can learn."),
    )(principles.perceptron)
    app.command(
        name="ewma",
        help=locales._("Moving averages: the noise they leave, their lag, their first steps."),
    )(principles.ewma)
    app.command(
        name="backprop",
        help=locales._("A gradient by hand, factor by factor, beside autograd and differences."),
    )(principles.backprop)
    app.command(
        name="losses",
        help=locales._("Losses with their gradients, and why MSE with a sigmoid stalls."),
    )(principles.losses)
    app.command(
        name="descent",
        help=locales._("Batch, mini-batch and stochastic gradient descent on the same surface."),
    )(principles.descent)
    app.command(
        name="sweep",
        help=locales._("Trains every combination of settings, keeps the runs, and compares them."),
    )(sweep.sweep)
    app.add_typer(runs.commands(), name="runs", help=locales._("Reads the store of sweeps."))
    app.command(
        name="play",
        help=locales._("Opens a page on which you steer a real training and watch its layers."),
    )(play.play)
    app.command(
        name="report", help=locales._("Puts saved results and stored sweeps on one page to read.")
    )(report.report)
    app.command(
        name="summary",
        help=locales._("Lists the layers of a network: output, parameters, operations."),
    )(summary.summary)
    app.command(
        name="transfer",
        help=locales._("Measures what a pre-trained backbone gives, by strategy, against scratch."),
    )(transfer.transfer)
    app.command(
        name="predict",
        help=locales._("Says what a network that transfer --save wrote sees in images."),
    )(predict.predict)
    app.command(
        name="boundary",
        help=locales._("Points of the plane, layer by layer, with activations and without."),
    )(boundary.boundary)
    app.command(
        name="bias-variance",
        help=locales._("Takes the error of growing models apart: bias, variance, noise."),
    )(generalisation.bias_variance)
    app.command(
        name="split",
        help=locales._("Divides the data by class, compares distributions, looks for leaks."),
    )(generalisation.split)
    app.command(
        name="depth-limit",
        help=locales._("How deep a plain network trains, by method, and what decides it."),
    )(depth_limit.depth_limit)
    app.command(
        name="reproduce",
        help=locales._("Checks published claims at laptop scale: measured, judged, compared."),
    )(reproduce.reproduce)
    app.command(
        name="quiz",
        help=locales._("Predict first, then the experiment says what is right, and why."),
    )(quiz.quiz)
    app.command(name="lessons", help=locales._("Lists the short lessons, one for every symptom."))(
        lessons.lessons
    )
    app.command(
        name="explain",
        help=locales._(
            "Explains a symptom or a topic in a minute: what, formula, what to look at."
        ),
    )(lessons.explain)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    typer_words.speak(group)
    return group


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    ARGUMENTS.set(tuple(arguments))
    try:
        locales.use(_language(arguments))
        code = build()(args=arguments, prog_name="nndiag", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except NndiagError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(_sentence(error), getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        return _fail(locales._("interrupted"), INTERRUPTED_EXIT)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say.
        sys.stdout = None
        return 0


def _language(arguments: list[str]) -> str:
    """Find `--lang` before the help texts are drawn, which happens on import of the commands."""
    asked = None
    for place, argument in enumerate(arguments):
        if argument.startswith("--lang="):
            asked = argument.removeprefix("--lang=")
        elif argument == "--lang" and place + 1 < len(arguments):
            asked = arguments[place + 1]
    if asked is not None and asked not in locales.LANGUAGES:
        from nndiag.schema.errors import unknown_name

        locales.use(locales.choose())
        raise unknown_name("--lang", asked, locales.LANGUAGES)
    return locales.choose(asked)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"nndiag {__version__}")
        raise typer.Exit


def _sentence(error: TyperException) -> str:
    message = getattr(error, "format_message", lambda: str(error))()
    return typer_words.sentence(" ".join(message.split()))


def _fail(message: str, code: int) -> int:
    if message:
        print(f"nndiag: {message}", file=sys.stderr)
    return code
