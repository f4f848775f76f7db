"""Hyperparameters beside the learning rate that `--tune full` tries; a table, no torch."""

from __future__ import annotations

from typing import Any

_MOMENTUM = [{"momentum": value} for value in (0.9, 0.5, 0.95)]
_BETAS = [{"betas": value} for value in ((0.9, 0.999), (0.9, 0.99), (0.8, 0.99))]
_GRIDS: dict[str, list[dict[str, Any]]] = {
    "momentum": _MOMENTUM,
    "nesterov": _MOMENTUM,
    "adagrad": [{"eps": value} for value in (1e-10, 1e-6)],
    "adadelta": [{"rho": value} for value in (0.9, 0.95)],
    "rmsprop": [{"alpha": 0.99}, {"alpha": 0.9}, {"momentum": 0.9}],
    "adam": _BETAS,
    "nadam": _BETAS,
    "radam": _BETAS,
    "adamax": _BETAS,
    "adamw": [{"weight_decay": value} for value in (0.01, 0.001)],
}


def variants(name: str) -> list[dict[str, Any]]:
    """Return the option sets to try for an optimizer, the textbook's first."""
    return _GRIDS.get(name, [{}])
