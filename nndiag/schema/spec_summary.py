"""What `nndiag summary` looks at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NetworkSpec, require_range

_MOST_PIXELS = 65_536


@dataclass(frozen=True, kw_only=True)
class SummarySpec:
    """One run of `nndiag summary`.

    Attributes:
        model: a backbone, a net of ours, or `package.module:factory`.
        network: of a net of ours, else None.
        input_shape: of one sample; None for the model's own.
        classes: outputs; None for the model's own.
        depth: levels of nesting to show; None for as many as a page holds.
    """

    model: str
    network: NetworkSpec | None = None
    input_shape: tuple[int, ...] | None = None
    batch_size: int = 1
    classes: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        require_range("--batch-size", self.batch_size, 1)
        if self.classes is not None:
            require_range("--classes", self.classes, 1)
        if self.depth is not None:
            require_range("--depth-limit", self.depth, 1)
        for size in self.input_shape or ():
            require_range("--input-size", size, 1, _MOST_PIXELS)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def shape_of(text: str, *, channels: int = 0) -> tuple[int, ...]:
    """Return the shape that `--input-size` names: `224`, `224x224` or `3x224x224`.

    Args:
        channels: of the pictures that the model sees, for one number (the side of a square) or
            two; 0 where it sees none.

    Raises:
        UsageError: no whole numbers.
    """
    parts = text.lower().replace("\u00d7", "x").replace(",", "x").split("x")
    if not all(part.strip().isdigit() for part in parts):
        raise UsageError(
            _(
                "--input-size: got '{text}'; accepted: the sizes of one sample, such as 224 or "
                "3x224x224"
            ).format(text=text)
        )
    shape = tuple(int(part) for part in parts)
    if channels and len(shape) == 1:
        shape *= 2
    return (channels, *shape) if channels and len(shape) == 2 else shape
