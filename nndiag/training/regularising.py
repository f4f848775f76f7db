"""What holds a member back in the engine: penalties of its weights, noise on its inputs.

Axes: M member, B sample of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from nndiag.training.members import Member


class Penalties:
    """l1 / N * sum over layers of the absolute weights + l2 / N * sum of their squares.

    The squares of a layer add up to its squared Frobenius norm. Weights are matrices and kernels:
    biases and scales are left alone, as is usual (Goodfellow et al. 2016, section 7.1).

    Args:
        members: with their own `l1` and `l2`.
        samples: N, the size of the training set.
        like: a tensor of the parameters' type, on their device.

    Attributes:
        any: whether some member has a penalty.
    """

    def __init__(self, members: Sequence[Member], samples: int, like: Tensor) -> None:
        l1, l2 = [member.l1 for member in members], [member.l2 for member in members]
        self.any = any(l1) or any(l2)
        self._l1 = like.new_tensor(l1) / samples if any(l1) else None
        self._l2 = like.new_tensor(l2) / samples if any(l2) else None

    def of(self, parameters: Iterable[Tensor]) -> Tensor:
        """Return the (M,) penalties of stacked parameters (M, ...)."""
        terms: list[Tensor] = []
        for weight in (p.flatten(1) for p in parameters if p.ndim > 2):
            if self._l1 is not None:
                terms.append(self._l1 * weight.abs().sum(1))
            if self._l2 is not None:
                terms.append(self._l2 * weight.square().sum(1))
        return torch.stack(terms).sum(0)


class InputNoise:
    """Gaussian noise on training inputs, of each member's own strength and from its own seed.

    For a small strength it acts like a penalty of the slope (Bishop 1995).

    Attributes:
        any: whether some member has noise.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._noisy = {place: member.noise for place, member in enumerate(members) if member.noise}
        self._draws = {
            place: torch.Generator().manual_seed(members[place].seed) for place in self._noisy
        }
        self.any = bool(self._noisy)

    def added(self, x: Tensor) -> Tensor:
        """Return inputs (M, B, ...) with the noise of a step."""
        x = x.clone()
        for place, strength in self._noisy.items():
            drawn = torch.randn(x.shape[1:], generator=self._draws[place], dtype=x.dtype)
            x[place] += strength * drawn.to(x.device)
        return x
