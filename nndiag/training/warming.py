"""What a process does once before it trains on a CPU."""

from __future__ import annotations

from functools import cache

import torch

#: Where expm1 and log1p take their special values.
_EDGES = (-1e30, -200.0, -1.0, -0.0, 0.0, 1.0, 200.0, 1e30, float("inf"), -float("inf"))


@cache
def touch_constants() -> None:
    """Load the constants that expm1 and log1p need at the edges of their range.

    With AVX-512 they are loaded under a mask that is empty for ordinary numbers. While the page of
    such a constant has never been read, each of these loads costs some 600 cycles and, being
    masked out, does not bring the page in: elu, selu, celu and softplus are 10 to 15 times slower
    until a special value comes along.
    """
    for dtype in (torch.float32, torch.float64):
        edges = torch.tensor(_EDGES, dtype=dtype).repeat(8)
        torch.expm1(edges)
        torch.log1p(edges)
