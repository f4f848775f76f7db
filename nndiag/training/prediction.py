"""What theory expects of a network of ours at initialisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nndiag.datasets.splits import Splits
from nndiag.diagnosis.context import Context
from nndiag.locales import _
from nndiag.probe.activations import is_activation, slope_of, value_of
from nndiag.schema.result import Interval
from nndiag.schema.spec import NetworkSpec
from nndiag.theory import activations as functions
from nndiag.theory import depth_scale
from nndiag.theory.propagation import Layers, Prediction, bulk, fitted_slope, propagate
from nndiag.theory.saturation import tails
from nndiag.zoo import activations, initialisations


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """A prediction for one network, or the reason why there is none.

    Attributes:
        prediction: None where theory does not apply.
        reason: why it is absent or unreliable, empty where it holds.
        scale: depth scales of the hidden layers at their fixed point, None where undefined.
    """

    spec: NetworkSpec
    prediction: Prediction | None
    reason: str = ""
    scale: depth_scale.DepthScale | None = None

    @property
    def decay_per_layer(self) -> float:
        """Return the predicted factor a layer towards the input (NaN without a prediction)."""
        if self.prediction is None or len(self.prediction.log_signal) < 3:
            return math.nan
        hidden = self.prediction.log_signal[:-1]
        # In logarithms, as the signal itself may leave the range of a float.
        middle = hidden[bulk(len(hidden))]
        return math.exp(-fitted_slope(middle)) if np.isfinite(middle).all() else math.nan

    def summary(self) -> dict[str, Any]:
        """Return status, reason and depth scales."""
        if self.prediction is None:
            return {"status": "absent", "reason": self.reason}
        status = "unreliable" if self.reason else "reliable"
        found: dict[str, Any] = {"status": status, "reason": self.reason}
        if self.scale is not None:
            found |= {
                "chi": self.scale.chi,
                "fixed_point": self.scale.fixed_point,
                "depth_scale": self.scale.correlation,
                "gradient_depth_scale": self.scale.gradient,
                "trainable_depth": self.scale.trainable_depth,
            }
        return found

    def rows(self, output_norm: float, seeds: int) -> list[dict[str, Any]]:
        """Return `predicted_*` of each layer, the signal anchored at the measured output norm.

        The interval of `predicted_output_grad_norm` is where 95 % of the means over `seeds` draws
        of a network of this width fall for the signal of one sample (Hanin & Nica 2020); measured
        means over a batch stay well inside.
        """
        assert self.prediction is not None
        p = self.prediction
        rows = []
        for place in range(len(p.log_signal)):
            spread = _half_width(p.log_variance[place], seeds)
            centre = math.log(output_norm) + p.log_signal[place] if output_norm > 0 else -math.inf
            row: dict[str, Any] = {
                "predicted_output_grad_norm": _band(centre, spread),
                "predicted_activation_mean": _exactly(p.activation_mean[place]),
                "predicted_activation_std": _exactly(p.activation_std[place]),
            }
            if p.saturated_fraction is not None and place < len(p.saturated_fraction):
                row["predicted_saturated_fraction"] = _exactly(p.saturated_fraction[place])
            rows.append(row)
        return rows

    def scalars(self, seeds: int) -> dict[str, Interval]:
        """Return `predicted_grad_ratio` and `predicted_decay_per_layer`."""
        assert self.prediction is not None
        signal = self.prediction.log_signal
        if len(signal) < 3:
            return {}
        variance = self.prediction.log_variance
        spread = _half_width(variance[0] - variance[-2], seeds)
        return {
            "predicted_grad_ratio": _band(signal[0] - signal[-2], spread),
            "predicted_decay_per_layer": _exactly(self.decay_per_layer),
        }


def predict(spec: NetworkSpec, splits: Splits) -> Predicted:
    """Return what theory expects on this data, or why it has nothing to say."""
    layers, reason = _layers(spec, splits)
    function, reason = (None, reason) if layers is None else _function(spec.act)
    if layers is None or function is None:
        return Predicted(spec=spec, prediction=None, reason=reason)
    prediction = propagate(layers, function, second_moment(splits), tails(function.derivative))
    if not np.isfinite(prediction.log_signal).all():
        reason = _("No theory for {act} here: its slope is zero, or leaves the range of numbers.")
        return Predicted(spec=spec, prediction=None, reason=reason.format(act=spec.act))
    return Predicted(
        spec=spec,
        prediction=prediction,
        reason=prediction.unreliable or "",
        scale=_scale(spec, layers, function),
    )


def context(spec: NetworkSpec, predicted: Predicted | None) -> Context:
    """Return the facts that let a diagnosis explain what it sees in this network."""
    act = activations.parse(spec.act)
    known = functions.function(act.name, act.parameter)
    facts: dict[str, Any] = {}
    if predicted is not None and predicted.prediction is not None and spec.depth > 2:
        p = predicted.prediction
        middle = (spec.depth - 1) // 2
        scale = _hidden_scale(spec)
        if scale and spec.norm == "none":
            facts = {
                "weight_scale": math.sqrt(scale),
                "slope_rms": math.exp(0.5 * p.log_chi[middle]) / math.sqrt(scale),
            }
    if known is not None:
        grid = np.linspace(-12, 12, 4001)
        facts["slope_max"] = float(np.abs(known.derivative(grid)).max())
        facts["offset"] = float(known.phi(np.zeros(1))[0])
    return Context(norm=spec.norm, activation=spec.act, recurrent=spec.recurrent, **facts)


def second_moment(splits: Splits) -> float:
    """Return the mean square of the training inputs."""
    return float(np.square(splits.train.x, dtype=np.float64).mean())


def _layers(spec: NetworkSpec, splits: Splits) -> tuple[Layers | None, str]:
    """Return the network as theory sees it, or None and the reason why it cannot."""
    if spec.net != "mlp":
        return None, _(
            "No theory for {net}: the recursion is that of a fully connected net."
        ).format(net=spec.net)
    if spec.residual:
        return None, _(
            "No theory for residual networks here: the recursion is that of a plain stack."
        )
    init, act = initialisations.parse(spec.init), activations.parse(spec.act)
    hidden = spec.hidden
    fan_in, fan_out = [math.prod(splits.input_shape), *hidden], [*hidden, len(splits.classes)]
    variances = [
        initialisations.weight_variance(init, act, n, m)
        for n, m in zip(fan_in, fan_out, strict=True)
    ]
    if any(variance is None for variance in variances):
        return None, _(
            "No theory for {init}: it holds for independent weights of mean zero."
        ).format(init=spec.init)
    biases = [initialisations.bias_variance(init, n, spec.bias_std) for n in fan_in]
    layers = Layers(
        fan_in=np.array(fan_in, dtype=float),
        weight_variance=np.array(variances, dtype=float),
        bias_variance=np.array(biases),
        norm=spec.norm,
        keep=1 - spec.dropout,
        orthogonal=init.row.draw is initialisations.Draw.ORTHOGONAL,
    )
    return layers, ""


def _function(text: str) -> tuple[functions.Function | None, str]:
    """Return the activation, or None and the reason for one that is no function of a number."""
    act = activations.parse(text)
    known = functions.function(act.name, act.parameter)
    if known is not None:
        return known, ""
    module = act.build()
    refusal = _(
        "No theory for {act}: it is no differentiable function of one number without parameters."
    ).format(act=text)
    if not is_activation(module):
        return None, refusal
    known = functions.from_callables(text, value_of(module), slope_of(module))
    try:
        known.derivative(np.zeros(1))
    except RuntimeError:  # autograd finds no path: a step function
        return None, refusal
    return known, ""


def _hidden_scale(spec: NetworkSpec) -> float | None:
    """Return fan_in times the weight variance of a hidden layer (sigma_w^2)."""
    init, act = initialisations.parse(spec.init), activations.parse(spec.act)
    variance = initialisations.weight_variance(init, act, spec.width, spec.width)
    return None if variance is None else variance * spec.width


def _scale(
    spec: NetworkSpec, layers: Layers, function: functions.Function
) -> depth_scale.DepthScale | None:
    if spec.norm != "none" or spec.depth < 3 or spec.widths:
        return None
    scale = _hidden_scale(spec)
    if scale is None:
        return None
    return depth_scale.depth_scale(function, scale / layers.keep, float(layers.bias_variance[1]))


def _half_width(variance: float, seeds: int) -> float:
    """Return 1.96 standard errors of the mean of the log norm over seeds."""
    return 1.96 * 0.5 * math.sqrt(variance / seeds)


def _exactly(value: float) -> Interval:
    return Interval(float(value), float(value), float(value))


def _band(centre: float, half: float) -> Interval:
    return Interval(_exp(centre), _exp(centre - half), _exp(centre + half))


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 else math.inf
