"""Hanin 2018: how much the gradients of ReLU networks fluctuate is the sum of 1 / width."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed

_DRAWS = 800
_EQUAL, _WIDE = (32,) * 16, (64,) * 16
#: As many units and layers as `_EQUAL`.
_UNEVEN = (56, 8) * 8


def _measure(seed: int) -> Figures:
    generator = torch.Generator().manual_seed(seed)
    equal, wide, uneven = (_log_norms(w, generator) for w in (_EQUAL, _WIDE, _UNEVEN))
    return {
        "variance": float(equal.var()),
        "mean": float(equal.mean()),
        "variance_wide": float(wide.var()),
        "variance_uneven": float(uneven.var()),
    }


def _log_norms(widths: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return the log squared gradient norms at the input of He-initialised networks.

    The gradient is that of a random unit vector's product with the last hidden layer. A network
    that was born dead (3 % with layers of 8 units) has none and is left out.
    """
    x = torch.ones(_DRAWS, widths[0]).requires_grad_()
    hidden = x
    for into, out in zip(widths, (*widths[1:], widths[0]), strict=True):
        weights = torch.randn(_DRAWS, out, into, generator=generator) * math.sqrt(2 / into)
        hidden = torch.bmm(weights, hidden[..., None])[..., 0].relu()
    direction = torch.randn(_DRAWS, widths[0], generator=generator)
    unit = direction / direction.norm(dim=1, keepdim=True)
    (gradient,) = torch.autograd.grad((hidden * unit).sum(), x)
    squares = gradient.double().square().sum(1)
    return squares[squares > 0].log()


def _beta(widths: Sequence[int]) -> float:
    """Return 5 sum 1 / n: the variance of the log squared norm."""
    return 5 * sum(1 / width for width in widths)


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        0.9 <= figures["variance"] / _beta(_EQUAL) <= 1.35
        and 0.9 <= figures["variance_wide"] / _beta(_WIDE) <= 1.25
        and figures["variance_uneven"] >= 1.8 * figures["variance"]
        and abs(figures["mean"] / (-_beta(_EQUAL) / 2) - 1) <= 0.25
    )


CLAIM = Claim(
    name="hanin2018",
    paper="Hanin 2018, Which neural net architectures give rise to exploding and vanishing "
    "gradients?, arXiv:1801.03744; Hanin & Nica 2018, arXiv:1812.05994",
    says=to_translate(
        "How far gradients of random ReLU networks fluctuate is exponential in the sum of the "
        "reciprocals of the hidden widths, so that of equal numbers of units equal widths "
        "fluctuate least."
    ),
    published=to_translate(
        "The log of the squared norm is asymptotically normal with variance beta = 5 sum 1/n and "
        "mean -beta / 2."
    ),
    criterion=to_translate(
        "16 layers, 800 networks: variance of log |gradient|^2 over 5 sum 1/n 0.9 to 1.35 at "
        "width 32 and 0.9 to 1.25 at 64; mean within 25 %; widths 56 and 8 in turn at least 1.8 "
        "times the variance of width 32."
    ),
    figures=(
        Figure(
            name="variance",
            text=to_translate("width 32: variance of log |gradient|^2"),
            paper=_beta(_EQUAL),
        ),
        Figure(
            name="mean",
            text=to_translate("width 32: mean of log |gradient|^2"),
            paper=-_beta(_EQUAL) / 2,
        ),
        Figure(
            name="variance_wide",
            text=to_translate("width 64: variance"),
            paper=_beta(_WIDE),
        ),
        Figure(
            name="variance_uneven",
            text=to_translate("widths 56 and 8 in turn: variance"),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
