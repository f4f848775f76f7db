"""What `nndiag reproduce` runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nndiag.schema.spec import require_range

#: Seeds of a claim at initialisation, and of one that trains.
_QUICK_SEEDS, _TRAINED_SEEDS = 5, 3


@dataclass(frozen=True, kw_only=True)
class ReproduceSpec:
    """Claims to check.

    Attributes:
        claims: names of `nndiag.claims`.
        seeds: repetitions; None for 5 at initialisation and 3 with training.
    """

    claims: tuple[str, ...]
    seeds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seeds is not None:
            require_range("--seeds", self.seeds, 1, 1000)
        require_range("--seed", self.seed, 0, 2**62)

    def seeds_of(self, *, trains: bool) -> range:
        """Return the seeds of a claim."""
        usual = _TRAINED_SEEDS if trains else _QUICK_SEEDS
        return range(self.seed, self.seed + (usual if self.seeds is None else self.seeds))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
