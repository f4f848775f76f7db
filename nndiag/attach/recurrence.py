"""How a gradient travels through the time steps of a fused recurrent layer.

`nn.LSTM` and its like run all time steps in one call, so no hook sees between them. Once, at the
first training pass, the layer alone runs again on a few samples of its own input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import grad  # torch's own: a script's calls are watched
from torch.utils.hooks import RemovableHandle

from nndiag.probe.tracing import own_graph, traced

_SAMPLES = 8


class TimeProfiles:
    """Norms of the gradient of a layer's last output with respect to its input at each time step.

    Attributes:
        norms: name of the layer -> (T,) on the device.
    """

    def __init__(self, model: nn.Module) -> None:
        self.norms: dict[str, Tensor] = {}
        self._handles: dict[str, RemovableHandle] = {}
        for name, module in model.named_modules():
            if isinstance(module, nn.RNNBase):
                hook = self._hook(name)
                self._handles[name] = module.register_forward_hook(hook)

    def close(self) -> None:
        """Take the hooks off."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()

    def read(self) -> Mapping[str, np.ndarray]:
        """Return the norms on the host."""
        return {name: norms.double().cpu().numpy() for name, norms in self.norms.items()}

    def _hook(self, name: str) -> Any:
        def look(module: nn.RNNBase, args: tuple[Any, ...], output: Any) -> None:
            if traced() or not torch.is_grad_enabled():
                return
            x = args[0] if args else None
            if isinstance(x, Tensor) and x.ndim == 3 and x.is_floating_point():
                self.norms[name] = _profile(module, x)
            self._handles.pop(name).remove()

        return look


def _profile(module: nn.RNNBase, x: Tensor) -> Tensor:
    """Return (T,) norms; the layer's hooks and the random state are left alone."""
    batch = 0 if module.batch_first else 1
    few = x.detach().narrow(batch, 0, min(_SAMPLES, x.shape[batch])).clone().requires_grad_()
    with torch.random.fork_rng(), torch.enable_grad(), own_graph():
        out = type(module).forward(module, few)[0]
        last = out.select(1 - batch, -1)[..., : module.hidden_size]  # of the forward direction
        (gradient,) = grad(last.float().square().sum().sqrt(), few)
    return torch.linalg.vector_norm(gradient.float(), dim=(batch, 2))
