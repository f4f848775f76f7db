"""What a network is trained to make small: by the kind of its targets.

Axes: M member, B sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the (M,) mean losses of outputs (M, B, K) at targets (M, B).

    Whole numbers are classes: cross-entropy. Real numbers are values to meet by the only output
    (K = 1): squared error.
    """
    if targets.is_floating_point():
        return (outputs[..., 0] - targets).square().mean(1)
    each = nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
    return each.view(targets.shape).mean(1)


def right(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return (M,) how many classes are answered right; NaN where there are no classes."""
    if targets.is_floating_point():
        return outputs.new_full(outputs.shape[:1], torch.nan)
    return (outputs.argmax(2) == targets).sum(1)
