"""Which modules are activations, and where each is saturated."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.autograd import grad  # torch's own: a script's calls may be watched

from nndiag.probe.tracing import own_graph
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


def is_activation(module: nn.Module, *, learnt: bool = False) -> bool:
    """Whether the module applies one non-linear function to every entry of its input.

    Torch's own by their class; a module of the user's by trying it on a few numbers, on a copy, in
    evaluation mode and with the random state kept.

    Args:
        learnt: accept a module of the user's with parameters that are single numbers.
    """
    if type(module).__module__ == _TORCH_ACTIVATIONS:
        return not isinstance(module, _NOT_POINTWISE)
    if type(module).__module__.startswith("torch.nn.") or any(module.children()):
        return False
    sizes = [parameter.numel() for parameter in module.parameters()]
    if sizes and not (learnt and max(sizes) == 1):
        return False
    return _acts_pointwise(module)


def _acts_pointwise(module: nn.Module) -> bool:
    """Whether it bends, keeps the shape, and each output depends on its own input alone."""
    points = torch.linspace(-3.0, 3.0, 24).reshape(2, 3, 4)
    even = torch.arange(24).reshape(2, 3, 4) % 2 == 0
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            trial = _bare_copy(module).cpu().eval()
            once = trial(points.clone())
            other = trial(torch.where(even, points, 0.5 - 2 * points))
    except Exception:  # a stranger's module may raise anything: then it is no activation
        return False
    if not isinstance(once, torch.Tensor) or once.shape != points.shape:
        return False
    bends = once.flatten().double().diff().diff().abs().max() > 1e-5 * once.abs().max()
    return torch.equal(once[even], other[even]) and bool(bends)


def slope_of(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Return phi' of an activation module as a float64 function of numpy arrays (N,), by autograd.

    The module is copied and put in evaluation mode (rrelu takes its mean slope).
    """
    phi = _bare_copy(module).double().cpu().eval()
    if hasattr(phi, "inplace"):
        phi.inplace = False  # type: ignore[assignment]

    def derivative(points: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(np.ascontiguousarray(points)).requires_grad_()
        with torch.enable_grad(), own_graph():
            (slope,) = grad(phi(z).sum(), z)
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


def tails_of(module: nn.Module) -> Tails | None:
    """Return where an activation module is saturated; None where there is no such notion."""
    if isinstance(module, nn.PReLU) and module.num_parameters > 1:
        return None  # a slope a channel: no single function
    numbers = [parameter.tolist() for parameter in module.parameters()]
    settings = [f"{k}={v}" for k, v in vars(module).items() if isinstance(v, float | int | str)]
    key = (type(module), repr(module), str(numbers), str(settings))
    if key not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = _tails(module)
    return _known[key]


#: Tails by kind of activation: the same few functions serve all layers of all models.
_known: dict[tuple[type[nn.Module], str, str, str], Tails | None] = {}
_MOST_KNOWN = 256


def _tails(module: nn.Module) -> Tails | None:
    try:
        return tails(slope_of(module))
    except RuntimeError:  # not differentiable: a step function
        return None
