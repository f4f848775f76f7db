"""Run one training script, unchanged, with one other tool put on, and print what the tool reports.

    python scripts/peers/attach.py {torchmortem,torch-audit,torchdiag} SCRIPT

None of these tools runs a script by itself: each asks for lines in the training loop. They are put
in here at run time, and are those of the tool's own documentation:

torchmortem   `Autopsy(model, optimizer=optimizer)` around the loop and
              `autopsy.step(loss=loss.item())` after each `optimizer.step()`; default sampling.
torch-audit   `autopatch(model, optimizer=optimizer, every_n_steps=1)` before the loop, `finish()`
              after it.
torchdiag     `verify_step` on the first batch (on copies, where the script calls a loss of torch on
              the model's output), `check_gradients(model)` after `loss.backward()` and
              `check_dead_neurons(model, x)`, at passes 1, 2, 5, 10, 20, 50, ...

The last line printed is JSON: [what was reported, its severity in the tool's words] pairs.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import runpy
import sys
import traceback
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

Report = tuple[str, str]
# Backward passes without any optimizer step after which each counts as a step of the loop: only a
# script that never calls step() accumulates for so long.
NEVER_STEPS = 32
LOSSES = [
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "poisson_nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
]


class Tool:
    """What a tool is told of the training loop; each does what its documentation asks."""

    def adopt(self, called: nn.Module, whole: nn.Module, optimizer: Optimizer) -> None:
        """A model is called for the first time; `whole` holds all that its optimizer trains."""

    def forwarded(self, called: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """A model has been called by the loop."""

    def compared(self, loss: Callable[[Any, Any], Any], output: Any, target: Any) -> None:
        """A loss function of torch is about to be called."""

    def backward(self) -> None:
        """`loss.backward()` has run."""

    def stepped(self, optimizer: Optimizer | None, loss: float) -> None:
        """`optimizer.step()` has run; None where the script never calls it."""

    def reports(self) -> Iterable[Report]:
        """The loop has ended."""
        raise NotImplementedError


class Torchmortem(Tool):
    def __init__(self) -> None:
        self.autopsies: list[tuple[Any, nn.Module, Optimizer]] = []

    def adopt(self, called: nn.Module, whole: nn.Module, optimizer: Optimizer) -> None:
        from torchmortem import Autopsy

        parts = set(whole.modules())
        if any(parts & set(known.modules()) for _, known, _ in self.autopsies):
            return
        autopsy = Autopsy(whole, optimizer=optimizer)
        autopsy.attach()
        self.autopsies.append((autopsy, whole, optimizer))

    def stepped(self, optimizer: Optimizer | None, loss: float) -> None:
        for autopsy, _, own in self.autopsies:
            if optimizer in (None, own) or len(self.autopsies) == 1:
                autopsy.step(loss=loss)

    def reports(self) -> Iterable[Report]:
        for autopsy, _, _ in self.autopsies:
            autopsy.detach()
            report = autopsy.get_report()
            for finding in report.findings:
                yield finding.title.split(" in ")[0], finding.severity.name
            for insight in report.insights:
                yield f"insight {insight.rule_name}", "INFO"


class TorchAudit(Tool):
    def __init__(self) -> None:
        self.auditors: list[Any] = []

    def adopt(self, called: nn.Module, whole: nn.Module, optimizer: Optimizer) -> None:
        from torch_audit import autopatch

        self.auditors.append(
            autopatch(called, optimizer=optimizer, every_n_steps=1, fail_level="FATAL")
        )

    def reports(self) -> Iterable[Report]:
        for auditor in self.auditors:
            for finding in auditor.finish().findings:
                yield finding.rule_id, finding.severity.value


class Torchdiag(Tool):
    def __init__(self) -> None:
        self.models: dict[nn.Module, tuple[nn.Module, Optimizer]] = {}
        self.passes: dict[nn.Module, int] = {}
        self.inputs: dict[nn.Module, tuple[torch.Tensor, torch.Size | None]] = {}
        self.verified: set[nn.Module] = set()
        self.said: list[str] = []

    def adopt(self, called: nn.Module, whole: nn.Module, optimizer: Optimizer) -> None:
        self.models[called] = whole, optimizer
        self.passes[called] = 0

    def forwarded(self, called: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if called in self.models and torch.is_grad_enabled():
            self.inputs.pop(called, None)
            if len(inputs) == 1 and isinstance(inputs[0], torch.Tensor):
                self.inputs[called] = inputs[0].detach(), getattr(output, "shape", None)

    def compared(self, loss: Callable[[Any, Any], Any], output: Any, target: Any) -> None:
        import torchdiag

        for model, (x, shape) in self.inputs.items():
            if model in self.verified or shape != output.shape or not output.requires_grad:
                continue
            self.verified.add(model)
            with contextlib.suppress(Exception):
                trial, optimizer = copy.deepcopy((model, self.models[model][1]))
                self.listen(torchdiag.verify_step, trial, optimizer, loss, x, target)

    def backward(self) -> None:
        import torchdiag

        for model, (whole, _) in self.models.items():
            if all(p.grad is None for p in model.parameters()):
                continue
            self.passes[model] += 1
            if str(self.passes[model]).rstrip("0") in ("1", "2", "5"):
                self.listen(torchdiag.check_gradients, whole)
                if model in self.inputs:
                    self.listen(torchdiag.check_dead_neurons, model, self.inputs[model][0])

    def listen(self, command: Callable[..., Any], *arguments: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as said, torch.random.fork_rng():
            command(*arguments)
        self.said += said.getvalue().splitlines()

    def reports(self) -> Iterable[Report]:
        for line in self.said:
            if line.strip().startswith("•") or "FAILED" in line:
                yield line.strip(" •✗"), "ISSUE"


class Loop:
    """Follows the training loop of a script that knows nothing of it, for one tool."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        # by id: some modules (torchmetrics) cannot be hashed while they are made
        self.modules: weakref.WeakValueDictionary[int, nn.Module] = weakref.WeakValueDictionary()
        self.optimizers: list[Optimizer] = []
        self.adopted: set[nn.Module] = set()
        self.kept: list[nn.Module] = []
        self.loss = float("nan")
        self.depth = self.passes = self.steps = 0
        self.busy = False

    @contextlib.contextmanager
    def asking(self) -> Any:
        """The tool's own calls of models, losses and steps are not the loop's."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def watch(self) -> None:
        module_init, call = nn.Module.__init__, nn.Module.__call__
        optimizer_init, backward = Optimizer.__init__, torch.autograd.backward

        def made(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            module_init(module, *args, **kwargs)
            self.modules[id(module)] = module

        def prepared(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            optimizer_init(optimizer, *args, **kwargs)
            if not self.busy:
                self.optimizers.append(optimizer)

        def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self.depth or self.busy:
                return call(module, *args, **kwargs)
            self.adopt(module)
            self.depth += 1
            try:
                output = call(module, *args, **kwargs)
            finally:
                self.depth -= 1
            with self.asking():
                self.tool.forwarded(module, (*args, *kwargs.values()), output)
            return output

        def ran_backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            backward(tensors, *args, **kwargs)
            if self.busy:
                return
            loss = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors))
            self.loss = float(loss.detach().float().mean())
            self.passes += 1
            with self.asking():
                self.tool.backward()
                if not self.steps and self.passes > NEVER_STEPS:
                    self.tool.stepped(None, self.loss)

        nn.Module.__init__ = made  # type: ignore[method-assign]
        nn.Module.__call__ = called  # type: ignore[method-assign]
        Optimizer.__init__ = prepared  # type: ignore[method-assign]
        torch.autograd.backward = ran_backward
        for name in LOSSES:
            setattr(functional, name, self.listened(getattr(functional, name)))
        register_optimizer_step_post_hook(self.stepped)

    def listened(self, loss: Callable[..., Any]) -> Callable[..., Any]:
        def compared(output: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.busy:
                with self.asking():
                    self.tool.compared(lambda o, t: loss(o, t, *args, **kwargs), output, target)
            return loss(output, target, *args, **kwargs)

        return compared

    def stepped(self, optimizer: Optimizer, *_: Any) -> None:
        if not self.busy:
            self.steps += 1
            with self.asking():
                self.tool.stepped(optimizer, self.loss)

    def adopt(self, module: nn.Module) -> None:
        """Show a model to the tool at its first call in training, as its user would."""
        parameters = set(module.parameters())
        if module in self.adopted or not (parameters and self.optimizers):
            return
        owner = next((o for o in self.optimizers if parameters & held(o)), None)
        if owner is None and not (
            module.training and torch.is_grad_enabled() and any(p.requires_grad for p in parameters)
        ):
            return  # a frozen model is nobody's to diagnose
        self.adopted.add(module)
        self.modules.update({id(part): part for part in module.modules()})
        with self.asking():
            self.tool.adopt(module, self.whole(module, owner), owner or self.optimizers[-1])

    def whole(self, module: nn.Module, optimizer: Optimizer | None) -> nn.Module:
        """Return the object that holds the model, joined with what its optimizer trains besides."""
        known = list(self.modules.values())
        inner = {id(part) for m in known for part in m.modules() if part is not m}
        tops = [m for m in known if id(m) not in inner and any(True for _ in m.parameters())]
        own = [m for m in tops if any(part is module for part in m.modules())] or [module]
        if optimizer is not None:
            chosen = {id(m) for m in own}
            trained = held(optimizer)
            own += [m for m in tops if id(m) not in chosen and trained & set(m.parameters())]
        if len(own) == 1:
            return own[0]
        joined = nn.ModuleList(own)
        del self.modules[id(joined)]
        self.kept.append(joined)
        return joined


def held(optimizer: Optimizer) -> set[torch.Tensor]:
    return {parameter for group in optimizer.param_groups for parameter in group["params"]}


TOOLS: dict[str, type[Tool]] = {
    "torchmortem": Torchmortem,
    "torch-audit": TorchAudit,
    "torchdiag": Torchdiag,
}


def main() -> None:
    name, script = sys.argv[1:]
    tool = TOOLS[name]()
    loop = Loop(tool)
    loop.watch()
    sys.argv = [script]
    sys.path[0] = os.path.dirname(script)
    own_error = ""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            runpy.run_path(script, run_name="__main__")
        except (Exception, SystemExit):
            own_error = traceback.format_exc().splitlines()[-1]
        with loop.asking():
            reports = sorted({tuple(report) for report in tool.reports()})
    print(json.dumps({"reports": reports, "models": len(loop.adopted), "raised": own_error}))


if __name__ == "__main__":
    main()
