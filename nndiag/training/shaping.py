"""Networks of different shape with about as many parameters; needs no torch."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nndiag import datasets
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DataSpec, require_choice
from nndiag.schema.spec_shapes import COURSE, ShapesSpec
from nndiag.training import configurations
from nndiag.training.variants import RATIO, Variant, rates_axis
from nndiag.zoo import optimizers

Widths = tuple[int, ...]

_MOST_DEPTH = 1000


def _taper(hidden: int) -> list[float]:
    """Return the widths of a pyramid over its first, by equal ratios, as much as COURSE narrows."""
    last = COURSE[-1] / COURSE[0]
    return [last ** (place / max(hidden - 1, 1)) for place in range(hidden)]


#: From hidden layers to their widths over the widest.
_SHARES: Mapping[str, Callable[[int], Sequence[float]]] = {
    "constant": lambda hidden: [1.0] * hidden,
    "pyramid": _taper,
    "widening": lambda hidden: _taper(hidden)[::-1],
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a network's size depends on beside its hidden layers.

    Attributes:
        inputs: features of a sample, or channels of an image for a cnn.
        outputs: classes.
        kernel: weights of a unit for each of its inputs: 1, or 9 for 3 x 3 convolutions.
        norm: parameters of the normalisation for each hidden unit.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    norm: int = 0

    def parameters(self, widths: Widths) -> int:
        """Return the number of weights and biases."""
        pairs = zip((self.inputs, *widths[:-1]), widths, strict=True)
        hidden = sum((self.kernel * one + 1 + self.norm) * two for one, two in pairs)
        return hidden + (widths[-1] + 1) * self.outputs


def variants(spec: ShapesSpec) -> list[Variant]:
    """Return a variant a shape.

    Raises:
        UsageError: what is no shape, or does not fit into so few parameters.
    """
    rates = _rates(spec)
    return [
        Variant(label=label, sweep=spec.sweep(f"widths={'-'.join(map(str, widths))}", rates))
        for label, widths in shapes(spec).items()
    ]


def _rates(spec: ShapesSpec) -> str:
    """Return the axis of rates, a step below the textbook one: wide layers prefer small rates."""
    name = configurations.complete(spec.settings)["optimizer"]
    return rates_axis(spec, centre=(optimizers.parse(name, "optimizer").lr or 1e-3) / RATIO)


def shapes(spec: ShapesSpec) -> dict[str, Widths]:
    """Return the hidden layers of every shape, by its name.

    Raises:
        UsageError: as `variants`.
    """
    frame, most = frame_of(spec), budget(spec)
    found: dict[str, Widths] = {}
    for name in spec.shapes:
        if kind_of(name) == "given":
            found[name] = tuple(map(int, name.split("-")))
        else:
            found[name] = _fitted(name, most, frame)
    return found


def budget(spec: ShapesSpec) -> int:
    """Return the parameters that named shapes come nearest to."""
    return frame_of(spec).parameters(COURSE) if spec.parameters is None else spec.parameters


def kind_of(shape: str) -> str:
    """Return constant, pyramid or widening; `given` for a list of units.

    Raises:
        UsageError: it is none of them.
    """
    if re.fullmatch(r"[1-9]\d*(-[1-9]\d*)*", shape):
        return "given"
    kind, _colon, depth = shape.partition(":")
    require_choice("--shapes", kind, tuple(_SHARES))
    if not (depth.isdecimal() and 2 <= int(depth) <= _MOST_DEPTH):
        raise UsageError(
            _(
                "--shapes: got '{text}'; accepted: {kind}:DEPTH with a depth from 2 to {most}, or "
                "the units of each hidden layer, such as 512-256-128-64"
            ).format(text=shape, kind=kind, most=_MOST_DEPTH)
        )
    return kind


def _fitted(name: str, most: int, frame: Frame) -> Widths:
    """Return the widths of a named shape whose parameters come nearest to `most`."""
    kind, _colon, depth = name.partition(":")
    shares = _SHARES[kind](int(depth) - 1)

    def widths(widest: int) -> Widths:
        return tuple(max(1, round(widest * share)) for share in shares)

    def parameters(widest: int) -> int:
        return frame.parameters(widths(widest))

    if parameters(1) > most:
        raise UsageError(
            _("--parameters: got {most}; {shape} has at least {least}").format(
                most=most, shape=name, least=parameters(1)
            )
        )
    above = 1 + bisect_left(range(1, most + 1), most, key=parameters)
    return widths(min((max(above - 1, 1), above), key=lambda one: abs(parameters(one) - most)))


def frame_of(spec: ShapesSpec) -> Frame:
    """Return the frame of a preset's networks, from its data.

    Raises:
        UsageError: a network without hidden layers of its own widths.
    """
    settings = configurations.complete(spec.settings)
    require_choice("--net", settings["net"], ("mlp", "cnn"))
    data = DataSpec(name=settings["data"], root=spec.data_root, target=spec.target)
    shape, classes = _ends(data, spec.seed)
    convolves = settings["net"] == "cnn"
    return Frame(
        inputs=shape[0] if convolves else math.prod(shape),
        outputs=classes,
        kernel=9 if convolves else 1,
        norm=0 if settings["norm"] == "none" else 2,
    )


@lru_cache(maxsize=4)
def _ends(data: DataSpec, seed: int) -> tuple[tuple[int, ...], int]:
    splits = datasets.load(data, seed=seed)
    return splits.input_shape, len(splits.classes)
