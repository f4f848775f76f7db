"""Specs of the first principles: one neuron, averages, gradients, losses, descent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import require_choice, require_positive, require_range

#: Truth tables by name: outputs for the inputs (0,0), (0,1), (1,0), (1,1).
TABLES: Mapping[str, str] = {
    "and": "0001",
    "or": "0111",
    "xor": "0110",
    "nand": "1110",
    "nor": "1000",
    "xnor": "1001",
}
MODELS = ("linear", "logistic")
SOURCES = ("synthetic", "digits")
_MOST_SEEDS = 1000


@dataclass(frozen=True, kw_only=True)
class PrincipleSpec:
    """What all of them share.

    Attributes:
        seeds: repetitions, each with its own random numbers; they give the intervals.
        seed: the first of them.
    """

    seeds: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        require_range("--seeds", self.seeds, 2, _MOST_SEEDS)
        require_range("--seed", self.seed, 0, 2**62)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class PerceptronSpec(PrincipleSpec):
    """One neuron, act(weights . x + bias), and truth tables learnt by the perceptron rule.

    Attributes:
        at: the inputs at which the neuron is evaluated, each as long as `weights`.
        act: a name of the activation table that theory knows, or `step`.
        tables: names of TABLES, or four digits 0 and 1 for (0,0), (0,1), (1,0), (1,1).
        epochs: at most so many passes over the four inputs.
    """

    weights: tuple[float, ...] = (4.0, -2.0)
    bias: float = 1.0
    at: tuple[tuple[float, ...], ...] = ((-1.0, 2.0), (0.0, -1.0))
    act: str = "sigmoid"
    tables: tuple[str, ...] = ("and", "or", "xor")
    epochs: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_numbers("--weights", self.weights)
        _require_numbers("--bias", (self.bias,))
        require_range("--epochs", self.epochs, 1, 100_000)
        for point in self.at:
            _require_numbers("--at", point)
            if len(point) != len(self.weights):
                raise UsageError(
                    _(
                        "--at: got {count} numbers ({point}); accepted: {wanted}, as in --weights"
                    ).format(count=len(point), point=written(point), wanted=len(self.weights))
                )
        for name in self.tables:
            truth(name)


def truth(name: str) -> tuple[int, ...]:
    """Return the outputs of a truth table for (0,0), (0,1), (1,0), (1,1).

    Raises:
        UsageError: neither a name of TABLES nor four digits 0 and 1.
    """
    digits = TABLES.get(name, name)
    if set(digits) <= {"0", "1"}:
        if len(digits) == 4:
            return tuple(map(int, digits))
        raise UsageError(
            _("--learn: got '{name}'; accepted: four digits 0 and 1, such as 0110").format(
                name=name
            )
        )
    raise unknown_name("--learn", name, TABLES, _("four digits 0 and 1, such as 0110"))


@dataclass(frozen=True, kw_only=True)
class EwmaSpec(PrincipleSpec):
    """Exponentially weighted moving averages of one series, v_t = beta v_{t-1} + (1 - beta) y_t.

    Attributes:
        values: the user's own series; None draws one.
        noise: standard deviation of the drawn series' noise.
        samples: length of the drawn series.
    """

    betas: tuple[float, ...] = (0.5, 0.9, 0.98)
    values: tuple[float, ...] | None = None
    noise: float = 0.3
    samples: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.betas:
            raise UsageError(_("--betas: got nothing; accepted: numbers joined by commas"))
        for beta in self.betas:
            require_range("--betas", beta, 0, 0.999)
        require_range("--noise", self.noise, 0)
        require_range("--samples", self.samples, 10, 100_000)
        if self.values is not None:
            _require_numbers("--values", self.values)
            if len(self.values) < 2:
                raise UsageError(_("--values: got 1 number; accepted: at least 2"))


@dataclass(frozen=True, kw_only=True)
class BackpropSpec(PrincipleSpec):
    """The gradient of a small network and of a chain of single units, factor by factor.

    Attributes:
        act: a name of the activation table that theory knows.
        depth: units of the chain.
        weights: of the chain, input side first: one for all of its units, or one each.
        x: the chain's input.
    """

    act: str = "sigmoid"
    depth: int = 10
    weights: tuple[float, ...] = (1.0,)
    x: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("--depth", self.depth, 1, 1000)
        _require_numbers("--weights", self.weights)
        _require_numbers("--input", (self.x,))
        if len(self.weights) not in (1, self.depth):
            raise UsageError(
                _("--weights: got {count} numbers; accepted: 1, or one a unit ({depth})").format(
                    count=len(self.weights), depth=self.depth
                )
            )


@dataclass(frozen=True, kw_only=True)
class LossesSpec(PrincipleSpec):
    """Losses and their gradients with respect to the score, and a training from a wrong start.

    Attributes:
        start: mean score of the right side that the unit begins with; below 0 is wrong.
        delta: where Huber's loss turns from a parabola into a line.
        steps: of gradient descent.
    """

    start: float = -8.0
    lr: float = 0.1
    steps: int = 400
    delta: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("--start", self.start, -30, 0)
        require_positive("--lr", self.lr)
        require_positive("--delta", self.delta)
        require_range("--steps", self.steps, 1, 100_000)


@dataclass(frozen=True, kw_only=True)
class DescentSpec(PrincipleSpec):
    """Gradient descent with several batch sizes on one surface of two parameters.

    Attributes:
        model: linear or logistic regression.
        data: `synthetic`, drawn, or `digits`, two measurements of the real images.
        samples: how many.
        batch_sizes: 0 stands for the whole set.
        epochs: passes over the data, the same for every batch size.
    """

    model: str = "linear"
    data: str = "synthetic"
    samples: int = 256
    batch_sizes: tuple[int, ...] = (1, 8, 32, 0)
    epochs: int = 20
    lr: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("--model", self.model, MODELS)
        require_choice("--data", self.data, SOURCES)
        require_range("--samples", self.samples, 4, 10_000)
        require_range("--epochs", self.epochs, 1, 1000)
        require_positive("--lr", self.lr)
        if not self.batch_sizes:
            raise UsageError(_("--batch-sizes: got nothing; accepted: numbers joined by commas"))
        for size in self.batch_sizes:
            require_range("--batch-sizes", size or self.samples, 1, self.samples)


def written(numbers: tuple[float, ...]) -> str:
    """Return numbers as they are typed: `4,-2`."""
    return ",".join(f"{number:g}" for number in numbers)


def _require_numbers(option: str, numbers: tuple[float, ...]) -> None:
    if not numbers:
        raise UsageError(_("{option}: got nothing; accepted: numbers").format(option=option))
    for number in numbers:
        if not math.isfinite(number):
            raise UsageError(
                _("{option}: got {value:g}; accepted: finite numbers").format(
                    option=option, value=number
                )
            )
