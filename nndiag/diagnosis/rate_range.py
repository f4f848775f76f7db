"""How wide a range of learning rates serves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Accuracy below the best that is as good.
NEAR = 0.02


def decades(rates: Sequence[float], scores: Sequence[float], bar: float) -> float:
    """Return the width of the range of rates whose score reaches the bar, 0 where none does.

    Args:
        rates: of a log grid, in order; each stands for a step of the grid.
        scores: one a rate.
    """
    places = np.log10(rates)
    near = places[np.asarray(scores) >= bar]
    if not near.size:
        return 0.0
    step = places[1] - places[0] if len(places) > 1 else 0.0
    return float(near.max() - near.min() + step)
