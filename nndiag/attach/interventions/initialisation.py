"""Weights drawn anew, matched to each layer's activation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nndiag.attach.interventions.base import (
    DENSE,
    TRANSPOSED,
    Intervention,
    Layers,
    activation_name,
    activations_of,
    expression,
    layers_of,
    trained_models,
)
from nndiag.probe.layers import Matrix
from nndiag.schema.observation import Observation

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
#: Those for which Glorot & Bengio (2010) is meant: symmetric or saturating on both sides.
_XAVIER = ("tanh", "sigmoid", "hardtanh", "hardsigmoid", "softsign", "tanhshrink", "logsigmoid")
#: Variance 1 / fan_in: Klambauer et al. (2017), and layers without an activation.
_LECUN = ("selu", "linear", "identity")


def scheme(activation: str) -> str:
    """Return the nn.init function for layers before an activation (He et al. 2015 by default)."""
    if activation in _XAVIER or "softmax" in activation:
        return "xavier_normal_"
    return "lecun" if activation in _LECUN else "kaiming_normal_"


class Reinitialised(Intervention):
    """Every layer drawn anew in place; the random numbers come from a generator of its own.

    Args:
        known: layers and their activations, as a first run saw them.
        activation: activation of the hidden layers, where another change has replaced them.
    """

    name = "reinit"

    def __init__(self, known: Layers | None = None, activation: str | None = None) -> None:
        super().__init__()
        self._known = known or {}
        self._activation = activation
        self._done: set[int] = set()

    @torch.no_grad()
    def on_model(self, model: nn.Module) -> None:
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        activations = activations_of(model, self._known)
        owners = [
            id(parameter)
            for module in model.modules()
            for parameter in module.parameters(recurse=False)
        ]
        tied = {key for key in owners if owners.count(key) > 1} if len(owners) < 2000 else set()
        for name, module in model.named_modules():
            activation = activations.get(name, "linear")
            if self._activation is not None and activation != "linear":
                activation = self._activation
            self._draw(module, activation, tied, generator)

    def _draw(
        self, module: nn.Module, activation: str, tied: set[int], generator: torch.Generator
    ) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
            if lazy or id(parameter) in self._done:
                continue
            fresh = torch.empty(parameter.shape, dtype=torch.float32)
            if _fill(module, name, fresh, activation, id(parameter) in tied, generator):
                parameter.copy_(fresh)
                self._done.add(id(parameter))
                self.changes += 1
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()

    def snippet(self, observation: Observation) -> str:
        known = layers_of(observation)
        lines = []
        for model in trained_models(observation):
            for layer in model.trace.layers:
                text = activation_name(known[model.kind][layer.name])
                if self._activation is not None and text != "linear":
                    text = self._activation
                bare = layer.kind == Matrix.__name__
                place = layer.name if bare else expression(model, layer.name)
                lines += _lines(layer.kind, place, text)
        return "\n".join(f"+ {line}" for line in lines)


def _fill(
    module: nn.Module,
    name: str,
    fresh: Tensor,
    activation: str,
    tied: bool,
    generator: torch.Generator,
) -> bool:
    """Write new values of one parameter; return whether there is a rule for it."""
    if isinstance(module, _NORMS):
        nn.init.ones_(fresh) if name == "weight" else nn.init.zeros_(fresh)
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        _fill_recurrent(module, name, fresh, generator)
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
        nn.init.normal_(fresh, std=fresh.shape[1] ** -0.5 if tied else 1.0, generator=generator)
        if module.padding_idx is not None:
            fresh[module.padding_idx] = 0
    elif name.endswith("bias") and fresh.ndim <= 1:
        nn.init.zeros_(fresh)
    elif isinstance(module, nn.MultiheadAttention):
        if fresh.ndim != 2:
            return False
        nn.init.xavier_uniform_(fresh, generator=generator)
    elif isinstance(module, Matrix):  # Glorot's rule is the same whichever way round it is used
        nn.init.xavier_normal_(fresh, generator=generator)
    elif isinstance(module, (*DENSE, *TRANSPOSED)) and fresh.ndim >= 2:
        _fill_dense(module, fresh, activation, generator)
    else:
        return False
    return True


def _fill_dense(
    module: nn.Module, fresh: Tensor, activation: str, generator: torch.Generator
) -> None:
    chosen = scheme(activation)
    if isinstance(module, TRANSPOSED):  # its weight is (in, out, ...): inputs are counted there
        fresh = fresh.transpose(0, 1)
    if chosen == "xavier_normal_":
        nn.init.xavier_normal_(fresh, generator=generator)
    else:
        kaiming = nn.init.kaiming_normal_
        if chosen == "lecun":
            kaiming(fresh, nonlinearity="linear", generator=generator)
        else:
            kaiming(fresh, nonlinearity="relu", generator=generator)


def _fill_recurrent(
    module: nn.RNNBase | nn.RNNCellBase, name: str, fresh: Tensor, generator: torch.Generator
) -> None:
    """Orthogonal from state to state (Saxe et al. 2014), one matrix a gate; the rest Glorot.

    The forget gate of an LSTM starts open, at a bias of 1 (Jozefowicz et al. 2015).
    """
    size = module.hidden_size
    if name.startswith("weight_hh"):
        for gate in fresh.split(size):
            nn.init.orthogonal_(gate, generator=generator)
    elif name.startswith("weight"):
        for gate in fresh.split(size):
            nn.init.xavier_uniform_(gate, generator=generator)
    else:
        nn.init.zeros_(fresh)
        if isinstance(module, nn.LSTM | nn.LSTMCell) and name.startswith("bias_ih"):
            fresh[size : 2 * size] = 1.0


def _lines(kind: str, place: str, activation: str) -> list[str]:
    if kind in ("RNN", "LSTM", "GRU"):
        return [
            f"for name, p in {place}.named_parameters():",
            '    if "weight_hh" in name:',
            f"        for gate in p.data.split({place}.hidden_size): nn.init.orthogonal_(gate)",
            '    elif "weight" in name: nn.init.xavier_uniform_(p)',
            "    else: nn.init.zeros_(p)",
        ]
    if kind == Matrix.__name__:
        return [f"nn.init.xavier_normal_({place})"]
    if kind not in {one.__name__ for one in (*DENSE, *TRANSPOSED)}:
        return [f"{place}.reset_parameters()"] if kind == "Embedding" else []
    chosen = scheme(activation)
    if chosen == "xavier_normal_":
        weight = f"nn.init.xavier_normal_({place}.weight)"
    else:
        relu = "linear" if chosen == "lecun" else "relu"
        weight = f'nn.init.kaiming_normal_({place}.weight, nonlinearity="{relu}")'
    return [weight, f"if {place}.bias is not None: nn.init.zeros_({place}.bias)"]
