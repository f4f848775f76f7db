"""What a figure shows: panels of curves, bands and maps, described once for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve, or points.

    Attributes:
        low, high: edges of a 95 % interval, drawn as a band (as bars where there is no line).
        dashed: for theory and bounds.
        dots: points without a line.
        marker: place in `style.MARKERS`; None follows the colour.
        labels: a text beside each point.
        points: what the pointer says at each point, such as the name of a layer.
        colour: place in `style.COLOURS`; None is black.
        shown: at first; a reader can switch it on in a page.
    """

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    dots: bool = False
    marker: int | None = None
    labels: Sequence[str] = ()
    points: Sequence[str] = ()
    colour: int | None = 0
    shown: bool = True

    @property
    def shape(self) -> int:
        """The place of its marker."""
        return (self.colour or 0) if self.marker is None else self.marker

    @property
    def drawable(self) -> Line:
        """The points that are finite, with edges that are."""
        y = np.asarray(self.y, dtype=float)
        kept = np.isfinite(y) & np.isfinite(np.asarray(self.x, dtype=float))
        if kept.all() and self.low is None:
            return self

        def edge(values: Sequence[float] | None) -> Any:
            if values is None:
                return None
            ends = np.asarray(values, dtype=float)
            return np.where(np.isfinite(ends), ends, y)[kept]

        return replace(
            self.taken(np.flatnonzero(kept)),
            low=edge(self.low),
            high=edge(self.high),
        )

    @property
    def lost(self) -> list[float]:
        """The places of what is not finite."""
        y = np.asarray(self.y, dtype=float)
        return np.asarray(self.x, dtype=float)[~np.isfinite(y)].tolist()

    def taken(self, places: np.ndarray) -> Line:
        """Return the points at these places."""

        def pick(values: Sequence[Any]) -> list[Any]:
            return [values[place] for place in places] if len(values) else []

        return replace(
            self,
            x=np.asarray(self.x, dtype=float)[places].tolist(),
            y=np.asarray(self.y, dtype=float)[places].tolist(),
            low=None if self.low is None else pick(self.low),
            high=None if self.high is None else pick(self.high),
            labels=pick(self.labels),
            points=pick(self.points),
        )


@dataclass(frozen=True, kw_only=True)
class Heights:
    """A height over each point of a grid.

    Attributes:
        z: (rows of y, columns of x).
        border: z at this height is drawn as a line; None: evenly spaced contours.
    """

    x: Sequence[float]
    y: Sequence[float]
    z: Any
    border: float | None = None


@dataclass(frozen=True, kw_only=True)
class Heat:
    """A map of colours; where x are the steps of a training, a page also steps through it.

    Attributes:
        steps: (S,) along x; with `across` simply 1, 2, ...
        names: (L,) from the top.
        z: (S, L); what is not finite is left blank.
        unit: what z is.
        log: colours by decade.
        across: names of the places along x, where they are not steps.
        members: by name the same of each network that z is the mean of, (S', L) at
            `member_steps`, which are some of the steps.
    """

    steps: Sequence[float]
    names: Sequence[str]
    z: Any
    unit: str = ""
    log: bool = False
    across: Sequence[str] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    member_steps: Sequence[float] = ()

    @property
    def table(self) -> np.ndarray:
        """The (S, L) values, NaN where nothing can be drawn."""
        return self.drawable(self.z)

    def drawable(self, z: Any) -> np.ndarray:
        """Return the values of a table such as z, NaN where nothing can be drawn."""
        rows = [[np.nan if value is None else value for value in row] for row in z]
        table = np.asarray(rows, dtype=float)
        drawable = np.isfinite(table) & ((table > 0) | (not self.log))
        return np.where(drawable, table, np.nan)


@dataclass(frozen=True, kw_only=True)
class Strip:
    """How one layer's activations are distributed.

    Attributes:
        edges: (K + 1,) of the bins.
        density: (K,).
    """

    name: str
    index: float
    edges: Sequence[float]
    density: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system and what is in it.

    Attributes:
        ticks: names of the places 1, 2, ... where x is not a quantity.
        down: names of the places 1, 2, ... from the top where y is not a quantity; intervals
            then lie along x.
        whole: x counts something, such as layers.
        x_limits, y_limits: ends of the axes (default: what the lines need).
        usual: (low, high) of y in a healthy network, shaded.
        note: said in the middle of a panel that holds nothing.
    """

    title: str
    lines: Sequence[Line] = ()
    ticks: Sequence[str] = ()
    down: Sequence[str] = ()
    x_name: str = ""
    y_name: str = ""
    log_x: bool = False
    log_y: bool = False
    whole: bool = False
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    usual: tuple[float, float] | None = None
    heights: Heights | None = None
    heat: Heat | None = None
    strips: Sequence[Strip] = ()
    note: str = ""
