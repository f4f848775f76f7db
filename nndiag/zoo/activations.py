"""Activation functions by name: import string, matching initialisation, facts and paper."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.zoo.registry import (
    IMPORT_FORM,
    Registry,
    is_import,
    number_text,
    parameters,
    resolve_import,
)

if TYPE_CHECKING:
    from torch import nn

# Negative slopes of torch's RReLU are uniform on [1/8, 1/3] in training mode: E[a^2].
_RRELU_SLOPE_SQUARED = ((1 / 8) ** 2 + 1 / 24 + (1 / 3) ** 2) / 3


def _constant(value: float) -> Callable[[float], float]:
    return lambda _parameter: value


_ONE, _TWO = _constant(1.0), _constant(2.0)


def _rectifier_gain_squared(slope: float) -> float:
    return 2 / (1 + slope**2)


@dataclass(frozen=True, kw_only=True)
class ActivationRow:
    """One activation function.

    Attributes:
        import_string: the torch class.
        default_init: the initialisation that the literature pairs with it.
        paper: where it was proposed or studied.
        keyword: constructor argument that `name:number` sets, None where there is none.
        default: its value when only the name is given.
        positive: whether the number must be above 0.
        derivative_max: largest slope, as a function of the parameter (nan where there is none).
        he_gain_squared: fan_in times the weight variance of He et al. 2015, likewise.
    """

    name: str
    import_string: str
    default_init: str
    paper: str
    keyword: str | None = None
    default: float | None = None
    positive: bool = False
    derivative_max: Callable[[float], float] = _ONE
    he_gain_squared: Callable[[float], float] = _TWO

    @property
    def usage(self) -> str:
        """The accepted forms, for messages."""
        if self.keyword is None:
            return self.name
        return f"{self.name}[:{self.keyword.upper()}]" + (
            f", {self.keyword.upper()} > 0" if self.positive else ""
        )

    def valid(self, numbers: tuple[float, ...]) -> bool:
        """Whether `numbers` may follow the name."""
        if not numbers:
            return True
        return (
            self.keyword is not None and len(numbers) == 1 and (numbers[0] > 0 or not self.positive)
        )


ACTIVATIONS = Registry(
    (
        ActivationRow(
            name="sigmoid",
            import_string="torch.nn:Sigmoid",
            default_init="xavier_uniform",
            paper="Rumelhart, Hinton & Williams 1986",
            derivative_max=_constant(0.25),
        ),
        ActivationRow(
            name="tanh",
            import_string="torch.nn:Tanh",
            default_init="xavier_uniform",
            paper="LeCun et al. 1998, Efficient BackProp",
        ),
        ActivationRow(
            name="hardtanh",
            import_string="torch.nn:Hardtanh",
            default_init="xavier_uniform",
            paper="Collobert 2004",
        ),
        ActivationRow(
            name="softsign",
            import_string="torch.nn:Softsign",
            default_init="xavier_uniform",
            paper="Bergstra et al. 2009",
        ),
        ActivationRow(
            name="relu",
            import_string="torch.nn:ReLU",
            default_init="he_normal",
            paper="Nair & Hinton 2010",
        ),
        ActivationRow(
            name="leaky_relu",
            import_string="torch.nn:LeakyReLU",
            default_init="he_normal",
            paper="Maas, Hannun & Ng 2013",
            keyword="negative_slope",
            default=0.01,
            derivative_max=lambda slope: max(1.0, abs(slope)),
            he_gain_squared=_rectifier_gain_squared,
        ),
        ActivationRow(
            name="rrelu",
            import_string="torch.nn:RReLU",
            default_init="he_normal",
            paper="Xu et al. 2015",
            he_gain_squared=_constant(2 / (1 + _RRELU_SLOPE_SQUARED)),
        ),
        ActivationRow(
            name="prelu",
            import_string="torch.nn:PReLU",
            default_init="he_normal",
            paper="He et al. 2015",
            keyword="init",
            default=0.25,
            derivative_max=lambda slope: max(1.0, abs(slope)),
            he_gain_squared=_rectifier_gain_squared,
        ),
        ActivationRow(
            name="elu",
            import_string="torch.nn:ELU",
            default_init="he_normal",
            paper="Clevert, Unterthiner & Hochreiter 2016",
            keyword="alpha",
            default=1.0,
            positive=True,
            derivative_max=lambda alpha: max(1.0, alpha),
        ),
        ActivationRow(
            name="selu",
            import_string="torch.nn:SELU",
            default_init="lecun_normal",
            paper="Klambauer et al. 2017",
            derivative_max=_constant(1.7580993408473766),
        ),
        ActivationRow(
            name="celu",
            import_string="torch.nn:CELU",
            default_init="he_normal",
            paper="Barron 2017",
            keyword="alpha",
            default=1.0,
            positive=True,
        ),
        ActivationRow(
            name="gelu",
            import_string="torch.nn:GELU",
            default_init="he_normal",
            paper="Hendrycks & Gimpel 2016",
            derivative_max=_constant(1.1289),
        ),
        ActivationRow(
            name="silu",
            import_string="torch.nn:SiLU",
            default_init="he_normal",
            paper="Elfwing, Uchibe & Doya 2018",
            derivative_max=_constant(1.0998),
        ),
        ActivationRow(
            name="mish",
            import_string="torch.nn:Mish",
            default_init="he_normal",
            paper="Misra 2019",
            derivative_max=_constant(1.0885),
        ),
        ActivationRow(
            name="softplus",
            import_string="torch.nn:Softplus",
            default_init="he_normal",
            paper="Dugas et al. 2001",
        ),
        ActivationRow(
            name="relu6",
            import_string="torch.nn:ReLU6",
            default_init="he_normal",
            paper="Krizhevsky 2010",
        ),
        ActivationRow(
            name="linear",
            import_string="torch.nn:Identity",
            default_init="xavier_uniform",
            paper="Saxe, McClelland & Ganguli 2014",
        ),
    ),
    is_open=True,
)


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An activation function as asked for.

    Attributes:
        name: name of the table, or the import string of a custom one.
        parameter: slope or alpha in use, None for functions without one.
        import_string: `package.module:Name` of the class or function.
        option: the option that asked for it, named in errors.
    """

    name: str
    parameter: float | None
    import_string: str
    option: str = "--act"

    @property
    def row(self) -> ActivationRow | None:
        """The facts of the table; None for a custom function."""
        return ACTIVATIONS.find(self.name)

    @property
    def label(self) -> str:
        """What to type to get it: the parameter is there unless it is the default."""
        row = self.row
        if row is None or self.parameter is None or self.parameter == row.default:
            return self.name
        return f"{self.name}:{number_text(self.parameter)}"

    @property
    def default_init(self) -> str:
        """The initialisation that goes with it (Glorot & Bengio 2010 where none is known)."""
        return self.row.default_init if self.row else "xavier_uniform"

    @property
    def he_gain_squared(self) -> float:
        """Squared gain g^2 of Var[W] = g^2 / fan_in (He et al. 2015, eq. 15); 2 if unknown."""
        return self.row.he_gain_squared(self._number) if self.row else 2.0

    @property
    def derivative_max(self) -> float | None:
        """Largest value of the derivative; None for a custom function."""
        return self.row.derivative_max(self._number) if self.row else None

    @property
    def _number(self) -> float:
        return math.nan if self.parameter is None else self.parameter

    def build(self) -> nn.Module:
        """Return a new torch module that applies it."""
        found = resolve_import(self.import_string, self.option)
        row = self.row
        if row is None:
            return _custom_module(found, self.import_string, self.option)
        module: nn.Module = found(**{row.keyword: self.parameter} if row.keyword else {})
        return module


def parse(text: str, option: str = "--act") -> Activation:
    """Return the activation that `text` names: `tanh`, `leaky_relu:0.2`, `package.module:Name`.

    A custom one is a Module class that takes no argument, a Module, or a function of a tensor; it
    is imported and tried here, once.

    Raises:
        UsageError: unknown name, wrong parameter, or a custom object that is no activation.
    """
    row = ACTIVATIONS.find(text.split(":")[0])
    if row is None and is_import(text):
        _try_out(_custom_module(resolve_import(text, option), text, option), text, option)
        return Activation(name=text, parameter=None, import_string=text, option=option)
    row = row or ACTIVATIONS.get(text.split(":")[0], option)
    numbers = parameters(text, option, row.usage, row.valid)
    return Activation(
        name=row.name,
        parameter=numbers[0] if numbers else row.default,
        import_string=row.import_string,
        option=option,
    )


def _custom_module(found: Any, text: str, option: str) -> nn.Module:
    from copy import deepcopy

    from torch import nn

    from nndiag.zoo.modules import TensorFunction

    if isinstance(found, type) and issubclass(found, nn.Module):
        try:
            return found()
        except TypeError as error:
            raise _no_activation(text, option, str(error)) from error
    if isinstance(found, nn.Module):
        return deepcopy(found)
    if isinstance(found, type) or not callable(found):
        raise _no_activation(text, option, _("it is neither a Module nor a function"))
    return TensorFunction(found, text)


def _try_out(module: nn.Module, text: str, option: str) -> None:
    """Raise UsageError unless `module` maps a tensor to a tensor of the same shape."""
    import torch

    probe = torch.linspace(-1, 1, 6).reshape(2, 3)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            output = module(probe)
        except Exception as error:  # a user's function may raise anything
            raise _no_activation(text, option, f"{type(error).__name__}: {error}") from error
    if not isinstance(output, torch.Tensor) or output.shape != probe.shape:
        raise _no_activation(text, option, _("its output has another shape than its input"))


def _no_activation(text: str, option: str, reason: str) -> UsageError:
    return UsageError(
        _(
            "{option}: '{text}' is no activation ({reason}); accepted: {form} of a Module class "
            "without required arguments or of a function of a tensor"
        ).format(option=option, text=text, reason=reason, form=IMPORT_FORM)
    )
