"""The singular values of a wide network's input-output Jacobian at initialisation.

Means of s^2 are the mean field's (`nndiag.theory.propagation`) and do not know how weights are
drawn; the spread does (Pennington, Schoenholz & Ganguli 2017), with the layers' own moments
in place of the fixed point's: S-transforms multiply, so their first corrections add up.
"""

from __future__ import annotations

import numpy as np

from nndiag.theory.activations import Function
from nndiag.theory.quadrature import gaussian_mean

Array = np.ndarray


def predicted_spread(function: Function, second_moments: Array, *, orthogonal: bool) -> Array:
    """Return Var[s^2] / E[s^2]^2 after 1, 2, ... layers of equal width.

    It is the sum over layers of mu_2 / mu_1^2 - 1 - s_1 with mu_k = E[phi'(sqrt(q_l) z)^(2k)],
    s_1 = -1 for Gaussian and 0 for orthogonal weights: linear orthogonal networks have none at any
    depth, Gaussian ones L after L layers.

    Args:
        second_moments: (L,) q of the pre-activations that each layer's activation sees.
        orthogonal: how weights are drawn; Gaussian otherwise.
    """
    moments, places = np.unique(second_moments, return_inverse=True)
    kurtosis = np.array(
        [
            gaussian_mean(function.derivative_fourth, q)
            / gaussian_mean(function.derivative_squared, q) ** 2
            for q in moments
        ]
    )[places]
    return np.cumsum(kurtosis - 1 if orthogonal else kurtosis)


def spread(singular_values: Array) -> Array:
    """Return Var[s^2] / E[s^2]^2 of singular values along the last axis; NaN where all are 0."""
    squares = _scaled_squares(singular_values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((squares**2).mean(-1) / squares.mean(-1) ** 2 - 1)


def directions(singular_values: Array) -> Array:
    """Return how many directions carry the signal: (sum s^2)^2 / sum s^4, between 1 and N.

    It is N / (1 + spread): all N for an isometry, 1 where one direction outgrew all others.
    """
    return np.asarray(singular_values.shape[-1] / (1 + spread(singular_values)))


def _scaled_squares(singular_values: Array) -> Array:
    """Return s^2 relative to the largest, so that no square leaves the range of a float."""
    largest = singular_values.max(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((singular_values / largest) ** 2)
