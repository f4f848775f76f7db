"""Signal propagation through a wide random network, layer by layer.

With weights of mean 0 and variance V_l, n_l = fan_in of layer l and z ~ N(0, 1) (Poole et al. 2016,
eq. 3; Schoenholz et al. 2017, eq. 7 to 9):

    q_{l+1} = n_{l+1} V_{l+1} E[phi(sqrt(q_l) z)^2] + b_{l+1}
    E|delta_l|^2 = E|delta_{l+1}|^2 n_{l+1} V_{l+1} E[phi'(sqrt(q_l) z)^2]

where q_l is the second moment of the pre-activations and delta_l the gradient with respect to
them. The recursion starts at the data's own second moment and never assumes the fixed point.
E[phi^2], not its variance, enters: the mean of sigmoid feeds q, and no correction is due for
gradients.

Layers are counted 1..D; arrays hold layer l at place l - 1. Everything that can leave the range of
a float is kept as a logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nndiag.locales import _
from nndiag.theory.activations import Function
from nndiag.theory.quadrature import gaussian_mean
from nndiag.theory.saturation import Tails

Array = np.ndarray

#: Product over layers of d log q_{l+1} / d log q_l above which samples of different norm end up
#: in different places, so that one q cannot describe the layer.
_UNSTABLE = 3.0
_NARROW = 32
#: Variance of log |delta|^2 over draws from which on the spread hides the mean: a factor 5 in norm.
_RANDOM = 10.0


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A fully connected network as theory sees it; arrays of length D.

    Attributes:
        fan_in: inputs of a unit.
        weight_variance, bias_variance: nominal variances.
        norm: `none`, `batch` or `layer`, before each hidden activation.
        keep: 1 - dropout probability (inverted dropout after each hidden activation).
    """

    fan_in: Array
    weight_variance: Array
    bias_variance: Array
    norm: str = "none"
    keep: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory expects; arrays over layers 1..D, input side first.

    Attributes:
        second_moment: q of the pre-activation that the activation sees.
        activation_mean, activation_std: of phi(z) over samples and units; the output layer's are
            those of its own z.
        saturated_fraction: share of hidden pre-activations in the saturated tails, (D - 1,); None
            without tails.
        log_chi: natural log of the factor of E|delta|^2 from layer l + 1 to layer l, (D - 1,).
        log_signal: log of |delta_l| relative to that of the output layer, (D,); 0 at the last.
        log_variance: variance of log |delta_l|^2 from one draw of the weights to the next, (D,).
        unreliable: a sentence saying why not to trust the numbers, None where they hold.
    """

    second_moment: Array
    activation_mean: Array
    activation_std: Array
    saturated_fraction: Array | None
    log_chi: Array
    log_signal: Array
    log_variance: Array
    unreliable: str | None = None


def bulk(hidden: int) -> slice:
    """Return which hidden layers a slope is fitted on: layers 3 to D - 2 where that leaves three.

    The first and last hidden layers see the data's and the output's width and are not typical
    (science: first step -0.11, last +0.13 decades for tanh at depth 20). D = hidden + 1.
    """
    return slice(2, hidden - 1) if hidden >= 6 else slice(0, hidden)


def decay_per_layer(norms: Array) -> float:
    """Return the factor by which `norms` changes a layer towards the input.

    Least squares on the logarithm; what is not positive and finite is left out.

    Args:
        norms: (L,) values, input side first.

    Returns:
        The factor (below 1: vanishing); NaN with fewer than two usable values.
    """
    norms = np.asarray(norms, dtype=float)
    usable = np.isfinite(norms) & (norms > 0)
    if usable.sum() < 2:
        return math.nan
    return math.exp(-fitted_slope(np.log(norms[usable]), np.flatnonzero(usable)))


def fitted_slope(values: Array, places: Array | None = None) -> float:
    """Return the least-squares slope of `values` over their places (default 0, 1, ...)."""
    x = np.arange(len(values), dtype=float) if places is None else places.astype(float)
    x = x - x.mean()
    return float((x * (values - values.mean())).sum() / (x**2).sum())


def propagate(
    layers: Layers, function: Function, input_second_moment: float, tails: Tails | None = None
) -> Prediction:
    """Run the recursion through the whole network.

    Args:
        input_second_moment: mean square of the network's inputs, over samples and features.
        tails: where the activation is saturated.
    """
    depth = len(layers.fan_in)
    q, mean, std, saturated = (np.zeros(depth) for _unused in range(4))
    scale = layers.fan_in * layers.weight_variance
    hidden = _Expectations(function)
    linear_moment = scale[0] * input_second_moment + layers.bias_variance[0]
    log_slope, log_sigma, stretch = np.zeros(depth), np.zeros(depth), 0.0
    kurtosis = np.zeros(depth)
    for place in range(depth - 1):
        # Normalised pre-activations are standard normal; their scale divides the gradient.
        q[place] = linear_moment if layers.norm == "none" else 1.0
        at = hidden.at(q[place])
        mean[place], std[place] = at.mean, math.sqrt(max(at.square - at.mean**2, 0.0))
        saturated[place] = share_in_tails(q[place], tails) if tails else 0.0
        log_slope[place] = _log(at.slope_square)
        log_sigma[place] = 0.0 if layers.norm == "none" else _log(linear_moment)
        kurtosis[place] = at.slope_fourth / at.slope_square**2 if at.slope_square else 1.0
        fed = at.square - at.mean**2 if layers.norm == "batch" else at.square
        linear_moment = scale[place + 1] * fed / layers.keep + layers.bias_variance[place + 1]
        if layers.norm == "none":
            stretch += _log(at.sensitivity * (1 - layers.bias_variance[place + 1] / linear_moment))
    q[-1] = linear_moment
    std[-1] = math.sqrt(linear_moment) if linear_moment >= 0 else math.nan
    log_chi = log_slope[:-1] + np.log(scale[1:] / layers.keep) - log_sigma[:-1]
    widths = layers.fan_in[1:]
    spread = (3 * kurtosis[:-1] / layers.keep - 1) / widths
    return Prediction(
        second_moment=q,
        activation_mean=mean,
        activation_std=std,
        saturated_fraction=saturated[:-1] if tails else None,
        log_chi=log_chi,
        log_signal=_from_output(0.5 * log_chi),
        log_variance=_from_output(spread),
        unreliable=_doubt(
            stretch, float(widths.min()) if depth > 1 else math.inf, float(np.sum(spread))
        ),
    )


def share_in_tails(second_moment: float, tails: Tails) -> float:
    """Return P(z < low or z > high) for z ~ N(0, q)."""
    if not second_moment > 0:
        return float(tails.low >= 0 or tails.high <= 0)
    root = math.sqrt(2 * second_moment)
    return 0.5 * math.erfc(-tails.low / root) + 0.5 * math.erfc(tails.high / root)


@dataclass(frozen=True, kw_only=True)
class _At:
    """Expectations at one q."""

    mean: float
    square: float
    slope_square: float
    slope_fourth: float
    sensitivity: float  # d log E[phi^2] / d log q


class _Expectations:
    """Gaussian expectations of one activation, remembered: deep nets sit at their fixed point."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._known: dict[float, _At] = {}

    def at(self, q: float) -> _At:
        if q not in self._known:
            self._known[q] = self._compute(q)
        return self._known[q]

    def _compute(self, q: float) -> _At:
        f = self._function
        square = gaussian_mean(f.squared, q)
        # d/dq E[phi^2] = E[phi phi' z] / sqrt(q), hence the log-derivative below.
        cross = gaussian_mean(lambda x: f.phi(x) * f.derivative(x) * x, q)
        return _At(
            mean=gaussian_mean(f.phi, q),
            square=square,
            slope_square=gaussian_mean(f.derivative_squared, q),
            slope_fourth=gaussian_mean(f.derivative_fourth, q),
            sensitivity=cross / square if square > 0 else 1.0,
        )


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _from_output(steps: Array) -> Array:
    """Return the running sum of (D - 1,) steps from the output towards the input, (D,)."""
    return np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])


def _doubt(log_stretch: float, width: float, log_variance: float) -> str | None:
    if log_stretch > math.log(_UNSTABLE):
        return _(
            "Theory is unreliable here: the second moment is unstable, samples of large norm grow "
            "while small ones die out, and no single value describes a layer."
        )
    if width < _NARROW:
        return _(
            "Theory is unreliable here: it describes wide layers, and {width:.0f} units are few."
        ).format(width=width)
    if log_variance > _RANDOM:
        return _(
            "Theory is unreliable here: the network is so deep for its width that one draw of the "
            "weights differs from the next by more than the trend (Hanin & Nica 2020)."
        )
    return None
