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
from dataclasses import dataclass, replace

import numpy as np

from nndiag.locales import _
from nndiag.theory.activations import Function
from nndiag.theory.quadrature import gaussian_mean
from nndiag.theory.saturation import Tails

Array = np.ndarray

#: Product over layers of d log q_{l+1} / d log q_l above which samples of different norm end up
#: in different places, so that one q cannot describe the layer.
_UNSTABLE = 2.0
_NARROW = 32
#: Variance of log |delta|^2 over draws from which on the spread hides the mean: a factor 5 in norm.
_RANDOM = 10.0
#: Natural logarithm of the second moment up to which expectations are computed: 1e60.
_FAR = 138.0


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A fully connected network as theory sees it; arrays of length D.

    Attributes:
        fan_in: inputs of a unit.
        weight_variance, bias_variance: nominal variances.
        norm: `none`, `batch` or `layer`, before each hidden activation.
        keep: 1 - dropout probability (inverted dropout after each hidden activation).
        orthogonal: whether weight matrices are orthogonal times a gain instead of independent
            entries: the same means, less spread.
    """

    fan_in: Array
    weight_variance: Array
    bias_variance: Array
    norm: str = "none"
    keep: float = 1.0
    orthogonal: bool = False


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
        log_variance: variance of log |delta_l|^2 of one sample from one draw of the weights to the
            next, (D,); the mean square over a batch of different samples varies less.
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
    with np.errstate(over="ignore", invalid="ignore"):
        moments, seen, log_sigma, stretch = _forward(layers, function, input_second_moment)
    slope = np.array([at.log_slope_square for at in seen])
    kurtosis = np.array([at.slope_kurtosis for at in seen])
    scale = layers.fan_in[1:] * layers.weight_variance[1:]
    log_chi = slope + np.log(scale / layers.keep) - log_sigma
    # n Var(log |W^T delta|^2) is 2 for Gaussian W and 0 for orthogonal W, plus what phi' adds.
    spread = (3 * kurtosis / layers.keep - (3 if layers.orthogonal else 1)) / layers.fan_in[1:]
    return Prediction(
        second_moment=np.array([_exp(moment) for moment in moments]),
        activation_mean=np.array([*(at.mean for at in seen), 0.0]),
        activation_std=np.array([*(at.std for at in seen), _exp(0.5 * moments[-1])]),
        saturated_fraction=(
            np.array([share_in_tails(_exp(moment), tails) for moment in moments[:-1]])
            if tails
            else None
        ),
        log_chi=log_chi,
        log_signal=_from_output(0.5 * log_chi),
        log_variance=_from_output(spread),
        unreliable=_doubt(layers, stretch, float(spread.sum())) if depth > 1 else None,
    )


def _forward(
    layers: Layers, function: Function, input_second_moment: float
) -> tuple[list[float], list[_At], Array, float]:
    """Return log q of each layer, expectations, log of what a norm divides by, and the stretch.

    The stretch is the largest log of d log q_l / d log q_1: how far apart layers drive samples of
    different norm.
    """
    scale = np.log(layers.fan_in * layers.weight_variance)
    bias = [_log(variance) for variance in layers.bias_variance]
    expectations = _Expectations(function)
    log_moment = float(np.logaddexp(scale[0] + _log(input_second_moment), bias[0]))
    moments: list[float] = []
    seen: list[_At] = []
    log_sigma = np.zeros(len(scale) - 1)
    stretch = furthest = 0.0
    for place in range(len(scale) - 1):
        if layers.norm != "none":
            # Normalised pre-activations are standard normal; their scale divides the gradient.
            log_sigma[place], log_moment = log_moment, 0.0
        at = expectations.at(log_moment)
        moments.append(log_moment)
        seen.append(at)
        hidden = place + 1 < len(scale) - 1
        fed = scale[place + 1] + _fed(at, layers, centred=hidden and layers.norm == "batch")
        shift = bias[place + 1] if not (hidden and layers.norm == "batch") else -math.inf
        log_moment = float(np.logaddexp(fed, shift))
        stretch += _log(at.sensitivity) + fed - log_moment
        furthest = max(furthest, stretch)
    return [*moments, log_moment], seen, log_sigma, furthest if layers.norm == "none" else 0.0


def _fed(at: _At, layers: Layers, *, centred: bool) -> float:
    """Return the log of the second moment that a layer is fed, after dropout.

    A batch norm behind it subtracts its mean (and biases with it), but not dropout's noise.
    """
    log_square = at.log_square - math.log(layers.keep)
    if not centred:
        return log_square
    return log_square + _log(1 - layers.keep * math.exp(2 * _log(abs(at.mean)) - at.log_square))


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
    std: float
    log_square: float
    log_slope_square: float
    slope_kurtosis: float  # E[phi'^4] / E[phi'^2]^2
    sensitivity: float  # d log E[phi^2] / d log q


class _Expectations:
    """Gaussian expectations of one activation, remembered: deep nets sit at their fixed point."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._known: dict[float, _At] = {}

    def at(self, log_moment: float) -> _At:
        # Further out every activation is a power, as far as a float can tell.
        near = float(np.clip(log_moment, -_FAR, _FAR))
        if near not in self._known:
            self._known[near] = self._compute(math.exp(near))
        found = self._known[near]
        if near == log_moment or abs(found.sensitivity) < 1e-6:
            return found
        power = found.sensitivity * (log_moment - near)
        return replace(
            found,
            mean=found.mean * _exp(0.5 * power),
            std=found.std * _exp(0.5 * power),
            log_square=found.log_square + power,
        )

    def _compute(self, q: float) -> _At:
        f = self._function
        square, mean = gaussian_mean(f.squared, q), gaussian_mean(f.phi, q)
        # d/dq E[phi^2] = E[phi phi' z] / sqrt(q), hence the log-derivative below.
        cross = gaussian_mean(lambda x: f.phi(x) * f.derivative(x) * x, q)
        slope_square = gaussian_mean(f.derivative_squared, q)
        fourth = gaussian_mean(f.derivative_fourth, q)
        return _At(
            mean=mean,
            std=math.sqrt(max(square - mean**2, 0.0)),
            log_square=_log(square),
            log_slope_square=_log(slope_square),
            slope_kurtosis=fourth / slope_square**2 if slope_square > 0 else 1.0,
            sensitivity=cross / square if square > 0 else 1.0,
        )


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 or math.isnan(value) else math.inf


def _from_output(steps: Array) -> Array:
    """Return the running sum of (D - 1,) steps from the output towards the input, (D,)."""
    return np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])


def _doubt(layers: Layers, stretch: float, log_variance: float) -> str | None:
    width = float(layers.fan_in[1:].min())
    if not stretch <= math.log(_UNSTABLE):
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
