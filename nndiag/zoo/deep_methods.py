"""Ways to make a plain network deep: activation, initialisation and normalisation together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nndiag.schema.spec import NetworkSpec
from nndiag.zoo.registry import Registry, number_text


@dataclass(frozen=True, kw_only=True)
class DeepMethod:
    """One way.

    Attributes:
        act, norm: names of their tables.
        init: from gain and width to a name of the initialisation table.
        tuned: whether its learning rate is searched; False where the rule of the spec is its own.
        critical: whether `gain` enters: tanh, which is critical near a gain of 1.
        paper: where it comes from.
    """

    name: str
    act: str
    init: Callable[[float, int], str]
    paper: str
    norm: str = "none"
    tuned: bool = True
    critical: bool = False

    def network(self, depth: int, width: int, gain: float) -> NetworkSpec:
        """Return the fully connected network of this depth."""
        return NetworkSpec(
            depth=depth, width=width, act=self.act, init=self.init(gain, width), norm=self.norm
        )


def _orthogonal(gain: float, width: int) -> str:
    return f"orthogonal:{number_text(gain)}"


def _gaussian(gain: float, width: int) -> str:
    """Return Gaussian weights of the same variance as orthogonal ones between hidden layers."""
    return f"normal:{number_text(gain / math.sqrt(width))}"


DEEP_METHODS = Registry(
    (
        DeepMethod(
            name="tanh-orthogonal",
            act="tanh",
            init=_orthogonal,
            paper="Saxe et al. 2014; Pennington et al. 2017",
            tuned=False,
            critical=True,
        ),
        DeepMethod(
            name="tanh-gaussian",
            act="tanh",
            init=_gaussian,
            paper="Poole et al. 2016; Schoenholz et al. 2017",
            critical=True,
        ),
        DeepMethod(
            name="relu-he",
            act="relu",
            init=lambda gain, width: "he_normal",
            paper="He et al. 2015",
        ),
        DeepMethod(
            name="selu",
            act="selu",
            init=lambda gain, width: "lecun_normal",
            paper="Klambauer et al. 2017",
        ),
        DeepMethod(
            name="sigmoid-batchnorm",
            act="sigmoid",
            init=lambda gain, width: "torch",
            norm="batch",
            paper="Ioffe & Szegedy 2015",
        ),
        DeepMethod(
            name="relu-batchnorm",
            act="relu",
            init=lambda gain, width: "he_normal",
            norm="batch",
            paper="Ioffe & Szegedy 2015; Yang et al. 2019",
        ),
    )
)
