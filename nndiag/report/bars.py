"""Horizontal bars on one axis, with the theory's mark."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nndiag.report.glyphs import Glyphs

# A narrower axis would show the scatter of a healthy network as if it were a trend.
_LEAST_DECADES = 2


@dataclass(frozen=True)
class LogAxis:
    """Whole powers of ten from `low` to `high` (exponents)."""

    low: int
    high: int

    def place(self, value: float) -> float:
        """Return the position of a positive value between 0 and 1."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def title(self, width: int) -> str:
        """Return the limits at the two ends of `width` cells (one limit where both do not fit)."""
        low, high = f"1e{self.low}", f"1e{self.high}"
        return low + high.rjust(width - len(low)) if len(low + high) < width else low[:width]


@dataclass(frozen=True)
class LinearAxis:
    """From 0 to `high`."""

    high: float

    def place(self, value: float) -> float:
        """Return the position of a positive value between 0 and 1."""
        return min(1.0, value / self.high)


def log_axis(values: Iterable[float]) -> LogAxis | None:
    """Return the axis that holds every positive finite value, None when there is none."""
    logs = [math.log10(value) for value in values if math.isfinite(value) and value > 0]
    if not logs:
        return None
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return LogAxis(min(low, high - _LEAST_DECADES), high)


def bar(
    value: float | None,
    axis: LogAxis | LinearAxis | None,
    width: int,
    glyphs: Glyphs,
    mark: float | None = None,
) -> str:
    """Draw one bar, exactly `width` cells long.

    Args:
        value: what was measured; a non-finite number is written out, None leaves the bar empty.
        mark: what theory predicts, drawn over the bar.
    """
    if value is not None and not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "inf"
        return text[:width].ljust(width)
    cells = [" "] * width
    if axis is not None and value is not None and value > 0:
        cells = _filled(axis.place(value) * width, width, glyphs)
    if axis is not None and mark is not None and math.isfinite(mark) and mark > 0:
        cells[min(width - 1, int(axis.place(mark) * width))] = glyphs.mark
    return "".join(cells)


def _filled(length: float, width: int, glyphs: Glyphs) -> list[str]:
    whole, steps = int(length), len(glyphs.parts) + 1
    cells = [glyphs.full] * whole
    part = int((length - whole) * steps)
    if whole < width and part:
        cells.append(glyphs.parts[part - 1])
    if not cells and width:
        # The smallest value is still a value: an empty bar means "no such statistic".
        cells.append(glyphs.parts[0] if glyphs.parts else glyphs.full)
    return (cells + [" "] * width)[:width]
