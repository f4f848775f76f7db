"""The entry point: language, commands, and errors turned into one sentence and an exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from nndiag import __version__, locales
from nndiag.cli import typer_words
from nndiag.cli.outcome import ARGUMENTS, INTERRUPTED_EXIT
from nndiag.schema.errors import NndiagError

#: New objects between two searches for garbage: imports make a million, none of it garbage.
_OBJECTS = 10_000


def command() -> NoReturn:
    """Run the command line as a program of its own, and exit with its code."""
    gc.set_threshold(_OBJECTS)
    code = main()
    if "diagnose" not in sys.argv:  # the user's script ends as it would alone
        gc.freeze()  # no last search through all that was imported, a third of a short run
    sys.exit(code)


def build() -> TyperGroup:
    """Assemble the commands, in the language in use."""
    from nndiag.cli import commands

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
        lang: Annotated[
            str | None,
            typer.Option("--lang", metavar="en|fr", help=locales._("Language of the output.")),
        ] = None,
    ) -> None:
        pass  # `main` has read --lang before the help texts were drawn

    commands.register(app)
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
