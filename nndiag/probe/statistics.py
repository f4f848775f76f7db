"""Statistics of one tensor as 0-d tensors on its device: nothing here waits for the device.

Axes: B sample, U unit. A raw value (a sum, a norm, a count) leaves the device; means and ratios are
formed on the host, in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nndiag.theory.saturation import Tails

#: Entries of a sub-sample: the standard error of a fraction is at most 0.5 / sqrt(16384) = 0.4
#: percentage points, as entries are spread evenly over samples and units.
SAMPLE = 16_384


def wide(tensor: Tensor) -> torch.dtype:
    """Return the type in which sums of this tensor accumulate: float64 where the device has it."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def norm(tensor: Tensor, *, exact: bool) -> Tensor:
    """Return the Frobenius norm.

    Args:
        exact: accumulate in float64. A float32 norm is 0 below about 1e-23, where its squares
            underflow; it is right to 1e-6 from 1e-15 to 1e15.
    """
    if exact:
        return torch.linalg.vector_norm(tensor, dtype=wide(tensor))
    narrow = tensor.dtype in (torch.float16, torch.bfloat16)
    return torch.linalg.vector_norm(tensor, dtype=torch.float32 if narrow else None)


def sample(tensor: Tensor) -> Tensor:
    """Return about `SAMPLE` entries spread evenly over a large tensor, or all of a small one.

    The stride is odd, so that it visits all rows and columns of shapes that are powers of two.
    """
    stride = tensor.numel() // SAMPLE
    if stride < 2:
        return tensor.reshape(-1)
    return tensor.reshape(-1)[:: stride | 1]


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum and the norm, accumulated in float64."""
    values = values.to(wide(values))
    return values.sum(), torch.linalg.vector_norm(values)


def count_outside(values: Tensor, low: float, high: float) -> Tensor:
    """Return how many entries are at or below `low` or at or above `high`.

    Comparisons run in place on one float copy: a sum of floats is several times faster on a CPU
    than a sum of booleans.
    """
    total = wide(values)
    if low == -high:
        return values.abs().ge_(high).sum(dtype=total)
    if math.isinf(high):
        return values.clone().le_(low).sum(dtype=total)
    if math.isinf(low):
        return values.clone().ge_(high).sum(dtype=total)
    return values.clone().le_(low).add_(values.clone().ge_(high)).sum(dtype=total)


def alive(values: Tensor, unit_axis: int, tails: Tails) -> Tensor:
    """Return (U,) booleans: whether the unit's slope is non-zero on some sample."""
    axes = [axis for axis in range(values.ndim) if axis != unit_axis % values.ndim]
    if math.isinf(tails.flat_high):
        return values.amax(axes) > tails.flat_low
    if math.isinf(tails.flat_low):
        return values.amin(axes) < tails.flat_high
    inside = (values > tails.flat_low) & (values < tails.flat_high)
    return inside.movedim(unit_axis, 0).flatten(1).any(1)


def twins(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return the share of units whose weights and gradient both repeat those of the first unit.

    Args:
        weight, gradient: (U, ...), compared to a relative 1e-6 of the first unit's largest entry.
    """
    return (_repeats(weight) & _repeats(gradient)).double().mean()


def _repeats(matrix: Tensor) -> Tensor:
    rows = matrix.detach().flatten(1)
    return (rows - rows[0]).abs().amax(1) <= 1e-6 * rows[0].abs().amax()


def smallest_positive(dtype: torch.dtype) -> float:
    """Return the smallest number above 0 that arithmetic in this type can give, here and now.

    With denormals flushed it is the smallest normal number, else the smallest denormal.
    """
    tiny = torch.finfo(dtype).tiny
    denormal = torch.tensor(tiny, dtype=dtype) * 0.5
    if float(denormal) == 0.0:
        return tiny
    return float(torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps)
