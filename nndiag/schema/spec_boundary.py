"""Spec of `nndiag boundary`: how a network bends the plane."""

from __future__ import annotations

from dataclasses import dataclass

from nndiag.schema.spec import DEVICES, require_choice, require_positive, require_range
from nndiag.schema.spec_principles import PrincipleSpec

#: Data sets of points in the plane.
PLANES = ("moons", "circles", "spirals", "xor", "blobs")


@dataclass(frozen=True, kw_only=True)
class BoundarySpec(PrincipleSpec):
    """A network on points of the plane, with its activations and without.

    Attributes:
        depth: weight layers, the output layer included.
        width: hidden units of a layer; with 2 each layer is a plane that can be drawn as it is.
        act: a name of the activation table, or `package.module:Name`.
        steps: of Adam.
        frames: stages of the training that are kept for an animation; 0 for none.
    """

    data: str = "spirals"
    depth: int = 4
    width: int = 16
    act: str = "tanh"
    lr: float = 0.01
    steps: int = 1500
    frames: int = 0
    seeds: int = 5
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("--data", self.data, PLANES)
        require_choice("--device", self.device, DEVICES)
        require_range("--depth", self.depth, 2, 100)
        require_range("--width", self.width, 2, 1000)
        require_positive("--lr", self.lr)
        require_range("--steps", self.steps, 10, 100_000)
