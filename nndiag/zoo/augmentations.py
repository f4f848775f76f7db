"""Random changes of training images that keep their class (`--augment`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def of(data: str) -> Callable[[Tensor], Tensor]:
    """Return what changes each image of a batch (N, 3, S, S) by itself.

    Digits and letters are turned, shifted and scaled a little; photographs are cropped, resized and
    mirrored.
    """
    import torch
    from torchvision.transforms import v2

    if data.startswith(("folder:", "cifar")):

        def change(image: Tensor) -> Tensor:
            crop = v2.RandomResizedCrop(image.shape[-1], scale=(0.6, 1.0), antialias=True)
            return v2.Compose([crop, v2.RandomHorizontalFlip()])(image)
    else:

        def change(image: Tensor) -> Tensor:
            return v2.functional.affine(
                image,
                **_drawn(image),
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=image[:, 0, 0].tolist(),  # what is behind the figure
            )

    return lambda batch: torch.stack([change(image) for image in batch])


def _drawn(image: Tensor) -> dict[str, object]:
    """Return random amounts of an affine map."""
    import torch

    side = image.shape[-1]
    angle, first, second, scale, shear = (torch.rand(5) * 2 - 1).tolist()
    return {
        "angle": 12 * angle,
        "translate": [round(0.08 * side * first), round(0.08 * side * second)],
        "scale": 1 + 0.1 * scale,
        "shear": [8 * shear, 0.0],
    }
