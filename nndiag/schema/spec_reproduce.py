"""What `nndiag reproduce` runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nndiag.schema.spec import require_range


@dataclass(frozen=True, kw_only=True)
class ReproduceSpec:
    """Claims to check.

    Attributes:
        claims: names of `nndiag.claims`.
        seeds: repetitions, from which a verdict is drawn.
    """

    claims: tuple[str, ...]
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        require_range("--seeds", self.seeds, 1, 1000)
        require_range("--seed", self.seed, 0, 2**62)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
