"""What makes networks one structure: all that is not in the stacked tensors must be equal."""

from __future__ import annotations

from collections.abc import Hashable
from types import BuiltinFunctionType, FunctionType
from typing import Any

from torch import nn

_PLAIN = (bool, int, float, str, tuple, type(None))


def structure(model: nn.Module, *, own_dropout: bool = False) -> Hashable:
    """Return facts that are equal for networks that one vectorised pass can run.

    Kinds of modules in order, which of them are one object, their settings (a dropout rate, a
    slope), and shapes, types and `requires_grad` of the tensors.

    Args:
        own_dropout: the pass gives every network its own dropout rate.
    """
    seen: dict[int, str] = {}
    modules = tuple(
        (name, seen.setdefault(id(module), name), type(module), _settings(module, own_dropout))
        for name, module in model.named_modules(remove_duplicate=False)
    )
    tensors = (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    )
    facts = tuple(
        (name, seen.setdefault(id(t), name), tuple(t.shape), t.dtype, t.requires_grad)
        for name, t in tensors
    )
    return modules, facts


def _settings(module: nn.Module, own_dropout: bool) -> tuple[tuple[str, str], ...]:
    left_out = {"training", "p"} if own_dropout and type(module) is nn.Dropout else {"training"}
    return tuple(
        (name, repr(_comparable(value)))
        for name, value in sorted(vars(module).items())
        if name not in left_out and not name.startswith("_") and _is_setting(value)
    )


def _is_setting(value: Any) -> bool:
    return isinstance(value, (*_PLAIN, FunctionType, BuiltinFunctionType))


def _comparable(value: Any) -> Any:
    # A lambda is a new object for every network, its code is not.
    return value.__code__ if isinstance(value, FunctionType) else value
