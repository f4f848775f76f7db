"""The range of learning rates that serves."""

from __future__ import annotations

import pytest

from nndiag.diagnosis.rate_range import decades

RATES = [0.001, 0.01, 0.1, 1.0]


@pytest.mark.parametrize(
    ("rates", "scores", "bar", "width"),
    [
        (RATES, [0.1, 0.9, 0.9, 0.2], 0.88, 2.0),
        (RATES, [0.9, 0.1, 0.9, 0.2], 0.88, 3.0),  # from the first to the last
        (RATES, [0.1, 0.9, 0.5, 0.2], 0.9, 1.0),
        (RATES, [0.1, 0.2, 0.3, 0.4], 0.9, 0.0),
        ([0.1], [0.9], 0.5, 0.0),
    ],
)
def test_width_in_decades(
    rates: list[float], scores: list[float], bar: float, width: float
) -> None:
    assert decades(rates, scores, bar) == pytest.approx(width)
