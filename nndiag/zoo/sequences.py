"""How recurrent networks read data that is no sequence: pixel by pixel, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Images of at most so many pixels are read pixel by pixel, larger ones row by row.
PIXEL_BY_PIXEL_MAX = 64


def sequence_shape(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (time steps, features a step) of one sample.

    Args:
        input_shape: (features,) one feature a step; (steps, features) as it is; (channels,
            height, width) pixel by pixel up to `PIXEL_BY_PIXEL_MAX` pixels, else row by row.
    """
    if len(input_shape) == 1:
        return input_shape[0], 1
    if len(input_shape) == 2:
        return input_shape[0], input_shape[1]
    channels, height, width = input_shape
    if height * width <= PIXEL_BY_PIXEL_MAX:
        return height * width, channels
    return height, channels * width


def as_sequence(batch: torch.Tensor) -> torch.Tensor:
    """Return a batch (B, *input_shape) as (steps, B, features), read as `sequence_shape` says."""
    if batch.dim() == 2:
        return batch.T.unsqueeze(-1)
    if batch.dim() == 3:
        return batch.transpose(0, 1)
    if batch.shape[-2] * batch.shape[-1] <= PIXEL_BY_PIXEL_MAX:
        return batch.flatten(2).permute(2, 0, 1)
    return batch.permute(2, 0, 1, 3).flatten(2)
