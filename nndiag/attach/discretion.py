"""Our hooks stay out of what a script makes of its modules: copies, pickles, scripted ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
#: Beside each table of hooks, by the same keys: how a hook is to be called.
_BESIDE = (
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)


def reducing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `nn.Module.__reduce_ex__` that leaves our hooks out of the state.

    `copy.deepcopy`, `pickle` and `torch.save` of a whole model go through it.
    """

    def reduce(module: nn.Module, protocol: Any) -> Any:
        reduced = original(module, protocol)
        if isinstance(reduced, tuple) and len(reduced) > 2 and isinstance(reduced[2], dict):
            return (*reduced[:2], _without_ours(reduced[2]), *reduced[3:])
        return reduced

    return reduce


def scripting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `torch.jit.script` or its like that meets the module as the script made it."""
    looks_up = "_frames_up" in inspect.signature(original).parameters  # names of its caller

    def script(*args: Any, **kwargs: Any) -> Any:
        if looks_up:
            kwargs["_frames_up"] = kwargs.get("_frames_up", 0) + 1
        given = [one for one in (*args[:1], *kwargs.values()) if isinstance(one, nn.Module)]
        with _gone(given[0]) if given else nullcontext():
            return original(*args, **kwargs)

    return script


@contextmanager
def _gone(model: nn.Module) -> Iterator[None]:
    """Take our hooks off a model, and put them on again in their places."""
    kept = []
    for module in model.modules():
        bare = _without_ours(vars(module))
        for name in (*_HOOKS, *_BESIDE):
            table = vars(module).get(name)
            if table is not None and bare[name] is not table:
                kept.append((table, dict(table), bare[name]))
    try:
        for table, _before, without in kept:
            _refill(table, without)
        yield
    finally:
        for table, before, _without in kept:
            _refill(table, before)


def _refill(table: Any, entries: Mapping[int, Any]) -> None:
    """Change what a table holds in place: handles of hooks point to the table itself."""
    table.clear()
    table.update(entries)


def _table(state: Mapping[str, Any], name: str) -> Mapping[int, Any]:
    """Return the hooks that a table, or one beside it, is about."""
    return state.get("_forward_pre_hooks" if "pre" in name else "_forward_hooks") or {}


def _without_ours(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a module without our hooks; the state itself stays as it is."""
    found = dict(state)
    for name in (*_HOOKS, *_BESIDE):
        table = state.get(name)
        ours = {key for key, hook in _table(state, name).items() if _is_ours(hook)}
        if table and not ours.isdisjoint(table):
            found[name] = type(table)((k, v) for k, v in table.items() if k not in ours)
    return found


def _is_ours(hook: Any) -> bool:
    while isinstance(hook, partial):
        hook = hook.func
    return str(getattr(hook, "__module__", "")).startswith("nndiag.")
