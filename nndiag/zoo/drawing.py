"""Drawing initial weights into a network. Imports torch: load it inside functions only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from nndiag.zoo.activations import Activation
from nndiag.zoo.initialisations import Draw, Initialisation, bias_variance, weight_variance

# Mishkin & Matas 2016, algorithm 1: tolerance of the variance and most rounds a layer. The paper
# stops at 0.1; without biases one round is exact, so a closer stop costs nothing.
_LSUV_TOLERANCE = 1e-3
_LSUV_ROUNDS = 10

Fill = Callable[[torch.Tensor], object]


@torch.no_grad()
def draw_model(
    model: nn.Module,
    init: Initialisation,
    act: Activation,
    generator: torch.Generator,
    bias_std: float,
    batch: torch.Tensor | None,
) -> None:
    """Do what `nndiag.zoo.initialisations.initialise` says."""
    for module in model.modules():
        if isinstance(module, nn.Linear | _ConvNd | nn.RNNCellBase):
            _draw_weights(module, init, act, generator, bias_std)
        elif isinstance(module, _NormBase | nn.LayerNorm | nn.GroupNorm | nn.PReLU):
            module.reset_parameters()
    if init.needs_batch:
        if batch is None:
            raise ValueError(f"initialisation {init.name!r} needs a batch of inputs")
        _scale_to_unit_variance(model, batch, generator)


def _draw_weights(
    module: nn.Module,
    init: Initialisation,
    act: Activation,
    generator: torch.Generator,
    bias_std: float,
) -> None:
    for matrix, fan_in, fan_out in _matrices(module, init):
        _write(matrix, _weight_fill(init, act, fan_in, fan_out, generator))
        bias_fan_in = fan_in
    bias_deviation = math.sqrt(bias_variance(init, bias_fan_in, bias_std))
    for name, bias in module.named_parameters(recurse=False):
        if not name.startswith("bias"):
            continue
        if bias_std:
            _write(bias, _normal(bias_deviation, generator))
        elif init.draws_biases:
            _write(bias, _uniform(bias_deviation, generator))
        else:
            bias.zero_()


def _matrices(module: nn.Module, init: Initialisation) -> Iterator[tuple[torch.Tensor, int, int]]:
    """Yield (weight, fan_in, fan_out): one a layer, one a gate for recurrent cells."""
    if isinstance(module, nn.RNNCellBase):
        for stacked in (module.weight_ih, module.weight_hh):
            for gate in torch.split(stacked, module.hidden_size):
                # torch's own default for cells looks at the hidden size alone.
                fan_in = module.hidden_size if init.name == "torch" else gate.shape[1]
                yield gate, fan_in, module.hidden_size
        return
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    area = weight[0, 0].numel()
    yield weight, weight.shape[1] * area, weight.shape[0] * area


def _weight_fill(
    init: Initialisation, act: Activation, fan_in: int, fan_out: int, generator: torch.Generator
) -> Fill:
    draw = init.row.draw
    if draw is Draw.FILL:
        return lambda tensor: tensor.fill_(init.numbers[0])
    if draw is Draw.ORTHOGONAL:
        return lambda tensor: nn.init.orthogonal_(tensor, init.numbers[0], generator)
    if init.bounds is not None:
        low, high = init.bounds
        return lambda tensor: tensor.uniform_(low, high, generator=generator)
    variance = weight_variance(init, act, fan_in, fan_out)
    assert variance is not None, init
    deviation = math.sqrt(variance)
    shape = _normal if draw is Draw.NORMAL else _uniform
    return shape(deviation, generator)


def _normal(deviation: float, generator: torch.Generator) -> Fill:
    return lambda tensor: tensor.normal_(0, deviation, generator=generator)


def _uniform(deviation: float, generator: torch.Generator) -> Fill:
    bound = math.sqrt(3) * deviation
    return lambda tensor: tensor.uniform_(-bound, bound, generator=generator)


def _write(tensor: torch.Tensor, fill: Fill) -> None:
    """Fill `tensor` with draws made on the CPU in float32, so that they fit every device."""
    if tensor.device.type == "cpu" and tensor.dtype is torch.float32:
        fill(tensor)
        return
    drawn = torch.empty(tensor.shape, dtype=torch.float32)
    fill(drawn)
    tensor.copy_(drawn)


def _scale_to_unit_variance(
    model: nn.Module, batch: torch.Tensor, generator: torch.Generator
) -> None:
    """Scale each layer to outputs of variance 1 on `batch`, input side first, in one pass."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | _ConvNd)]
    hooks = [layer.register_forward_hook(_scale_layer) for layer in layers]
    devices = [batch.device] if batch.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):  # dropout and rrelu draw from the global generator
            torch.manual_seed(generator.initial_seed())
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.reset_running_stats()


def _scale_layer(
    layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> torch.Tensor:
    assert isinstance(layer.weight, torch.Tensor)
    for _round in range(_LSUV_ROUNDS):
        variance = float(output.double().var(correction=0))  # host sync: the rounds depend on it
        if not 0 < variance < math.inf or abs(variance - 1) < _LSUV_TOLERANCE:
            break
        layer.weight /= math.sqrt(variance)
        output = layer.forward(*inputs)
    return output
