"""Tables of named rows, and names given as `package.module:Name`."""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from nndiag.locales import _
from nndiag.schema.errors import UsageError, nearest, unknown_name

IMPORT_FORM = "package.module:Name"


class Named(Protocol):
    """What a row needs to stand in a registry."""

    @property
    def name(self) -> str: ...


Row = TypeVar("Row", bound=Named)


@dataclass(frozen=True)
class Registry(Generic[Row]):
    """A closed table of rows, or one open to `package.module:Name`.

    Attributes:
        rows: in the order in which they are shown.
        is_open: whether error messages mention the import form.
    """

    rows: tuple[Row, ...]
    is_open: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in table order."""
        return tuple(row.name for row in self.rows)

    def find(self, name: str) -> Row | None:
        """Return the row called `name`, or None."""
        return next((row for row in self.rows if row.name == name), None)

    def get(self, name: str, option: str) -> Row:
        """Return the row called `name`.

        Raises:
            UsageError: there is none; the sentence names `option` and the nearest row.
        """
        row = self.find(name)
        if row is None:
            raise unknown_name(option, name, self.names, IMPORT_FORM if self.is_open else "")
        return row


def is_import(text: str) -> bool:
    """Whether `text` is meant as `package.module:Name` rather than as `name:number`."""
    return ":" in text and _number(text.rpartition(":")[2]) is None


def parameters(
    text: str, option: str, usage: str, valid: Callable[[tuple[float, ...]], bool]
) -> tuple[float, ...]:
    """Return the numbers of `name:number:number`; an empty tuple where there is no colon.

    Args:
        text: what was given.
        option: the option as typed.
        usage: what is accepted, for the message.
        valid: whether the numbers are right in count and range.

    Raises:
        UsageError: a part is not a finite number, or `valid` says no.
    """
    numbers = tuple(_number(part) for part in text.split(":")[1:])
    given = tuple(number for number in numbers if number is not None)
    if len(given) < len(numbers) or not all(map(math.isfinite, given)) or not valid(given):
        raise UsageError(
            _("{option}: got '{text}'; accepted: {usage}").format(
                option=option, text=text, usage=usage
            )
        )
    return given


def number_text(number: float) -> str:
    """Return the shortest text that reads back as `number`: 0.2, 5, 1e-05."""
    return repr(float(number)).removesuffix(".0")


def resolve_import(text: str, option: str) -> Any:
    """Return the object that `package.module:Name` names; modules beside the user count too.

    Args:
        text: module path and name, separated by the last colon.
        option: the option as typed, for the message.

    Raises:
        UsageError: wrong form, no such module, a module that fails on import, no such name.
    """
    path, _colon, name = text.rpartition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in path.split(".")):
        raise UsageError(
            _("{option}: got '{text}'; accepted: {form}, such as torch.nn:Hardswish").format(
                option=option, text=text, form=IMPORT_FORM
            )
        )
    module = _import_module(path, option)
    if not hasattr(module, name):
        close = nearest(name, [known for known in dir(module) if not known.startswith("_")])
        hint = _("; did you mean {name}?").format(name=close[0]) if close else ""
        raise UsageError(
            _("{option}: module '{module}' has no '{name}'{hint}").format(
                option=option, module=path, name=name, hint=hint
            )
        )
    return getattr(module, name)


def _import_module(path: str, option: str) -> ModuleType:
    if path in sys.modules:  # a deep network asks for the same module thousands of times
        return sys.modules[path]
    try:
        with _importable_here():
            return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise _import_failed(path, option, error) from error
        raise UsageError(
            _(
                "{option}: no module named '{module}', neither in the current folder "
                "nor among the installed packages"
            ).format(option=option, module=error.name)
        ) from None
    except Exception as error:  # a user's module may raise anything while it is imported
        raise _import_failed(path, option, error) from error


def _import_failed(path: str, option: str, error: Exception) -> UsageError:
    return UsageError(
        _("{option}: importing '{module}' failed with {kind}: {error}").format(
            option=option, module=path, kind=type(error).__name__, error=error
        )
    )


@contextmanager
def _importable_here() -> Iterator[None]:
    """Put the current folder first on the import path, as `python` itself does."""
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
