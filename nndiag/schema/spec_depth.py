"""What `nndiag depth-limit` runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import (
    DEVICES,
    MAX_DEPTH,
    DataSpec,
    require_choice,
    require_positive,
    require_range,
)

#: Adam's working rate falls with depth: about 0.02 / D from 50 to 10,000 layers (docs/depth-limit).
RATE = 0.02
_SHALLOWEST = 4
_SEEDS, _DEEP = 3, 1000


@dataclass(frozen=True, kw_only=True)
class DepthLimitSpec:
    """Plain networks of several depths, by method.

    Attributes:
        depths: weight layers, the output layer included.
        methods: names of `nndiag.zoo.deep_methods`.
        gain: of the tanh methods' weights; None for 1 + 1 / sqrt(depth).
        lr: of Adam; None for RATE / depth.
        rates: learning rates tried for the methods without a rule of their own, lr, 3 lr, ...
        seeds: trainings of each method and depth; None for 3, and 1 from 1,000 layers on.
        target: test accuracy from which on a depth counts as trained.
    """

    depths: tuple[int, ...] = (20, 200, 1000)
    methods: tuple[str, ...] = ()
    data: DataSpec = field(default_factory=DataSpec)
    width: int = 64
    steps: int = 80
    batch_size: int = 64
    gain: float | None = None
    lr: float | None = None
    rates: int = 2
    seeds: int | None = None
    seed: int = 0
    target: float = 0.9
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--device", self.device, DEVICES)
        if not self.depths:
            raise UsageError(_("--depth: got nothing; accepted: numbers joined by commas"))
        for depth in self.depths:
            require_range("--depth", depth, _SHALLOWEST, MAX_DEPTH)
        require_range("--width", self.width, 2)
        require_range("--steps", self.steps, 1)
        require_range("--batch-size", self.batch_size, 2)
        require_range("--rates", self.rates, 1, 10)
        if self.seeds is not None:
            require_range("--seeds", self.seeds, 1, 1000)
        require_range("--seed", self.seed, 0, 2**62)
        require_range("--target-accuracy", self.target, 0, 1)
        for option, value in (("--gain", self.gain), ("--lr", self.lr)):
            if value is not None:
                require_positive(option, value)

    def gain_at(self, depth: int) -> float:
        """Return the gain of tanh networks of a depth.

        Near criticality chi - 1 is about 0.27 (gain^2 - 1)^2, so that a gain of 1 + 1 / sqrt(D)
        changes the gradient by a small factor over D layers, whatever D.
        """
        return 1 + 1 / math.sqrt(depth) if self.gain is None else self.gain

    def rate_at(self, depth: int) -> float:
        """Return the learning rate of networks of a depth."""
        return RATE / depth if self.lr is None else self.lr

    def seeds_at(self, depth: int) -> range:
        """Return the seeds of networks of a depth."""
        usual = _SEEDS if depth < _DEEP else 1
        return range(self.seed, self.seed + (usual if self.seeds is None else self.seeds))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
