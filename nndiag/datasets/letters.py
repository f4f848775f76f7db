"""The source task of transfer learning without a network: letters, drawn and distorted.

Each image is a glyph of Pillow's own font under a random affine map, reduced to a few pixels a side
and enlarged again, so that it resembles small scanned digits without showing any.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as nf

if TYPE_CHECKING:
    from PIL.Image import Image

#: Letters whose capital looks like the small one, up to size; l looks like I.
_TWINS = {letter.upper(): letter for letter in "cosuvwxz"} | {"l": "I"}
_CANVAS = 40
_SIZES = (22, 26, 30)


def classes() -> tuple[str, ...]:
    """Return the names of the classes: 52 letters less those that look like another."""
    return tuple(letter for letter in string.ascii_letters if letter not in _TWINS)


class Letters:
    """An endless stream of labelled images; the same seed gives the same stream.

    Args:
        image_size: side of the images, in pixels.
        low: side that they are reduced to before they are enlarged.
    """

    def __init__(self, *, image_size: int, low: int = 8, seed: int = 0) -> None:
        self._size, self._low = image_size, low
        self._random = torch.Generator().manual_seed(seed)
        self._glyphs, self._labels = _glyphs()

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the next images, (N, 3, S, S) from 0 to 1, and labels, (N,)."""
        chosen = torch.randint(len(self._glyphs), (count,), generator=self._random)
        drawn = self._moved(self._glyphs[chosen])
        reduced = nf.adaptive_avg_pool2d(drawn, self._low)
        peak = reduced.amax((2, 3), keepdim=True).clamp(min=0.2)
        strength = 0.7 + 0.3 * self._uniform(count, 1, 1, 1)
        noise = 0.04 * torch.randn(reduced.shape, generator=self._random)
        reduced = (reduced / peak * strength + noise).clamp(0, 1)
        return enlarged(reduced, self._size), self._labels[chosen]

    def batches(self, count: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `count` batches of `size` images."""
        for _batch in range(count):
            yield self.batch(size)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._random)

    def _moved(self, glyphs: Tensor) -> Tensor:
        """Rotate, shear, scale and shift each glyph by its own random amounts."""
        count = len(glyphs)
        angle = (self._uniform(count) - 0.5) * 0.7
        shear = (self._uniform(count) - 0.5) * 0.6
        wide, high = (0.75 + 0.6 * self._uniform(count, 2)).unbind(1)
        shift = (self._uniform(count, 2) - 0.5) * 0.3
        cosine, sine = torch.cos(angle), torch.sin(angle)
        first = torch.stack([wide * cosine, wide * (shear * cosine - sine), shift[:, 0]], 1)
        second = torch.stack([high * sine, high * (shear * sine + cosine), shift[:, 1]], 1)
        grid = nf.affine_grid(torch.stack([first, second], 1), list(glyphs.shape), False)
        return nf.grid_sample(glyphs, grid, align_corners=False)


def enlarged(images: Tensor, size: int) -> Tensor:
    """Return grey images (N, 1, s, s) as (N, 3, size, size), enlarged bilinearly."""
    large = nf.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    return large.expand(-1, 3, -1, -1).contiguous()


@functools.cache
def _glyphs() -> tuple[Tensor, Tensor]:
    """Return every glyph in every size, (G, 1, S, S), cut to its ink, and its class, (G,)."""
    from PIL import Image, ImageDraw, ImageFont

    names = classes()
    drawn, labels = [], []
    for letter in string.ascii_letters:
        for size in _SIZES:
            for stroke in (0, 1):
                image = Image.new("L", (_CANVAS, _CANVAS))
                place = (_CANVAS / 2, _CANVAS / 2)
                font = ImageFont.load_default(size)
                ImageDraw.Draw(image).text(
                    place, letter, 255, font=font, anchor="mm", stroke_width=stroke
                )
                drawn.append(np.asarray(_centred(image), dtype=np.float32) / 255)
                labels.append(names.index(_TWINS.get(letter, letter)))
    return torch.from_numpy(np.stack(drawn))[:, None], torch.tensor(labels)


def _centred(image: Image) -> Image:
    """Return the image with its ink in the middle, enlarged to fill most of the canvas."""
    from PIL import Image

    ink = image.crop(image.getbbox())
    share = 0.8 * _CANVAS / max(ink.size)
    ink = ink.resize((max(1, round(ink.width * share)), max(1, round(ink.height * share))))
    whole = Image.new("L", image.size)
    whole.paste(ink, ((_CANVAS - ink.width) // 2, (_CANVAS - ink.height) // 2))
    return whole
