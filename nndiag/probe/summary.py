"""What a network consists of: shapes, parameters and operations of each of its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(kw_only=True)
class Part:
    """One module.

    Attributes:
        depth: levels below the network, 1 for its direct children.
        calls: how often a forward pass runs it.
        output: shape of what it returned last; None where it did not run or returned no tensor.
        own, own_trainable: parameters that it holds itself, each counted where it is met first.
        own_flops: operations of its calls, outside of the modules that these call; a
            multiplication with its addition is two.
        parameters, trainable, flops: with those of the modules in it.
    """

    name: str
    kind: str
    depth: int
    leaf: bool
    calls: int = 0
    output: tuple[int, ...] | None = None
    own: int = 0
    own_trainable: int = 0
    parameters: int = 0
    trainable: int = 0
    flops: int = 0
    own_flops: int = 0
    bytes: int = 0


def parts(network: nn.Module, inputs: Tensor) -> list[Part]:
    """Return the network itself, then its modules from input to output as it lists them.

    Runs one forward pass in evaluation mode, also on the device `meta`. Operations are those of
    convolutions, matrix products and attention, as `torch.utils.flop_counter` counts them.

    Args:
        inputs: a batch.
    """
    watched = {id(module): _Work() for module in network.modules()}
    running: list[_Call] = []
    with ExitStack() as stack:
        stack.enter_context(_evaluating(network))
        counter = stack.enter_context(FlopCounterMode(display=False))
        for module in network.modules():
            stack.callback(_watch(module, watched[id(module)], running, counter))
        network(inputs)
    return _listed(network, watched)  # only now: lazy layers get their parameters when first run


@dataclass
class _Work:
    """What the calls of a module did, outside of the modules that it called."""

    calls: int = 0
    output: tuple[int, ...] | None = None
    flops: int = 0


@dataclass
class _Call:
    """A module under way: operations before it began, and those inside modules that it called."""

    begun: int
    inside: int = 0


def _watch(
    module: nn.Module, work: _Work, running: list[_Call], counter: FlopCounterMode
) -> Callable[[], None]:
    """Note what a module does; return what ends that."""

    def before(module: nn.Module, inputs: Any) -> None:
        running.append(_Call(counter.get_total_flops()))

    def after(module: nn.Module, inputs: Any, outputs: Any) -> None:
        call = running.pop()
        spent = counter.get_total_flops() - call.begun
        if running:
            running[-1].inside += spent
        work.calls += 1
        work.flops += spent - call.inside
        work.output = _shape(outputs)

    handles = module.register_forward_pre_hook(before), module.register_forward_hook(after)

    def end() -> None:
        for handle in handles:
            handle.remove()

    return end


def _listed(network: nn.Module, watched: Mapping[int, _Work]) -> list[Part]:
    """Return the modules by name; what is shared counts where it is met first."""
    found: dict[str, Part] = {}
    seen: set[int] = set()
    for name, module in network.named_modules():
        work = watched[id(module)]
        part = found[name] = Part(
            name=name,
            kind=type(module).__name__,
            depth=name.count(".") + 1 if name else 0,
            leaf=next(module.children(), None) is None,
            calls=work.calls,
            output=work.output,
            own_flops=work.flops,
        )
        for parameter in module._parameters.values():
            if parameter is None or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            part.own += parameter.numel()
            part.own_trainable += parameter.numel() if parameter.requires_grad else 0
            part.bytes += parameter.numel() * parameter.element_size()
    for part in reversed(found.values()):  # what is inside comes later
        part.parameters += part.own
        part.trainable += part.own_trainable
        part.flops += part.own_flops
        if part.name:
            outer = found[part.name.rpartition(".")[0]]
            outer.parameters += part.parameters
            outer.trainable += part.trainable
            outer.flops += part.flops
    return list(found.values())


def _shape(outputs: Any) -> tuple[int, ...] | None:
    """Return the shape of a tensor, or of the first one in a tuple, list or mapping."""
    if isinstance(outputs, Tensor):
        return tuple(outputs.shape)
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (tuple, list)) and outputs:
        return _shape(outputs[0])
    return None


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Switch dropout and the like off, and attention's fused kernels, whose work nobody counts."""
    modes = [(module, module.training) for module in network.modules()]
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    network.eval()
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, training in modes:
            module.training = training
