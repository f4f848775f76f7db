"""Every exception that nndiag raises on purpose.

NndiagError             root; the command line catches it once
|-- UsageError          what the user typed cannot be run     exit code 2
|   `-- DataError       a data file or folder cannot be used  exit code 2
|-- RunError            the run itself failed                 exit code 1
`-- InterruptedRunError Ctrl-C, with nothing complete to show exit code 130
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from nndiag.locales import _

_SHORT = 3


class NndiagError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(NndiagError):
    """One sentence that names the option, what was given and what is accepted."""

    exit_code = 2


class DataError(UsageError):
    """A data set that cannot be used; the sentence names file, column and row."""


class RunError(NndiagError):
    """A failure while running; what was computed so far has been kept."""


class InterruptedRunError(NndiagError):
    """Ctrl-C before anything was complete."""

    exit_code = 130


def nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Return up to `count` names of `known` that look most like `name` (may be empty).

    Of very short names only those with the same first letter: `gpu` does not mean `cpu`.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    if len(name) <= _SHORT:
        by_lower = {low: one for low, one in by_lower.items() if low[:1] == name[:1].lower()}
    close = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)
    return [by_lower[match] for match in close]


def unknown_name(option: str, name: str, known: Iterable[str], also: str = "") -> UsageError:
    """Build the error for a name that is in no table.

    Args:
        option: the option as typed, such as `--act`.
        name: what was given.
        known: every accepted name.
        also: a further accepted form, such as `package.module:Name`.
    """
    names = list(known)
    close = nearest(name, names)
    if close:
        hint = _("did you mean {name}?").format(name=close[0])
    else:
        hint = _("accepted: {names}").format(names=", ".join(names))
    if also:
        hint += " " + _("(or {also})").format(also=also)
    return UsageError(
        _("{option}: unknown name '{name}'; {hint}").format(option=option, name=name, hint=hint)
    )
