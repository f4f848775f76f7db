"""Typer's own words in the language in use: its help pages and its usage errors.

Typer fixes its titles when it is imported, in the language of the locale, and has no translation of
the rest; so they are set here, whatever the environment says.
"""

from __future__ import annotations

import re
import sys

from typer.core import TyperGroup

from nndiag.locales import _, language, to_translate

_TITLES = {
    "DEFAULT_STRING": to_translate("[default: {}]"),
    "ENVVAR_STRING": to_translate("[env var: {}]"),
    "REQUIRED_LONG_STRING": to_translate("[required]"),
    "ARGUMENTS_PANEL_TITLE": to_translate("Arguments"),
    "OPTIONS_PANEL_TITLE": to_translate("Options"),
    "COMMANDS_PANEL_TITLE": to_translate("Commands"),
}
HELP_NAMES = ["-h", "--help"]
_HELP = (
    to_translate("Show this message and exit."),
    to_translate("Install completion for the current shell."),
    to_translate(
        "Show completion for the current shell, to copy it or customize the installation."
    ),
)
# Typer's sentence, and ours where it is clearer. The first that fits wins, so the more precise
# come first.
_CLEARER = {
    "Invalid value for {name}: Input should be a valid integer, unable to parse string as an "
    "integer": to_translate("Invalid value for {name}: a whole number is needed"),
    "Invalid value for {name}: Input should be a valid number, unable to parse string as a "
    "number": to_translate("Invalid value for {name}: a number is needed"),
}
_ERRORS = (
    to_translate("No such option: {name} (Possible options: {names})"),
    to_translate("No such option: {name}"),
    to_translate("No such command {name}. Did you mean {names}?"),
    to_translate("No such command {name}."),
    to_translate("Missing command."),
    to_translate("Missing argument {name}."),
    to_translate("Option {name} requires an argument."),
    to_translate("Option {name} does not take a value."),
    to_translate("Got unexpected extra argument(s) ({names})"),
    *_CLEARER,
    to_translate("Invalid value for {name}: {reason}"),
)


def speak(group: TyperGroup) -> None:
    """Put the help pages of `group` and of its commands into the language in use."""
    if language() != "en" or "typer.rich_utils" in sys.modules:
        from typer import rich_utils

        for name, text in _TITLES.items():
            setattr(rich_utils, name, _(text))
    for command in (group, *group.commands.values()):
        if isinstance(command, TyperGroup) and command is not group:
            speak(command)
        # Typer makes the help option once, with the names that it finds in the first context.
        context = command.make_context(
            command.name, [], resilient_parsing=True, help_option_names=HELP_NAMES
        )
        for option in command.get_params(context):
            said = getattr(option, "help", None)
            if said in _HELP:
                option.help = _(said)  # type: ignore[attr-defined]


def sentence(message: str) -> str:
    """Return Typer's error message in the language in use (unchanged where it is unknown)."""
    for text in _ERRORS:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(text))
        found = re.fullmatch(pattern, message)
        if found:
            clearer = _CLEARER.get(text, text)
            return _(clearer).format(**found.groupdict())
    return message
