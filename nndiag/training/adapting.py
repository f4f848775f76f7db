"""Unsupervised adaptation of a trained network to another domain."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

_SHRINK = 1e-3  # share of the mean variance added to every variance


def adabn(model: nn.Module, target: Tensor) -> nn.Module:
    """Return a copy whose BatchNorm statistics are those of the target images (Li et al. 2017)."""
    adapted = copy.deepcopy(model)
    norms = [m for m in adapted.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    adapted.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for part in target.split(200):
            adapted(part)
    return adapted.eval()


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Return source features with the mean and covariance of the target's (Sun et al. 2016).

    Args:
        source: (N, F); target: (M, F).
    """
    wide_source, wide_target = source.double(), target.double()
    whitened = (wide_source - wide_source.mean(0)) @ _power(_covariance(wide_source), -0.5)
    return (whitened @ _power(_covariance(wide_target), 0.5) + wide_target.mean(0)).to(source.dtype)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(0)
    scale = centred.square().mean().clamp(min=1e-12)
    unit = torch.eye(features.shape[1], dtype=features.dtype)
    return centred.T @ centred / (len(features) - 1) + _SHRINK * scale * unit


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=1e-12) ** exponent) @ vectors.T
