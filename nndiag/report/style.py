"""How figures look, in one place: colours, marks, dashes, sizes."""

from __future__ import annotations

# Okabe & Ito 2008: told apart by every kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
)
#: In the order in which curves take them.
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
#: Shapes tell the curves of a panel apart where colours do not.
MARKERS = "osDv^P"
#: Dashes of the first six curves, the next six, ...; evenly dashed is what theory expects.
DASHES = ("-", "-.", ":")
THEORY_DASH = (0, (4, 2))
#: Colour maps: steps of one lightness, the same for every kind of colour vision.
HEAT, GROUND, DENSITY = "cividis", "Greys", "Blues"
PANEL_INCHES = (5.4, 3.7)
GRID_ALPHA, BAND_ALPHA = 0.25, 0.22
#: More marks on a curve are a smear.
MOST_MARKERS = 40


def colour(place: int | None) -> str:
    """Return the colour of the curve at a place; None is the ink of the text."""
    return "black" if place is None else COLOURS[place % len(COLOURS)]


def dash(place: int | None) -> int:
    """Return the place in DASHES of a curve: colours repeat, dashes then tell them apart."""
    return 0 if place is None else place // len(COLOURS) % len(DASHES)
