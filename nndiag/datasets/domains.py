"""Domain shifts: the same images as another camera would have taken them.

Transductive transfer knows labels on the images as they are and none on the shifted ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from nndiag.datasets import image_sources
from nndiag.datasets.catalogue import VISION
from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec_transfer import ImageDataSpec

if TYPE_CHECKING:
    from torch import Generator, Tensor

_OPTION = "--domains"
_NO_BLUR = 0.1  # pixels: the neighbours' weight is e^-50


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A row of `SHIFTS`.

    Attributes:
        usual: strength without a number; least, most: accepted strengths.
        apply: images (N, C, S, S) from 0 to 1, strength and random numbers to shifted images, which
            are clipped to 0..1 afterwards.
    """

    usual: float
    least: float = 0.0
    most: float
    apply: Callable[[Tensor, float, Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A shift with its strength; printed as it is typed."""

    name: str
    strength: float

    def __str__(self) -> str:
        return f"{self.name}:{self.strength:g}"


def usual(data: str) -> tuple[str, ...]:
    """Return the domains to try where nobody chose any: every shift, for MNIST the digits too."""
    return (*SHIFTS, "digits") if data == "mnist" else tuple(SHIFTS)


def find(text: str, option: str = _OPTION) -> Domain | str:
    """Return a shift, or the name of other images (`digits`, `mnist`, `folder:PATH`).

    Raises:
        UsageError: as `parse`.
        DataError: no such folder.
    """
    if text in ("digits", *VISION) or text.startswith(image_sources.FOLDER):
        image_sources.check(ImageDataSpec(name=text))
        return text
    return parse(text, option)


def parse(text: str, option: str = _OPTION) -> Domain:
    """Return the domain that `name` or `name:strength` says.

    Raises:
        UsageError: unknown name, or a strength that is no number or out of range.
    """
    name, colon, number = text.partition(":")
    if name not in SHIFTS:
        raise unknown_name(option, name, (*SHIFTS, "digits", *VISION), also="folder:PATH")
    shift = SHIFTS[name]
    try:
        strength = float(number) if colon else shift.usual
    except ValueError:
        strength = math.nan
    if not shift.least <= strength <= shift.most:
        raise UsageError(
            _("{option}: got '{text}'; accepted: {name}:{least:g} to {name}:{most:g}").format(
                option=option, text=text, name=name, least=shift.least, most=shift.most
            )
        )
    return Domain(name=name, strength=strength)


def shifted(x: Tensor, domain: Domain, *, seed: int = 0) -> Tensor:
    """Return images of another domain; those given stay as they are.

    Args:
        x: (N, C, S, S) from 0 to 1, on any device.
        seed: of the noise, which is the same on every device.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    return SHIFTS[domain.name].apply(x, domain.strength, generator).clamp(0, 1)


def _inverted(x: Tensor, strength: float, _generator: Generator) -> Tensor:
    return x + strength * (1 - 2 * x)


def _noisy(x: Tensor, strength: float, generator: Generator) -> Tensor:
    import torch

    return x + strength * torch.randn(x.shape, generator=generator).to(x)


def _rotated(x: Tensor, strength: float, _generator: Generator) -> Tensor:
    """Turn every image to the left; what comes in from outside repeats the border."""
    from torch.nn import functional as nf

    cosine, sine = math.cos(math.radians(strength)), math.sin(math.radians(strength))
    turn = x.new_tensor([[cosine, -sine, 0], [sine, cosine, 0]]).expand(len(x), 2, 3)
    grid = nf.affine_grid(turn, list(x.shape), align_corners=False)
    return nf.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _blurred(x: Tensor, strength: float, _generator: Generator) -> Tensor:
    """Convolve with a Gaussian, a direction at a time."""
    import torch
    from torch.nn import functional as nf

    deviation = strength / 100 * x.shape[-1]
    reach = min(math.ceil(3 * deviation), x.shape[-1] - 1)
    if deviation < _NO_BLUR:
        return x
    place = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-0.5 * (place / deviation) ** 2)
    kernel = (weights / weights.sum()).view(1, 1, -1, 1)
    flat = x.flatten(0, 1)[:, None]
    down = nf.conv2d(nf.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel)
    across = nf.conv2d(nf.pad(down, (reach, reach, 0, 0), mode="replicate"), kernel.mT)
    return across.view(x.shape)


def _contrast(x: Tensor, strength: float, _generator: Generator) -> Tensor:
    """Bring levels closer to (below 1) or further from (above 1) the mean of their image."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + strength * (x - mean)


#: Every domain shift by name. Strengths: share of the way to the negative; deviation of Gaussian
#: noise; degrees to the left; deviation of a Gaussian in per cent of the side; factor of contrast.
SHIFTS: Mapping[str, Shift] = MappingProxyType(
    {
        "inverted": Shift(usual=1.0, most=1.0, apply=_inverted),
        "noisy": Shift(usual=0.2, most=10.0, apply=_noisy),
        "rotated": Shift(usual=30.0, least=-180.0, most=180.0, apply=_rotated),
        "blurred": Shift(usual=8.0, most=100.0, apply=_blurred),
        "contrast": Shift(usual=0.3, most=10.0, apply=_contrast),
    }
)
