"""Activations with a closed form: the name of the table to theory's function and derivative."""

from __future__ import annotations

import numpy as np

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.theory import activations as theory
from nndiag.zoo import activations

#: Random while training, so that a value repeats only on average.
_RANDOM = ("rrelu",)
NAMES = tuple(
    name
    for name in activations.ACTIVATIONS.names
    if name not in _RANDOM and theory.function(name) is not None
)


def formula(text: str, option: str = "--act") -> theory.Function:
    """Return function and derivative of `tanh`, `leaky_relu:0.2`, ...

    Raises:
        UsageError: no such name, or one without a closed form.
    """
    row = activations.parse(text, option)
    if row.name not in NAMES:
        raise UsageError(
            _("{option}: {name} has no closed form here; accepted: {names}").format(
                option=option, name=row.name, names=", ".join(NAMES)
            )
        )
    found = theory.function(row.name, row.parameter)
    assert found is not None
    return found


def step() -> theory.Function:
    """Return Rosenblatt's own: 1 above 0, else 0; its derivative is 0 everywhere."""
    return theory.from_callables("step", lambda z: np.heaviside(z, 0.0), np.zeros_like)
