"""Calls of modules: which of them is a model, which ran, and in which one the script failed."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.utils.hooks import RemovableHandle

from nndiag.attach.inputs import first_float
from nndiag.attach.models import ModelWatch


class Calls:
    """Follows calls through global hooks; makes a watch for each model that it meets.

    A model is what the script calls outside any other module. A layer called on its own stands for
    the model around it (`model.forward(x)` calls no model), and a model that holds parts watched
    before takes their place.

    Args:
        make: returns a new watch; its second argument says that a pass of parts is under way.
        foreign: whether a call is not the script's own thread's.
        passing: told (input of a pass or None, whether gradients are on, whether the model is in
            training mode).
        only: models to watch; None for every one that is met.
        first_args: returns what a model met in its first pass gets instead of its arguments; hooks
            put on that model itself only act from its second pass on.
    """

    def __init__(
        self,
        make: Callable[[nn.Module, bool], ModelWatch],
        foreign: Callable[[], bool],
        passing: Callable[[Tensor | None, bool, bool], None],
        only: Iterable[nn.Module] | None,
        first_args: Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None],
    ) -> None:
        self._make, self._foreign, self._passing = make, foreign, passing
        self._first_args = first_args
        self.open = only is None
        self._stack: list[nn.Module] = []
        self._parents: weakref.WeakKeyDictionary[nn.Module, weakref.ref[nn.Module]] = (
            weakref.WeakKeyDictionary()
        )
        self.models: list[ModelWatch] = []
        self.ran: set[int] = set()
        self.stray: dict[int, tuple[str, nn.Module]] = {}
        self.failed_in: nn.Module | None = None
        for model in only or ():
            self.models.append(make(model, False))

    def attach(self) -> list[RemovableHandle]:
        """Put the hooks on, also those of the models known already."""
        for watch in self.models:
            watch.open()
        enter: Any = self._enter  # may return other arguments, whatever torch's annotation says
        return [
            torch_module.register_module_forward_pre_hook(enter),
            torch_module.register_module_forward_hook(self._leave, always_call=True),
            torch_module.register_module_module_registration_hook(self._registered),
        ]

    # -- hooks --------------------------------------------------------------------------------

    def _registered(self, owner: nn.Module, name: str, module: nn.Module | None) -> None:
        if isinstance(module, nn.Module):
            self._parents[module] = weakref.ref(owner)

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._foreign():
            return None
        self._stack.append(module)
        new = id(module) not in self.ran
        if new:
            self.ran.add(id(module))
        if len(self._stack) == 1:
            return self._enter_outermost(module, args)
        if new and module._parameters:
            self._look_for_stray(module)
        return None

    def _enter_outermost(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        watch = self.watch_of(module)
        changed = None
        if watch is None:
            watch = self._new(module)
            if watch is None:
                return None
            if watch.model is module:
                changed = self._first_args(module, args)
            watch.begin_inside(module, args if changed is None else changed)
        elif watch.model is not module:
            watch.part_called(module, args)
        elif watch.scripted:
            watch.begin_inside(module, args)
        self._passing(first_float(args, {}), torch.is_grad_enabled(), module.training)
        return changed

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._foreign():
            return
        if output is None and self.failed_in is None and sys.exc_info()[0] is not None:
            self.failed_in = module
        while self._stack:
            if self._stack.pop() is module:
                break
        if not self._stack and output is not None:
            for watch in self.models:
                watch.leaves(module, output)

    # -- models -------------------------------------------------------------------------------

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of all models, and of layers that none of them lists."""
        strays = [module for _name, module in self.stray.values()]
        for model in [*(watch.model for watch in self.models), *strays]:
            yield from model.parameters()

    def watch_of(self, module: nn.Module) -> ModelWatch | None:
        """Return the watch of the model that the module is, or is inside."""
        return next((watch for watch in self.models if watch.owns(module)), None)

    def _new(self, module: nn.Module) -> ModelWatch | None:
        if not self.open:
            return None
        model = module if any(True for _child in module.children()) else self._whole(module)
        if not any(True for _parameter in model.parameters()):
            return None
        parts = [watch for watch in self.models if any(watch.model is m for m in model.modules())]
        for watch in parts:
            watch.close()
            self.models.remove(watch)
        return self.add(model, late=bool(parts))

    def add(self, model: nn.Module, *, late: bool = False) -> ModelWatch:
        """Watch a model from now on.

        Args:
            late: a pass of its parts is under way.
        """
        watch = self._make(model, late)
        watch.open()
        self.models.append(watch)
        return watch

    def _whole(self, layer: nn.Module) -> nn.Module:
        """Return the outermost module around a layer."""
        module = layer
        while (owner := self._parents.get(module)) is not None:
            above = owner()
            if above is None or not any(child is module for child in above.children()):
                break
            module = above
        return module

    def _look_for_stray(self, module: nn.Module) -> None:
        """Note a layer that runs inside a model without being among its modules."""
        if id(module) in self.stray:
            return
        watch = self.watch_of(self._stack[0])
        if watch is not None and not watch.owns(module):
            name = f"{type(module).__name__}-{len(self.stray) + 1}"
            self.stray[id(module)] = (name, module)

    def name_of_failed(self) -> str | None:
        """Return the dotted name of the module that was running when the script failed."""
        for watch in self.models:
            for name, module in watch.model.named_modules():
                if module is self.failed_in:
                    return name or type(module).__name__
        return None
