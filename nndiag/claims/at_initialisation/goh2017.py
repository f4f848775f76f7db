"""Goh 2017: what momentum does on a quadratic, and where it stops to converge."""

from __future__ import annotations

import math

import torch

from nndiag.locales import to_translate
from nndiag.schema.claim import Claim, Figure, Figures, each_seed

_CONDITION, _SIZE, _STEPS = 100.0, 50, 400
_BETAS = (0.0, 0.5, 0.9)
_ROOT = math.sqrt(_CONDITION)
#: Contraction a step with the best constants: (k - 1) / (k + 1) and (sqrt k - 1) / (sqrt k + 1).
_PLAIN = (_CONDITION - 1) / (_CONDITION + 1)
_MOMENTUM = (_ROOT - 1) / (_ROOT + 1)


def _measure(seed: int) -> Figures:
    beta = _MOMENTUM**2
    rate = (2 / (1 + _ROOT)) ** 2 * _CONDITION  # in units of 1 / largest curvature
    flips = [_stops_at_the_limit(beta, seed) for beta in _BETAS]
    return {
        "plain_rate": _contraction(2 * _CONDITION / (_CONDITION + 1), 0.0, seed),
        "momentum_rate": _contraction(rate, beta, seed),
        "flips": float(sum(flips)),
    }


def _stops_at_the_limit(beta: float, seed: int) -> bool:
    """Whether a rate 1 % below 2 + 2 beta converges and one 1 % above diverges."""
    below, above = (_contraction(share * (2 + 2 * beta), beta, seed) for share in (0.99, 1.01))
    return below < 1 < above


def _contraction(rate: float, beta: float, seed: int) -> float:
    """Return the factor of the error a step, over the second half of the steps.

    Args:
        rate: step size times the largest curvature.
    """
    curvatures = torch.logspace(-math.log10(_CONDITION), 0, _SIZE, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    point = torch.randn(_SIZE, generator=generator, dtype=torch.float64).requires_grad_()
    descent = torch.optim.SGD([point], lr=rate, momentum=beta)
    errors = []
    for _step in range(_STEPS):
        point.grad = (curvatures * point).detach()
        descent.step()
        errors.append(float(point.detach().norm()))
    half = _STEPS // 2
    return (errors[-1] / errors[half - 1]) ** (1 / (_STEPS - half))


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        abs(figures["plain_rate"] / _PLAIN - 1) <= 0.005
        and abs(figures["momentum_rate"] / _MOMENTUM - 1) <= 0.02
        and figures["flips"] == len(_BETAS)
    )


CLAIM = Claim(
    name="goh2017",
    paper="Goh 2017, Why momentum really works, Distill, doi:10.23915/distill.00006",
    says=to_translate(
        "On a quadratic of condition k momentum contracts by (sqrt k - 1) / (sqrt k + 1) a step "
        "where gradient descent needs (k - 1) / (k + 1), and converges up to a rate of "
        "(2 + 2 beta) / curvature."
    ),
    published=to_translate("Closed forms of the eigenvalues of the iteration."),
    criterion=to_translate(
        "50 dimensions, k = 100: rates within 0.5 % and 2 %; 1 % below the limit converges and "
        "1 % above diverges for beta = 0, 0.5 and 0.9."
    ),
    figures=(
        Figure(
            name="momentum_rate",
            text=to_translate("momentum: factor of the error a step"),
            paper=_MOMENTUM,
        ),
        Figure(
            name="plain_rate",
            text=to_translate("gradient descent: factor of the error a step"),
            paper=_PLAIN,
        ),
        Figure(
            name="flips",
            text=to_translate("values of beta whose limit is where theory says"),
            paper=float(len(_BETAS)),
        ),
    ),
    measure=each_seed(_measure),
    holds=holds,
)
