"""Which modules are activations, and where each is saturated."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from nndiag.theory.saturation import Tails, tails

_TORCH_ACTIVATIONS = "torch.nn.modules.activation"
#: In torch's activation file, yet no function of one number.
_NOT_POINTWISE = (
    nn.MultiheadAttention,
    nn.Softmax,
    nn.Softmax2d,
    nn.LogSoftmax,
    nn.Softmin,
    nn.GLU,
)


def is_activation(module: nn.Module) -> bool:
    """Whether the module applies one non-linear function to every entry of its input.

    Torch's own by their class; a module of the user's by trying it on a few numbers, on a copy, in
    evaluation mode and with the random state kept.
    """
    if type(module).__module__ == _TORCH_ACTIVATIONS:
        return not isinstance(module, _NOT_POINTWISE)
    if type(module).__module__.startswith("torch.nn.") or any(module.children()):
        return False
    if any(True for _parameter in module.parameters()):
        return False
    return _acts_pointwise(module)


def _acts_pointwise(module: nn.Module) -> bool:
    points = torch.linspace(-3.0, 3.0, 24).reshape(2, 3, 4)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            trial = _bare_copy(module).cpu().eval()
            once = trial(points.clone())
            other = trial(points.flip(0, 1, 2))
    except Exception:  # a stranger's module may raise anything: then it is no activation
        return False
    return (
        isinstance(once, torch.Tensor)
        and once.shape == points.shape
        and torch.equal(once.flip(0, 1, 2), other)
        and not torch.equal(once, points)
    )


def slope_of(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Return phi' of an activation module as a float64 function of numpy arrays (N,), by autograd.

    The module is copied and put in evaluation mode (rrelu takes its mean slope).
    """
    phi = _bare_copy(module).double().cpu().eval()
    if hasattr(phi, "inplace"):
        phi.inplace = False  # type: ignore[assignment]

    def derivative(points: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(np.ascontiguousarray(points)).requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(phi(z).sum(), z)
        return slope.numpy()

    return derivative


def _bare_copy(module: nn.Module) -> nn.Module:
    """Return a deep copy without hooks: a copied hook would copy, and call, whoever holds it."""
    bare = type(module).__new__(type(module))
    bare.__dict__ = {
        name: OrderedDict() if name.endswith("_hooks") else value
        for name, value in module.__dict__.items()
    }
    return copy.deepcopy(bare)


def value_of(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Return phi of an activation module as a float64 function of numpy arrays (N,)."""
    phi = _bare_copy(module).double().cpu().eval()

    def function(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return phi(torch.from_numpy(np.array(points))).numpy()

    return function


class TailsByKind:
    """Tails of activation modules, worked out once a kind."""

    def __init__(self) -> None:
        self._known: dict[str, Tails | None] = {}

    def of(self, module: nn.Module) -> Tails | None:
        """Return the tails; None where there is no notion of saturation."""
        if isinstance(module, nn.PReLU) and module.num_parameters > 1:
            return None  # a slope a channel: no single function
        key = f"{type(module)}{module!r}{list(module.parameters())}"
        if key not in self._known:
            self._known[key] = self._compute(module)
        return self._known[key]

    @staticmethod
    def _compute(module: nn.Module) -> Tails | None:
        try:
            return tails(slope_of(module))
        except RuntimeError:  # not differentiable: a step function
            return None
