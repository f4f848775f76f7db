"""Normalisations that may stand between a weight layer and its activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nndiag.zoo.registry import Registry, resolve_import

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class NormalisationRow:
    """One normalisation.

    Attributes:
        vector: import string for (batch, features); empty for none.
        image: import string for (batch, channels, height, width).
        image_groups: the first argument of the image form where it is a number of groups.
        paper: where it was proposed.
    """

    name: str
    vector: str = ""
    image: str = ""
    image_groups: tuple[int, ...] = ()
    paper: str = ""


NORMALISATIONS = Registry(
    (
        NormalisationRow(name="none"),
        NormalisationRow(
            name="batch",
            vector="torch.nn:BatchNorm1d",
            image="torch.nn:BatchNorm2d",
            paper="Ioffe & Szegedy 2015",
        ),
        # One group over all channels and pixels: the layer normalisation of an image.
        NormalisationRow(
            name="layer",
            vector="torch.nn:LayerNorm",
            image="torch.nn:GroupNorm",
            image_groups=(1,),
            paper="Ba, Kiros & Hinton 2016",
        ),
    )
)


def build(
    name: str, features: int, *, image: bool = False, option: str = "--norm"
) -> nn.Module | None:
    """Return a new normalisation of `features` units (channels with `image`), None for none.

    Raises:
        UsageError: `name` is not in the table.
    """
    row = NORMALISATIONS.get(name, option)
    if not row.vector:
        return None
    arguments = (*row.image_groups, features) if image else (features,)
    module: nn.Module = resolve_import(row.image if image else row.vector, option)(*arguments)
    return module
