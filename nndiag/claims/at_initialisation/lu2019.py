"""Lu et al. 2019: deep and narrow ReLU networks are born dead."""

from __future__ import annotations

import torch

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed

_DRAWS = 20_000
#: Layers and width of networks with one input.
_SHAPES = {"narrow": (10, 2), "deep": (20, 3), "deeper": (50, 5), "wide": (30, 8)}
#: Standard errors by which a share may pass a bound.
_SLACK = 3.0


def _measure(seed: int) -> Figures:
    generator = torch.Generator().manual_seed(seed)
    return {name: _dead(layers, width, generator) for name, (layers, width) in _SHAPES.items()}


def _dead(layers: int, width: int, generator: torch.Generator) -> float:
    """Return the share of networks whose hidden units are all 0 somewhere, for every input.

    Biases are zero, so that inputs 1 and -1 stand for all; the scale of the weights is free.
    """
    hidden = torch.tensor([[1.0, -1.0]]).expand(_DRAWS, 1, 2)
    for _layer in range(layers - 1):
        weights = torch.randn(_DRAWS, width, hidden.shape[1], generator=generator)
        hidden = torch.bmm(weights, hidden).relu()
        hidden = hidden / hidden.amax((1, 2), keepdim=True).clamp(min=1e-30)
    return float((hidden == 0).all(2).all(1).double().mean())


def bounds(layers: int, width: int) -> tuple[float, float]:
    """Return the least and the greatest probability of being born dead."""
    half = 2.0**-width
    one = 1 - half
    two = 1 - 2 * half - (width - 1) * half**2
    share = (1 - 2 * half) * (1 - half) / (1 + (width - 1) * half)
    least = 1 - one ** (layers - 2) + share * (two ** (layers - 2) - one ** (layers - 2))
    return least, 1 - one ** (layers - 1)


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    for name, shape in _SHAPES.items():
        share, (least, most) = figures[name], bounds(*shape)
        slack = _SLACK * (max(share * (1 - share), 1e-9) / _DRAWS) ** 0.5
        if not least - slack <= share <= most + slack:
            return False
    return True


CLAIM = Claim(
    name="lu2019",
    paper="Lu, Shin, Su & Karniadakis 2019, Dying ReLU and initialization, arXiv:1903.06733",
    says=to_translate(
        "A ReLU network is born dead with a probability that goes to 1 with depth, between two "
        "bounds in closed form."
    ),
    published=to_translate("Bounds in closed form, for one input and zero biases."),
    criterion=to_translate(
        "20000 draws of (layers, width) = (10, 2), (20, 3), (50, 5), (30, 8): the share of dead "
        "networks between the bounds, give or take three standard errors."
    ),
    figures=(
        Figure(
            name="narrow",
            text=to_translate("10 layers of width 2: share born dead (0.870 to 0.925)"),
        ),
        Figure(
            name="deep",
            text=to_translate("20 layers of width 3: share born dead (0.864 to 0.921)"),
        ),
        Figure(
            name="deeper",
            text=to_translate("50 layers of width 5: share born dead (0.636 to 0.789)"),
        ),
        Figure(
            name="wide",
            text=to_translate("30 layers of width 8: share born dead (0.012 to 0.107)"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
