"""What a sweep varies: `AXIS=VALUES` as typed, its values, and the configurations they span."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nndiag.locales import _, to_translate
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import MAX_DEPTH, NETS, NORMS

if TYPE_CHECKING:
    import numpy as np

Value = str | int | float | bool | None
#: Draws that only repeat a configuration, in a row, after which a space counts as exhausted.
_PATIENCE = 1000
_DIGITS = 4
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_SCALES = ("log", "lin", "int")
_MOST_VALUES = 100_000


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the values of an axis are.

    Attributes:
        form: text, integer, number or switch.
        low, high: range of a number; with `open_low` and `open_high` without the end itself.
        choices: the accepted texts; empty where a table of the zoo decides.
        optional: `none` is accepted: the setting is left out.
        help: what the setting is, to be translated.
    """

    form: str
    help: str = ""
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False

    def holds(self, number: float) -> bool:
        """Say whether a number is finite and in range."""
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return math.isfinite(number) and above and below

    @property
    def accepted(self) -> str:
        """What the range is, in words."""
        if self.form == "switch":
            return _("true or false")
        if self.open_high:
            return _("at least {low:g} and less than {high:g}").format(low=self.low, high=self.high)
        if self.open_low:
            return _("a number above {low:g}").format(low=self.low)
        if self.form == "integer" and math.isfinite(self.high):
            return _("a whole number from {low:g} to {high:g}").format(low=self.low, high=self.high)
        if self.form == "integer":
            return _("a whole number of at least {low:g}").format(low=self.low)
        return _("a number of at least {low:g}").format(low=self.low)


def _text(help: str, choices: tuple[str, ...] = ()) -> Kind:
    return Kind(form="text", help=help, choices=choices)


def _count(help: str, high: float = math.inf) -> Kind:
    return Kind(form="integer", low=1, high=high, help=help)


def _amount(help: str, *, optional: bool = False) -> Kind:
    return Kind(form="number", low=0, optional=optional, help=help)


def _positive(help: str, *, optional: bool = True) -> Kind:
    return Kind(form="number", low=0, open_low=True, optional=optional, help=help)


def _share(help: str, *, optional: bool = True) -> Kind:
    return Kind(form="number", low=0, high=1, open_high=True, optional=optional, help=help)


#: Every setting of a training, in the order in which a configuration lists them.
KINDS: Mapping[str, Kind] = {
    "data": _text(to_translate("Data set: a name, or a CSV or NPZ file of your own.")),
    "net": _text(to_translate("mlp, cnn, rnn, lstm or gru."), NETS),
    "depth": _count(to_translate("Weight layers; recurrent layers of an rnn."), MAX_DEPTH),
    "width": _count(to_translate("Units of a hidden layer, channels of a cnn.")),
    "act": _text(to_translate("Activation, such as relu or leaky_relu:0.2.")),
    "init": _text(to_translate("Initialisation (default: what suits the activation).")),
    "norm": _text(to_translate("none, batch or layer."), NORMS),
    "bias_std": _amount(to_translate("Standard deviation of the Gaussian biases.")),
    "dropout": _share(to_translate("Probability of zeroing a hidden output."), optional=False),
    "residual": Kind(
        form="switch", help=to_translate("Add each hidden block's input to its output.")
    ),
    "spatial_dropout": _share(
        to_translate("Probability of zeroing a channel of a cnn."), optional=False
    ),
    "widths": Kind(
        form="text",
        optional=True,
        help=to_translate("Units of each hidden layer, such as 512-256-128-64."),
    ),
    "optimizer": _text(to_translate("Optimizer, such as sgd, momentum or adam.")),
    "lr": _positive(to_translate("Learning rate (default: the optimizer's)."), optional=False),
    "schedule": _text(to_translate("Schedule of the rate, such as cosine or step:50:0.5.")),
    "momentum": _share(to_translate("Momentum of the optimizer.")),
    "beta1": _share(to_translate("Decay of the first moment (Adam).")),
    "beta2": _share(to_translate("Decay of the second moment (Adam).")),
    "eps": _positive(to_translate("Epsilon of the optimizer.")),
    "weight_decay": _amount(to_translate("Weight decay of the optimizer."), optional=True),
    "clip_norm": _positive(to_translate("Clip the total gradient norm to this.")),
    "clip_value": _positive(to_translate("Clip each gradient entry to this.")),
    "l1": _amount(to_translate("Penalty l1/N times the sum of absolute weights.")),
    "l2": _amount(to_translate("Penalty l2/N times the squared norms of the weight matrices.")),
    "noise": _amount(to_translate("Standard deviation of Gaussian noise on training inputs.")),
    "patience": Kind(
        form="integer",
        low=1,
        optional=True,
        help=to_translate("Stop after so many evaluations without a better validation loss."),
    ),
    "min_delta": _amount(to_translate("By how much a validation loss must fall to be better.")),
    "restore_best": Kind(
        form="switch", help=to_translate("With patience: end with the best weights.")
    ),
    "train_samples": Kind(
        form="integer",
        low=1,
        optional=True,
        help=to_translate("Train on so many samples only, stratified."),
    ),
    "label_noise": _share(
        to_translate("Share of training labels replaced by wrong ones."), optional=False
    ),
    "augment": Kind(
        form="integer",
        low=0,
        high=1000,
        help=to_translate("Add so many warped copies of each training image."),
    ),
    "batch_size": _count(to_translate("Samples of a batch.")),
    "steps": _count(to_translate("Optimizer steps of every training.")),
}


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One setting and the values it takes.

    Attributes:
        name: a key of `KINDS`.
        text: the values as typed.
        values: in the order given; empty for a range without a number of points, which only
            random search can draw from.
        scale: log, lin or int for a range, else empty.
        low, high: ends of a range.
    """

    name: str
    text: str
    values: tuple[Value, ...]
    scale: str = ""
    low: float = math.nan
    high: float = math.nan

    @property
    def varies(self) -> bool:
        return len(self.values) != 1

    @property
    def continuous(self) -> bool:
        """Whether random search may draw more than the listed values."""
        return self.scale in ("log", "lin")

    def __str__(self) -> str:
        return f"{self.name}={self.text}"

    def draw(self, generator: np.random.Generator) -> Value:
        """Return a random value: uniform, on a log range in the logarithm."""
        if not self.continuous:
            return self.values[int(generator.integers(len(self.values)))]
        if self.scale == "log":
            number = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            number = generator.uniform(self.low, self.high)
        if KINDS[self.name].form == "integer":
            return round(number)
        return min(max(float(f"{number:.{_DIGITS}g}"), self.low), self.high)


def parse(text: str) -> Axis:
    """Return the axis that `AXIS=VALUES` describes.

    Accepted: `act=relu,tanh`, `depth=5,20`, `residual=true,false`, `clip_norm=none,1`, and the
    ranges `lr=log:1e-4:1:9` (9 points, equal ratios), `dropout=lin:0:0.5:6` (equal steps) and
    `depth=int:1:10[:STEP]`. A range of numbers may leave its count out for random search.

    Raises:
        UsageError: no `=`, an unknown axis, a value out of range, a wrong range.
    """
    name, equals, values = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_").lower()
    if not equals:
        raise UsageError(
            _("'{text}': got no values; accepted: AXIS=VALUES, such as lr=0.01,0.1").format(
                text=text
            )
        )
    if name not in KINDS:
        raise unknown_name(_("axis"), name, KINDS)
    parts = [part.strip() for part in values.split(",") if part.strip()]
    if not parts:
        raise UsageError(
            _("{axis}: got no values; accepted: values joined by commas").format(axis=name)
        )
    kind = KINDS[name]
    if kind.form in ("integer", "number") and parts[0].partition(":")[0] in _SCALES:
        return _range(name, kind, values.strip(), parts)
    found = tuple(dict.fromkeys(_value(name, kind, part) for part in parts))
    return Axis(name=name, text=",".join(parts), values=found)


def parse_all(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of a command line, in the order given.

    Raises:
        UsageError: as `parse`, or an axis given twice.
    """
    axes: dict[str, Axis] = {}
    for text in texts:
        axis = parse(text)
        if axis.name in axes:
            raise UsageError(
                _("{axis}: given twice; join its values by commas").format(axis=axis.name)
            )
        axes[axis.name] = axis
    return tuple(axes.values())


def setting(name: str, text: str) -> Value:
    """Return the one value that the option of a setting was given.

    Raises:
        UsageError: it is none of the accepted.
    """
    return _value(f"--{name.replace('_', '-')}", KINDS[name], text)


def _value(name: str, kind: Kind, text: str) -> Value:
    if kind.optional and text.lower() == "none":
        return None
    if kind.form == "text":
        if kind.choices and text not in kind.choices:
            raise unknown_name(name, text, kind.choices)
        return text
    if kind.form == "switch":
        if text.lower() not in _SWITCHES:
            raise _refused(name, kind, text)
        return _SWITCHES[text.lower()]
    return _number(name, kind, text)


def _number(name: str, kind: Kind, text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise _refused(name, kind, text) from None
    whole = kind.form != "integer" or number.is_integer()
    if not (kind.holds(number) and whole):
        raise _refused(name, kind, text)
    return int(number) if kind.form == "integer" else number


def _refused(name: str, kind: Kind, text: str) -> UsageError:
    accepted = kind.accepted
    if kind.optional:
        accepted = _("{accepted}, or none").format(accepted=accepted)
    return UsageError(
        _("{axis}: got '{text}'; accepted: {accepted}").format(
            axis=name, text=text, accepted=accepted
        )
    )


def _range(name: str, kind: Kind, text: str, parts: Sequence[str]) -> Axis:
    scale, *numbers = text.split(":")
    if len(parts) > 1 or not 2 <= len(numbers) <= 3:
        raise _wrong_range(name, text)
    low, high = _number(name, kind, numbers[0]), _number(name, kind, numbers[1])
    count = numbers[2] if len(numbers) == 3 else None
    if low >= high or (scale == "log" and low <= 0):
        raise UsageError(
            _("{axis}: got '{text}'; accepted: a first number below the second").format(
                axis=name, text=text
            )
            if low >= high
            else _("{axis}: got '{text}'; a log range begins above 0").format(axis=name, text=text)
        )
    if scale == "int":
        values = _whole(name, text, low, high, count)
    else:
        values = _points(name, kind, text, (scale, low, high), count)
    return Axis(name=name, text=text, values=values, scale=scale, low=low, high=high)


def _whole(name: str, text: str, low: float, high: float, step: str | None) -> tuple[Value, ...]:
    stride = int(step) if step is not None and step.isdigit() else 1
    is_whole = float(low).is_integer() and float(high).is_integer()
    if not is_whole or stride < 1 or (step is not None and not step.isdigit()):
        raise _wrong_range(name, text)
    if (high - low) / stride > _MOST_VALUES:
        raise _wrong_range(name, text)
    found = range(int(low), int(high) + 1, stride)
    return tuple(found) if KINDS[name].form == "integer" else tuple(float(v) for v in found)


def _points(
    name: str, kind: Kind, text: str, ends: tuple[str, float, float], count: str | None
) -> tuple[Value, ...]:
    if count is None:
        return ()
    if not count.isdigit() or not 2 <= int(count) <= _MOST_VALUES:
        raise _wrong_range(name, text)
    scale, low, high = ends
    import numpy as np  # where an axis is read, not where help is shown

    space = np.geomspace if scale == "log" else np.linspace
    points = [float(point) for point in space(low, high, int(count))]
    points[0], points[-1] = low, high
    if kind.form == "integer":
        return tuple(dict.fromkeys(round(point) for point in points))
    return tuple(float(f"{point:.12g}") for point in points)


def _wrong_range(name: str, text: str) -> UsageError:
    return UsageError(
        _(
            "{axis}: got '{text}'; accepted: log:LOW:HIGH:COUNT, lin:LOW:HIGH:COUNT, "
            "int:LOW:HIGH or int:LOW:HIGH:STEP, on its own"
        ).format(axis=name, text=text)
    )


def size(axes: Sequence[Axis]) -> int:
    """Return the number of configurations of the whole grid."""
    return math.prod(len(axis.values) for axis in axes)


def grid(axes: Sequence[Axis]) -> list[dict[str, Value]]:
    """Return every combination, the last axis fastest.

    Raises:
        UsageError: a range has no number of points.
    """
    for axis in axes:
        if not axis.values:
            raise UsageError(
                _(
                    "{axis}: got '{text}', a range without a number of points; accepted: "
                    "{text}:COUNT, or --samples"
                ).format(axis=axis.name, text=axis.text)
            )
    names = [axis.name for axis in axes]
    combined = itertools.product(*(axis.values for axis in axes))
    return [dict(zip(names, values, strict=True)) for values in combined]


def sample(axes: Sequence[Axis], count: int, seed: int) -> list[dict[str, Value]]:
    """Return `count` different random combinations (Bergstra & Bengio 2012).

    Every axis is drawn on its own: uniformly from its values, from a range by its scale. Drawn
    numbers have four digits. A longer list begins with the shorter one of the same seed. Where
    the axes hold no more than `count` combinations, all of them are returned.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    found: dict[tuple[Value, ...], dict[str, Value]] = {}
    repeats = 0
    while len(found) < count and repeats < _PATIENCE:
        drawn = {axis.name: axis.draw(generator) for axis in axes}
        repeats = repeats + 1 if tuple(drawn.values()) in found else 0
        found.setdefault(tuple(drawn.values()), drawn)
    if len(found) < count and not any(axis.continuous for axis in axes):
        for one in grid(axes):
            found.setdefault(tuple(one.values()), one)
    return list(found.values())[:count]
