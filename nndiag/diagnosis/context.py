"""What a diagnosis may know beyond the trace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Context:
    """Facts of the network that explain a symptom; None where unknown.

    Attributes:
        slope_max: largest abs(phi') of the hidden activation (sigmoid: 1/4).
        slope_rms: root mean square of phi' over the hidden pre-activations, by theory.
        offset: phi(0) of the hidden activation (sigmoid: 1/2).
        weight_scale: standard deviation of a weight times sqrt(fan_in), hidden layers.
        norm: `none`, `batch` or `layer`.
        activation: name of the hidden activation.
        recurrent: the layers repeat through time, so the signal is read by time step.
    """

    slope_max: float | None = None
    slope_rms: float | None = None
    offset: float | None = None
    weight_scale: float | None = None
    norm: str = "none"
    activation: str | None = None
    recurrent: bool = False
