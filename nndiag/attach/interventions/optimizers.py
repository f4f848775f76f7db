"""Changes of the optimizer: which parameters it holds, which one it is, when gradients go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from nndiag.attach.by_hand import leaves_of
from nndiag.attach.interventions.base import Intervention, trained_models
from nndiag.attach.interventions.rates import main_optimizer
from nndiag.schema.observation import BY_HAND, Observation

ADAM_RATE = 1e-3  # Kingma & Ba 2015, algorithm 1


class ClearedGradients(Intervention):
    """Gradients cleared after each step, so that none is added to those of the next.

    They go as late as can be, when the next backward pass begins: the script may still look at
    them. Passes between two steps add up as they should.
    """

    name = "zero_grad"

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, torch.optim.Optimizer] = {}
        self._used = self._inside = False

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._known[id(optimizer)] = optimizer
        self._inside = True

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._inside, self._used = False, True

    def on_backward(self, loss: Tensor) -> None:
        if self.by_hand:
            for leaf in leaves_of(loss):
                self.changes += leaf.grad is not None
                leaf.grad = None
            return
        if not (self._used or self._inside):
            return
        self._used = False
        for optimizer in self._known.values():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    self.changes += parameter.grad is not None
                    parameter.grad = None

    def snippet(self, observation: Observation) -> str:
        found = main_optimizer(observation)
        if found is not None and found.kind == BY_HAND:
            return "  loss.backward()\n  p -= lr * p.grad  # for each parameter p\n+ p.grad = None"
        return "+ optimizer.zero_grad()\n  loss.backward()\n  optimizer.step()"


class HoldAllParameters(Intervention):
    """An optimizer given the trainable parameters that took part and that no optimizer holds.

    They join the first group of the optimizer that steps when a gradient of theirs is there.
    """

    name = "hold_all_parameters"

    def __init__(self) -> None:
        super().__init__()
        self._met: dict[int, nn.Parameter] = {}
        self._known: dict[int, torch.optim.Optimizer] = {}

    @contextmanager
    def _meeting(self) -> Iterator[None]:
        def meet(module: nn.Module, args: Any) -> None:
            if torch.is_grad_enabled() and module._parameters:
                for parameter in module.parameters(recurse=False):
                    self._met.setdefault(id(parameter), parameter)

        handle = register_module_forward_pre_hook(meet)
        try:
            yield
        finally:
            handle.remove()

    def active(self) -> Any:
        return self._meeting()

    def on_model(self, model: nn.Module) -> None:
        for parameter in model.parameters():
            self._met.setdefault(id(parameter), parameter)

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._known[id(optimizer)] = optimizer
        held = {
            id(parameter)
            for known in self._known.values()
            for group in known.param_groups
            for parameter in group["params"]
        }
        for key, parameter in self._met.items():
            if parameter.requires_grad and parameter.grad is not None and key not in held:
                optimizer.param_groups[0]["params"].append(parameter)
                self.changes += 1

    def snippet(self, observation: Observation) -> str:
        found = main_optimizer(observation)
        kind = found.kind if found is not None else "SGD"
        models = trained_models(observation)
        lines = [
            f"# {model.name}: register {record.name} (nn.ModuleList instead of a list)"
            for model in models
            for record in model.parameters
            if not record.registered and record.name.endswith("weight")
        ]
        names = [model.name for model in models] or ["model"]
        held = " + ".join(f"list({name}.parameters())" for name in names)
        held = f"{names[0]}.parameters()" if len(names) == 1 else held
        return "\n".join([*lines, f"+ optimizer = torch.optim.{kind}({held}, ...)"])


class AdamInstead(Intervention):
    """Adam over the same parameters: the step of the script's own optimizer is taken back.

    Its rate is 1e-3, lowered in proportion where a schedule lowers the script's.
    """

    name = "optimizer=adam"

    def __init__(self) -> None:
        super().__init__()
        self._adams: dict[int, torch.optim.Optimizer] = {}
        self._first: dict[int, float] = {}
        self._kept: list[tuple[nn.Parameter, Tensor, Tensor | None]] = []
        self._share = 1.0

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._kept = [
            (p, p.detach().clone(), None if p.grad is None else p.grad.detach().clone())
            for group in optimizer.param_groups
            for p in group["params"]
        ]
        group = optimizer.param_groups[0]
        rate = float(group["lr"]) if group.get("lr") is not None else 1.0
        first = self._first.setdefault(id(optimizer), float(group.get("initial_lr") or rate))
        self._share = min(abs(rate / first), 1.0) if first else 1.0

    @torch.no_grad()
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        for parameter, value, gradient in self._kept:
            parameter.copy_(value)
            parameter.grad = gradient
        adam = self._adam(optimizer)
        for group in adam.param_groups:
            group["lr"] = ADAM_RATE * self._share
        adam.step()
        self._kept.clear()
        self.changes += 1

    def _adam(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        adam = self._adams.get(id(optimizer))
        if adam is None:
            climbs = bool(optimizer.param_groups[0].get("maximize", False))
            adam = torch.optim.Adam(held, lr=ADAM_RATE, maximize=climbs)
            self._adams[id(optimizer)] = adam
        known = {id(p) for group in adam.param_groups for p in group["params"]}
        adam.param_groups[0]["params"].extend(p for p in held if id(p) not in known)
        return adam

    def snippet(self, observation: Observation) -> str:
        found = main_optimizer(observation)
        models = trained_models(observation)
        name = models[0].name if models else "model"
        old = [f"- optimizer = torch.optim.{found.kind}(...)"] if found is not None else []
        new = f"+ optimizer = torch.optim.Adam({name}.parameters(), lr={ADAM_RATE:g})"
        return "\n".join([*old, new])
