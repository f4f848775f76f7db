"""The Jacobian of a network's hidden layers at initialisation, and its singular values.

Axes: P place along the network, N unit.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


def hidden_singular_values(model: nn.Module, x: Tensor, layers: Sequence[int]) -> np.ndarray:
    """Return the singular values of dz_(1 + l) / dz_1 for each l of `layers`, (P, N), in float64.

    z_1, z_2, ... are the outputs of the linear layers, N units each. N copies of one sample run
    through the network, and the N unit vectors come back through them in one pass a place.

    Args:
        model: a plain stack, which runs its children one after the other.
        x: (B, *input_shape); the Jacobian is that of its first sample. Batch norms keep the
            statistics of the whole batch.
        layers: ascending, at least 1.
    """
    first, *others = _hidden_outputs(_frozen(model, x), x[:1].double(), max(layers))
    found = []
    for place in layers:
        output = others[place - 1]
        units = torch.eye(output.shape[1]).to(output)
        (rows,) = torch.autograd.grad(output, first, units, retain_graph=True)
        found.append(_singular_values(rows))
    return np.stack(found)


def _frozen(model: nn.Module, x: Tensor) -> nn.Module:
    """Return a float64 copy in evaluation mode whose batch norms hold the statistics of `x`."""
    model = copy.deepcopy(model).double().requires_grad_(False)
    norms = [module for module in model.modules() if isinstance(module, _NormBase)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            model.train()(x.double())
    return model.eval()


def _hidden_outputs(model: nn.Module, x: Tensor, layers: int) -> list[Tensor]:
    """Return z_1 ... z_(1 + layers), (N, N) each: a row a copy of the sample."""
    outputs: list[Tensor] = []
    for module in model.children():
        x = module(x)
        if not isinstance(module, nn.Linear):
            continue
        if not outputs:
            x = x.detach().repeat(x.shape[1], 1).requires_grad_()
        outputs.append(x)
        if len(outputs) > layers:
            break
    return outputs


def _singular_values(matrix: Tensor) -> np.ndarray:
    """Return singular values, largest first; NaN for a matrix that left the range of a float."""
    if not torch.isfinite(matrix).all():
        return np.full(len(matrix), np.nan)
    return np.asarray(torch.linalg.svdvals(matrix).cpu())
