"""Initialisations by name: the variance each gives a weight, and drawing them into a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from nndiag.zoo.activations import Activation
from nndiag.zoo.registry import Registry, number_text, parameters

if TYPE_CHECKING:
    import torch
    from torch import nn


class Draw(StrEnum):
    """How the entries of a matrix are drawn."""

    NORMAL = "normal"
    UNIFORM = "uniform"
    ORTHOGONAL = "orthogonal"
    FILL = "fill"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a variance may depend on: the numbers given, one matrix, and He's squared gain."""

    numbers: tuple[float, ...]
    fan_in: int
    fan_out: int
    he_gain_squared: float


@dataclass(frozen=True, kw_only=True)
class InitialisationRow:
    """One scheme.

    Attributes:
        draw: the distribution.
        paper: where it was proposed or studied.
        usage: the accepted forms, for messages.
        defaults: its numbers when only the name is given.
        valid: whether numbers may follow the name.
        variance: nominal variance of an entry about 0; None where mean-field theory does not
            apply (entries that are equal, or off zero, or scaled on data).
    """

    name: str
    draw: Draw
    paper: str
    usage: str
    defaults: tuple[float, ...] = ()
    valid: Callable[[tuple[float, ...]], bool] = lambda numbers: not numbers
    variance: Callable[[Setting], float | None] = lambda setting: None


def _at_most_one_positive(numbers: tuple[float, ...]) -> bool:
    return not numbers or (len(numbers) == 1 and numbers[0] > 0)


def _bounds_valid(numbers: tuple[float, ...]) -> bool:
    if len(numbers) == 1:
        return numbers[0] > 0
    return len(numbers) == 2 and numbers[0] < numbers[1]


def _bounds(numbers: tuple[float, ...]) -> tuple[float, float]:
    return (-numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _uniform_variance(setting: Setting) -> float | None:
    low, high = _bounds(setting.numbers)
    return high**2 / 3 if low == -high else None


def _xavier(setting: Setting) -> float:
    return 2 / (setting.fan_in + setting.fan_out)


def _he(setting: Setting) -> float:
    return setting.he_gain_squared / setting.fan_in


def _lecun(setting: Setting) -> float:
    return 1 / setting.fan_in


def _orthogonal(setting: Setting) -> float:
    return setting.numbers[0] ** 2 / max(setting.fan_in, setting.fan_out)


_GLOROT = "Glorot & Bengio 2010, eq. 16"
_HE = "He et al. 2015, eq. 15"
_LECUN = "LeCun et al. 1998, Efficient BackProp, eq. 16; Klambauer et al. 2017"

INITIALISATIONS = Registry(
    (
        InitialisationRow(
            name="normal",
            draw=Draw.NORMAL,
            paper="old practice",
            usage="normal[:STD], STD > 0",
            defaults=(1.0,),
            valid=_at_most_one_positive,
            variance=lambda setting: setting.numbers[0] ** 2,
        ),
        InitialisationRow(
            name="uniform",
            draw=Draw.UNIFORM,
            paper="old practice",
            usage="uniform:A, A > 0 (from -A to A); uniform:A:B, A < B",
            valid=_bounds_valid,
            variance=_uniform_variance,
        ),
        InitialisationRow(
            name="zeros", draw=Draw.FILL, paper="old practice", usage="zeros", defaults=(0.0,)
        ),
        InitialisationRow(
            name="constant",
            draw=Draw.FILL,
            paper="old practice",
            usage="constant:C",
            valid=lambda numbers: len(numbers) == 1,
        ),
        InitialisationRow(
            name="torch",
            draw=Draw.UNIFORM,
            paper="PyTorch's default; LeCun et al. 1998 with a third of the variance",
            usage="torch",
            variance=lambda setting: 1 / (3 * setting.fan_in),
        ),
        InitialisationRow(
            name="xavier_normal",
            draw=Draw.NORMAL,
            paper=_GLOROT,
            usage="xavier_normal",
            variance=_xavier,
        ),
        InitialisationRow(
            name="xavier_uniform",
            draw=Draw.UNIFORM,
            paper=_GLOROT,
            usage="xavier_uniform",
            variance=_xavier,
        ),
        InitialisationRow(
            name="he_normal", draw=Draw.NORMAL, paper=_HE, usage="he_normal", variance=_he
        ),
        InitialisationRow(
            name="he_uniform", draw=Draw.UNIFORM, paper=_HE, usage="he_uniform", variance=_he
        ),
        InitialisationRow(
            name="lecun_normal",
            draw=Draw.NORMAL,
            paper=_LECUN,
            usage="lecun_normal",
            variance=_lecun,
        ),
        InitialisationRow(
            name="lecun_uniform",
            draw=Draw.UNIFORM,
            paper=_LECUN,
            usage="lecun_uniform",
            variance=_lecun,
        ),
        InitialisationRow(
            name="orthogonal",
            draw=Draw.ORTHOGONAL,
            paper="Saxe, McClelland & Ganguli 2014",
            usage="orthogonal[:GAIN], GAIN > 0",
            defaults=(1.0,),
            valid=_at_most_one_positive,
            variance=_orthogonal,
        ),
        InitialisationRow(
            name="lsuv",
            draw=Draw.ORTHOGONAL,
            paper="Mishkin & Matas 2016",
            usage="lsuv",
            defaults=(1.0,),
        ),
    )
)

# The names that PyTorch and Keras use for the same schemes.
_SYNONYMS = {
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
}


@dataclass(frozen=True, kw_only=True)
class Initialisation:
    """An initialisation as asked for.

    Attributes:
        name: name of the table.
        numbers: its numbers, the row's defaults where none were given.
    """

    name: str
    numbers: tuple[float, ...] = ()

    @property
    def row(self) -> InitialisationRow:
        """The facts of the table."""
        return INITIALISATIONS.get(self.name, "--init")

    @property
    def label(self) -> str:
        """What to type to get it: the numbers are there unless they are the defaults."""
        numbers = () if self.numbers == self.row.defaults else self.numbers
        return ":".join([self.name, *map(number_text, numbers)])

    @property
    def needs_batch(self) -> bool:
        """Whether `initialise` must see data."""
        return self.name == "lsuv"

    @property
    def draws_biases(self) -> bool:
        """Whether biases are drawn like weights instead of being set to 0."""
        return self.name == "torch"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lower and upper bound given outright (`uniform:A:B`), else None."""
        return _bounds(self.numbers) if self.name == "uniform" else None


def parse(text: str, option: str = "--init") -> Initialisation:
    """Return the initialisation that `text` names: `he_normal`, `normal:0.1`, `uniform:0:1`.

    `kaiming_*` and `glorot_*` are understood as `he_*` and `xavier_*`.

    Raises:
        UsageError: unknown name, or numbers that the scheme does not take.
    """
    name = text.split(":")[0]
    row = INITIALISATIONS.get(_SYNONYMS.get(name, name), option)
    numbers = parameters(text, option, row.usage, row.valid)
    return Initialisation(name=row.name, numbers=numbers or row.defaults)


def weight_variance(
    init: Initialisation, act: Activation, fan_in: int, fan_out: int
) -> float | None:
    """Return the nominal variance of one weight.

    Gaussian and uniform schemes: exact. Orthogonal with gain g: g^2 / max(fan_in, fan_out) for a
    fully connected layer, the mean square of an entry.

    Returns:
        The variance; None where mean-field theory does not apply: `zeros`, `constant`, `uniform`
        about another value than 0, `lsuv`.
    """
    return init.row.variance(
        Setting(
            numbers=init.numbers,
            fan_in=fan_in,
            fan_out=fan_out,
            he_gain_squared=act.he_gain_squared,
        )
    )


def bias_variance(init: Initialisation, fan_in: int, bias_std: float = 0.0) -> float:
    """Return the variance of one bias: bias_std^2, or 1 / (3 fan_in) for `torch` without one."""
    if init.draws_biases and not bias_std:
        return 1 / (3 * fan_in)
    return bias_std**2


def initialise(
    model: nn.Module,
    init: Initialisation,
    act: Activation,
    *,
    generator: torch.Generator,
    bias_std: float = 0.0,
    batch: torch.Tensor | None = None,
) -> None:
    """Draw every weight of `model` anew, in place.

    Weights of linear layers, convolutions (fan_in = kernel area x input channels) and recurrent
    cells (each gate of each matrix on its own) follow the scheme, the output layer included.
    Biases become 0 unless `bias_std` is given or the scheme is `torch`; normalisations and PReLU
    slopes go back to their start. Numbers are drawn on the CPU in float32: one seed gives the same
    network on every device and in every precision.

    Args:
        generator: a CPU generator, advanced.
        bias_std: standard deviation of Gaussian biases.
        batch: inputs (B, *input_shape) on the model's device; `lsuv` scales on them.

    Raises:
        ValueError: `lsuv` without a batch.
    """
    from nndiag.zoo.drawing import draw_model

    draw_model(model, init, act, generator, bias_std, batch)
