"""The parts of a model's expected loss over training sets: bias, variance, noise.

Axes: M model (one a training set), P test point, K class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A loss and what it is made of, each (P,).

    Attributes:
        loss: computed directly from predictions and targets, not from the parts.
        bias: of squared error the squared bias.
    """

    loss: Array
    bias: Array
    variance: Array
    noise: Array


def squared(predictions: Array, truth: Array, noise: Array) -> Parts:
    """Return loss = variance + bias^2 + noise for squared error, exactly, at each test point.

    E (y - f_D)^2 = (E f_D - f)^2 + E (f_D - E f_D)^2 + E e^2 (Geman, Bienenstock & Doursat 1992,
    section 2.2). Each point is tested at f + e and at f - e, so that the mixed term cancels. The
    variance is the unbiased one; what it adds to the naive one is taken from the squared bias,
    which is then unbiased too (and can fall below 0 where it is small).

    Args:
        predictions: (M, P), M at least 2.
        truth: (P,) f without noise.
        noise: (P,) e.
    """
    mean = predictions.mean(axis=0)
    variance = predictions.var(axis=0, ddof=1)
    above, below = (predictions - truth - noise) ** 2, (predictions - truth + noise) ** 2
    return Parts(
        loss=((above + below) / 2).mean(axis=0),
        bias=(mean - truth) ** 2 - variance / len(predictions),
        variance=variance,
        noise=noise**2,
    )


def least_squares(
    train: Array, test: Array, truth_train: Array, truth: Array, sigma: float
) -> tuple[Array, Array]:
    """Return squared bias (P,) and variance (P,) of least squares over noise, in closed form.

    With y = f + sigma e on fixed inputs, the fit at a test point t is the linear map
    t (A^T A)^-1 A^T y: its mean is that of f, its variance sigma^2 |t (A^T A)^-1 A^T|^2.

    Args:
        train: (N, J) functions at the training inputs, of full column rank.
        test: (P, J) at the test inputs.
        truth_train, truth: (N,) and (P,) f there.
    """
    hat = test @ np.linalg.pinv(train)
    return (hat @ truth_train - truth) ** 2, sigma**2 * (hat**2).sum(axis=1)


def zero_one(answers: Array, truth: Array, classes: int, flipped: float) -> Parts:
    """Return the parts of the 0-1 loss of each test point (Domingos 2000).

    The main answer is the most frequent one over the models (ties: the lowest class); bias is 1
    where it is not the truth, variance the share of models that differ from it.
    E L = c1 N + B + c2 V with c1 = P(f = y*) - P(f != y*) P(f = t | f != y*, t != y*) and c2 = 1
    where the main answer is right, else -P(f = y* | f != main): on a biased point variance helps.

    Args:
        answers: (M, P) classes.
        truth: (P,) the best answer y*.
        flipped: share of labels t that are another class than y*, all others alike likely.

    Returns:
        The loss (by the probabilities of t, not by the parts), bias, variance, and the noise N.
    """
    shares = class_shares(answers, classes)
    places = np.arange(len(truth))
    targets = np.full((len(truth), classes), flipped / max(classes - 1, 1))
    targets[places, truth] = 1 - flipped
    main = shares.argmax(axis=1)
    return Parts(
        loss=1 - (shares * targets).sum(axis=1),
        bias=(main != truth).astype(float),
        variance=1 - shares[places, main],
        noise=np.full(len(truth), flipped),
    )


def factors(answers: Array, truth: Array, classes: int) -> tuple[Array, Array]:
    """Return c1 (P,) and c2 (P,) of `zero_one`."""
    shares = class_shares(answers, classes)
    places = np.arange(len(truth))
    main, right = shares.argmax(axis=1), shares[places, truth]
    differs = 1 - shares[places, main]
    unlucky = np.where(differs > 0, right / np.where(differs > 0, differs, 1), 0)
    return right - (1 - right) / max(classes - 1, 1), np.where(main == truth, 1.0, -unlucky)


def class_shares(answers: Array, classes: int) -> Array:
    """Return (P, K) the share of models with each answer."""
    return np.stack([(answers == k).mean(axis=0) for k in range(classes)], axis=1)
