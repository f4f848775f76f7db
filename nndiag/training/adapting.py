"""Unsupervised adaptation of a trained network to another domain."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_AT_ONCE = 256  # images of one pass
_SHRINK = 1e-3  # share of the mean variance added to every variance
_DECAY = 1e-3  # of the head that is fitted anew


def norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the layers whose statistics belong to a domain."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]


def features(model: nn.Module, x: Tensor) -> Tensor:
    """Return what a network makes of images (N, 3, S, S) in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(_AT_ONCE)])


def adabn(model: nn.Module, target: Tensor) -> nn.Module:
    """Return a copy whose BatchNorm statistics are those of the target images (Li et al. 2017).

    Means and variances are pooled over all images, however many passes they take; within a pass a
    layer sees what the layers before it make of it with the statistics of that pass.

    Args:
        target: (N, 3, S, S), no labels.
    """
    adapted = copy.deepcopy(model).eval()
    pooled = {layer: _Moments() for layer in norms(adapted)}
    hooks = [
        layer.register_forward_pre_hook(partial(_look, moments))
        for layer, moments in pooled.items()
    ]
    for layer in pooled:
        layer.train()
    with torch.no_grad():
        for part in target.tensor_split(-(-len(target) // _AT_ONCE)):
            adapted(part)
        for layer, moments in pooled.items():
            moments.give(layer)
    for hook in hooks:
        hook.remove()
    return adapted.eval()


class _Moments:
    """Sums over all samples and places of a channel, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | float = 0.0
        self.square: Tensor | float = 0.0

    def see(self, x: Tensor) -> None:
        values = x.transpose(0, 1).flatten(1).double()
        self.count += values.shape[1]
        self.total = self.total + values.sum(1)
        self.square = self.square + values.square().sum(1)

    def give(self, layer: _BatchNorm) -> None:
        """Write mean and unbiased variance, as BatchNorm keeps them, into a layer."""
        mean = torch.as_tensor(self.total) / self.count
        variance = torch.as_tensor(self.square) / self.count - mean.square()
        layer.running_mean.copy_(mean)  # type: ignore[union-attr]
        layer.running_var.copy_(variance * (self.count / (self.count - 1)))  # type: ignore[union-attr]


def _look(moments: _Moments, _layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    moments.see(inputs[0])


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Return source features with the mean and covariance of the target's (Sun et al. 2016).

    The source is whitened and coloured anew. Both covariances are regularised by a thousandth of
    their mean variance, as there may be fewer images than features.

    Args:
        source: (N, F); target: (M, F).
    """
    ours, theirs = source.double(), target.double()
    white = (ours - ours.mean(0)) @ _power(_covariance(ours), -0.5)
    return (white @ _power(_covariance(theirs), 0.5) + theirs.mean(0)).to(source.dtype)


def _covariance(features: Tensor) -> Tensor:
    """Return the regularised covariance (F, F) of features (N, F)."""
    covariance = torch.cov(features.T)
    scale = covariance.diagonal().mean().clamp(min=1e-12)
    return covariance + _SHRINK * scale * torch.eye(len(covariance)).to(covariance)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=1e-12) ** exponent) @ vectors.T


def fitted(x: Tensor, y: Tensor, seed: int) -> nn.Linear:
    """Return a linear head fitted to features (N, F) and labels (N,) until it no longer changes."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = nn.Linear(x.shape[1], int(y.max()) + 1).to(x)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(x), y) + _DECAY * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head
