"""Statistics of one tensor as 0-d tensors on its device: nothing here waits for the device.

Axes: B sample, U unit. A raw value (a sum, a norm, a count) is written into a slot of
`nndiag.probe.buffer` and leaves the device from there; means and ratios are formed on the host, in
float64.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from nndiag.theory.saturation import Tails

#: Entries of a sub-sample. As they are spread evenly over samples and units, the standard error of
#: a fraction is at most 0.5 / sqrt(32768) = 0.28 percentage points: one point is 3.6 of these.
SAMPLE = 32_768
#: A smaller sub-sample saves no time: reading each second entry costs as much as reading all.
_LEAST_STRIDE = 8
#: float32 entries of a cache line.
_RUN = 16
#: From here on summing over positions first is the faster way to reduce a map to its channels.
_MANY_POSITIONS = 64


def wide(tensor: Tensor) -> torch.dtype:
    """Return float64 where the device has it."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def sum_type(tensor: Tensor, *, exact: bool) -> torch.dtype:
    """Return the type in which sums of this tensor accumulate.

    Args:
        exact: float64. A float32 norm is 0 below about 1e-23, where its squares underflow; it is
            right to 1e-6 from 1e-15 to 1e15.
    """
    if exact:
        return wide(tensor)
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype


def norm(tensor: Tensor, out: Tensor) -> None:
    """Write the Frobenius norm into `out`, accumulated in its type."""
    torch.linalg.vector_norm(tensor, dtype=out.dtype, out=out)


def entries(gradient: Tensor) -> Tensor:
    """Return the entries of a gradient; of a sparse one (of an embedding) those that are stored."""
    gradient = gradient.detach()
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def total(tensor: Tensor, out: Tensor) -> None:
    """Write the sum into `out`, accumulated in its type."""
    torch.sum(tensor, dim=(), dtype=out.dtype, out=out)


def sample(tensor: Tensor) -> Tensor:
    """Return about `SAMPLE` entries spread evenly over a large tensor, or all of a small one.

    The stride has no factor in common with any axis, so that every unit and every position gets
    its share.
    """
    step = stride(tensor.shape)
    return tensor.reshape(-1)[::step] if step > 1 else tensor


def sample_runs(tensor: Tensor) -> Tensor:
    """Return about `SAMPLE` entries of a large tensor as (runs, 16), or all of a small one.

    Runs of neighbours, spread evenly: of memory that is not in a cache, one entry costs as much as
    its whole line. Neighbours are alike in an activation, hence `sample` there; the square of a
    weight's change differs from entry to entry.
    """
    step = stride(tensor.shape)
    if step == 1:
        return tensor
    if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    flat = tensor.reshape(-1)
    apart = step * _RUN
    runs = (len(flat) - _RUN) // apart + 1
    return flat.as_strided((runs, _RUN), (apart, 1), flat.storage_offset())


@functools.lru_cache(maxsize=4096)
def stride(shape: tuple[int, ...]) -> int:
    """Return the distance between two sampled entries of a tensor, 1 for all entries."""
    step = math.prod(shape) // SAMPLE
    if step < _LEAST_STRIDE:
        return 1
    while any(math.gcd(step, length) > 1 for length in shape):
        step -= 1
    return step


def mark_outside(values: Tensor, low: float, high: float, out: Tensor) -> None:
    """Write 1.0 where an entry is at or below `low` or at or above `high`, else 0.0.

    A sum of floats is several times faster on a CPU than a sum of booleans.
    """
    if low == -high:
        torch.abs(values, out=out).ge_(high)
    elif math.isinf(high):
        torch.le(values, low, out=out)
    elif math.isinf(low):
        torch.ge(values, high, out=out)
    else:
        torch.le(values, low, out=out).add_((values >= high).to(out.dtype))


def alive(values: Tensor, unit_axis: int, tails: Tails) -> Tensor:
    """Return (U,) booleans: whether the unit's slope is non-zero on some sample."""
    if math.isinf(tails.flat_high):
        return _extreme(values, unit_axis, largest=True) > tails.flat_low
    if math.isinf(tails.flat_low):
        return _extreme(values, unit_axis, largest=False) < tails.flat_high
    inside = (values > tails.flat_low) & (values < tails.flat_high)
    return inside.movedim(unit_axis, 0).flatten(1).any(1)


def all_on_host(flags: Tensor) -> bool:
    """Return whether all are true; False, unseen, where that would be waiting for a device."""
    return flags.device.type == "cpu" and bool(flags.all())


def _extreme(values: Tensor, unit_axis: int, *, largest: bool) -> Tensor:
    """Return (U,) largest or smallest entries."""
    reduce = torch.amax if largest else torch.amin
    axis = unit_axis % values.ndim
    if axis == values.ndim - 1:
        return reduce(values.reshape(-1, values.shape[-1]), 0)
    units = values.movedim(axis, 1) if axis != 1 else values
    maps = units.flatten(2)
    if maps.shape[2] >= _MANY_POSITIONS:
        return reduce(reduce(maps, 2), 0)
    return reduce(reduce(maps, 0), 1)


def twins(weight: Tensor, gradient: Tensor, blocks: int = 1) -> Tensor:
    """Return the share of units whose weights and gradient both repeat those of the first unit.

    Args:
        weight, gradient: (blocks * U, ...), compared to a relative 1e-6 of the first unit's
            largest entry.
        blocks: a unit has one row in each of so many blocks of rows (the gates of a cell).
    """
    same = _repeats(weight, blocks) & _repeats(gradient, blocks)
    return same.to(wide(weight)).mean()


def twins_either_way(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return `twins` of the rows or of the columns, whichever is more; one alone is no twin.

    Args:
        weight, gradient: a matrix (units one way or the other), or a kernel (U, ...).
    """
    by_row = twins(weight, gradient)
    if weight.ndim != 2:
        return by_row
    by_column = twins(weight.mT, gradient.mT)
    if len(weight) == 1:
        return by_column
    return by_row if weight.shape[1] == 1 else torch.maximum(by_row, by_column)


def _repeats(matrix: Tensor, blocks: int) -> Tensor:
    rows = matrix.detach().flatten(1)
    rows = rows.unflatten(0, (blocks, -1)).transpose(0, 1).flatten(1)
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
