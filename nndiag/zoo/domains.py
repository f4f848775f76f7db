"""Shifts of the domain that leave the class of an image alone: same task, other pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nndiag.zoo.registry import Registry

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True, kw_only=True)
class DomainRow:
    """One shift.

    Attributes:
        shift: from images (N, C, S, S) from 0 to 1 and a generator to shifted ones.
    """

    name: str
    shift: Callable[[Tensor, Generator], Tensor]


def _inverted(x: Tensor, generator: Generator) -> Tensor:
    return 1 - x


def _noisy(x: Tensor, generator: Generator) -> Tensor:
    import torch

    grey = torch.randn(x.shape[0], 1, *x.shape[2:], generator=generator)
    return (x + 0.35 * grey).clamp(0, 1)


def _rotated(x: Tensor, generator: Generator) -> Tensor:
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional

    angles = (torch.rand(len(x), generator=generator) * 2 - 1) * 40
    turned = [
        functional.rotate(image, float(angle), interpolation=InterpolationMode.BILINEAR)
        for image, angle in zip(x, angles, strict=True)
    ]
    return torch.stack(turned)


def _blurred(x: Tensor, generator: Generator) -> Tensor:
    from torchvision.transforms.v2 import functional

    size = 2 * (x.shape[-1] // 8) + 1
    return functional.gaussian_blur(x, [size, size], [x.shape[-1] / 12] * 2)


def _pale(x: Tensor, generator: Generator) -> Tensor:
    return 0.45 + 0.2 * x


DOMAINS = Registry(
    (
        DomainRow(name="inverted", shift=_inverted),
        DomainRow(name="noisy", shift=_noisy),
        DomainRow(name="rotated", shift=_rotated),
        DomainRow(name="blurred", shift=_blurred),
        DomainRow(name="pale", shift=_pale),
    )
)
