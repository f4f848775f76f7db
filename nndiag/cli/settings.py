"""The settings of a training as options of a command, one for each row of `schema.axes.KINDS`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from nndiag.locales import _
from nndiag.schema.axes import KINDS, Kind, setting

Command = Callable[..., int]


def with_settings(*left_out: str) -> Callable[[Command], Command]:
    """Give a command an option for every setting; its argument `base` gets what was given.

    Args:
        left_out: settings that the command has no option for.
    """
    chosen = {name: kind for name, kind in KINDS.items() if name not in left_out}

    def give(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> int:
            texts = {name: given.pop(name) for name in chosen}
            base = {
                name: text if isinstance(text, bool) else setting(name, text)
                for name, text in texts.items()
                if text is not None
            }
            return command(base=base, **given)

        hints = get_type_hints(command, include_extras=True)
        own = inspect.signature(command).parameters.values()
        parameters = [
            one.replace(annotation=hints[one.name]) for one in own if one.name != "base"
        ] + [_option(name, kind) for name, kind in chosen.items()]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            parameters, return_annotation=int
        )
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return give


def _option(name: str, kind: Kind) -> inspect.Parameter:
    typed: Any = bool | None if kind.form == "switch" else str | None
    shown = {"integer": "INTEGER", "number": "NUMBER"}.get(kind.form)
    dashed = name.replace("_", "-")
    option = typer.Option(
        f"--{dashed}/--no-{dashed}" if kind.form == "switch" else f"--{dashed}",
        metavar=shown,
        help=_(kind.help),
        rich_help_panel=_("What every training shares"),
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[typed, option]
    )
