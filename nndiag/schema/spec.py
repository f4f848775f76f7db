"""Frozen descriptions of what to run; with the version they reproduce a run.

Numbers are checked here, once. Names (activation, initialisation, data set ...) are checked by the
table that owns them, before torch is loaded.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name

NETS = ("mlp", "cnn", "rnn", "lstm", "gru")
RECURRENT = ("rnn", "lstm", "gru")
NORMS = ("none", "batch", "layer")
DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_DEPTH = 10_000


def require_range(
    option: str, value: float, low: float, high: float = math.inf, *, open_high: bool = False
) -> None:
    """Raise UsageError unless low <= value <= high (value < high with `open_high`)."""
    inside = low <= value < high if open_high else low <= value <= high
    if math.isfinite(value) and inside:
        return
    if math.isinf(high):
        accepted = _("at least {low}").format(low=_typed(low))
    elif open_high:
        accepted = _("at least {low} and less than {high}").format(
            low=_typed(low), high=_typed(high)
        )
    else:
        accepted = _("from {low} to {high}").format(low=_typed(low), high=_typed(high))
    raise UsageError(
        _("{option}: got {value}; accepted: {accepted}").format(
            option=option, value=_typed(value), accepted=accepted
        )
    )


def _typed(value: float) -> str:
    """Return a number as one types it: every digit of a whole one."""
    return str(value) if isinstance(value, int) else f"{value:g}"


def require_positive(option: str, value: float) -> None:
    """Raise UsageError unless the value is finite and above zero."""
    if not (math.isfinite(value) and value > 0):
        raise UsageError(
            _("{option}: got {value:g}; accepted: a number above 0").format(
                option=option, value=value
            )
        )


def require_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raise UsageError naming the nearest choice unless `value` is one of `known`."""
    if value not in known:
        raise unknown_name(option, value, known)


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network, from its names.

    Attributes:
        net: mlp, cnn, rnn, lstm or gru.
        depth: weight layers, the output layer included; for recurrent nets the number of stacked
            recurrent layers (the linear read-out comes on top).
        width: hidden units of a layer (channels for a cnn).
        act: a name of the activation table, `name:parameter`, or `package.module:Name`.
        init: a name of the initialisation table, with its parameters: `normal:0.1`.
        norm: none, batch or layer, placed between a hidden layer and its activation.
        bias_std: standard deviation of the Gaussian biases (0: biases start at zero, except with
            `init="torch"`, which draws its own).
        dropout: probability of zeroing a hidden output.
        residual: add each hidden block's input to its output where shapes agree.
        spatial_dropout: probability of zeroing a whole channel of a cnn.
        widths: units of each hidden layer where they differ; empty: `width` for all.
    """

    net: str = "mlp"
    depth: int = 20
    width: int = 128
    act: str = "sigmoid"
    init: str = "xavier_uniform"
    norm: str = "none"
    bias_std: float = 0.0
    dropout: float = 0.0
    residual: bool = False
    spatial_dropout: float = 0.0
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_choice("--net", self.net, NETS)
        require_choice("--norm", self.norm, NORMS)
        require_range("--depth", self.depth, 1, MAX_DEPTH)
        require_range("--width", self.width, 1)
        require_range("--bias-std", self.bias_std, 0)
        require_range("--dropout", self.dropout, 0, 1, open_high=True)
        require_range("--spatial-dropout", self.spatial_dropout, 0, 1, open_high=True)
        for width in self.widths:
            require_range("--widths", width, 1)
        if self.widths and len(self.widths) != self.depth - 1:
            raise UsageError(
                _("--widths: got {count} hidden layers, but --depth {depth} has {hidden}").format(
                    count=len(self.widths), depth=self.depth, hidden=self.depth - 1
                )
            )

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer of a feed-forward network."""
        return self.widths or (self.width,) * (self.depth - 1)

    @property
    def recurrent(self) -> bool:
        return self.net in RECURRENT


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A data set: a built-in name, or the path of a CSV or NPZ file with its target column."""

    name: str = "digits"
    root: str | None = None
    target: str | None = None


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """An optimizer by name or `package.module:Class`.

    Attributes:
        lr: learning rate; None takes the table's.
        options: further keyword arguments of the optimizer, such as `momentum`.
        clip_norm: largest total gradient norm (Pascanu et al. 2013), None for no clipping.
        clip_value: largest absolute gradient entry, None for no clipping.
    """

    name: str = "sgd"
    lr: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("--lr", self.lr),
            ("--clip-norm", self.clip_norm),
            ("--clip-value", self.clip_value),
        ):
            if value is not None:
                require_positive(option, value)


@dataclass(frozen=True, kw_only=True)
class GradientsSpec:
    """One run of `nndiag gradients`.

    Attributes:
        seeds: how many networks, with seeds seed, seed + 1, ...
        train: optimizer steps; 0 looks at initialisation only.
    """

    network: NetworkSpec = NetworkSpec()
    data: DataSpec = DataSpec()
    batch_size: int = 128
    seeds: int = 10
    seed: int = 0
    train: int = 0
    optimizer: OptimizerSpec | None = None
    theory: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--device", self.device, DEVICES)
        require_range("--batch-size", self.batch_size, 1)
        require_range("--seeds", self.seeds, 1)
        require_range("--seed", self.seed, 0, 2**63 - 1)
        require_range("--train", self.train, 0)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def command_line(spec: GradientsSpec) -> str:
    """Return the `nndiag gradients` command that runs `spec`, options at their default left out."""
    network, data = spec.network, spec.data
    words = ["nndiag gradients"]
    if network.net != "mlp":
        words.append(f"--net {network.net}")
    words.append(f"--depth {network.depth}")
    if network.width != NetworkSpec.width:
        words.append(f"--width {network.width}")
    if network.net not in ("lstm", "gru"):
        words.append(f"--act {network.act}")
    words.append(f"--init {network.init}")
    for option, value, default in (
        ("--norm", network.norm, "none"),
        ("--bias-std", network.bias_std, 0.0),
        ("--dropout", network.dropout, 0.0),
        ("--data", data.name, "digits"),
        ("--data-root", data.root, None),
        ("--target", data.target, None),
        ("--batch-size", spec.batch_size, 128),
        ("--seed", spec.seed, 0),
        ("--train", spec.train, 0),
    ):
        if value != default:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(f"{option} {shlex.quote(text)}")
    if network.residual:
        words.append("--residual")
    return " ".join([*words, *_optimizer_words(spec.optimizer)])


def _optimizer_words(optimizer: OptimizerSpec | None) -> list[str]:
    if optimizer is None:
        return []
    words = [f"--optimizer {optimizer.name}"]
    for option, value in (
        ("--lr", optimizer.lr),
        ("--clip-norm", optimizer.clip_norm),
        ("--clip-value", optimizer.clip_value),
    ):
        if value is not None:
            words.append(f"{option} {value:g}")
    return words
