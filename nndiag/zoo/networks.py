"""Networks of ordinary torch modules, built from their description."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NetworkSpec
from nndiag.zoo import activations, initialisations, normalisations
from nndiag.zoo.sequences import sequence_shape

if TYPE_CHECKING:
    from torch import nn

_DEFAULT_ACT = {"mlp": "sigmoid", "cnn": "relu", "rnn": "tanh", "lstm": "tanh", "gru": "tanh"}
_GATED = ("lstm", "gru")
_Named = Iterable[tuple[str, "nn.Module"]]


def default_act(net: str) -> str:
    """Return the activation of a network for which none was asked (the cell's own for gates)."""
    return _DEFAULT_ACT[net]


def check(spec: NetworkSpec) -> None:
    """Raise UsageError where names or their combination cannot be built.

    Loads torch only for an activation given as `package.module:Name`.
    """
    activations.parse(spec.act)
    init = initialisations.parse(spec.init)
    if spec.net in _GATED:
        _require_fixed(spec.net, "--act", spec.act, default_act(spec.net))
        _require_fixed(spec.net, "--norm", spec.norm, "none")
    for option, given in (("--widths", spec.widths), ("--spatial-dropout", spec.spatial_dropout)):
        accepted = ("mlp", "cnn") if option == "--widths" else ("cnn",)
        if given and spec.net not in accepted:
            raise UsageError(
                _("{option}: has a meaning for {nets} only; got --net {net}").format(
                    option=option, nets=", ".join(accepted), net=spec.net
                )
            )
    if spec.recurrent and init.needs_batch:
        raise UsageError(
            _("--init: {init} is defined for feed-forward networks; got --net {net}").format(
                init=init.label, net=spec.net
            )
        )


def _require_fixed(net: str, option: str, given: str, accepted: str) -> None:
    if given != accepted:
        raise UsageError(
            _(
                "{option}: got {given}; the cells of --net {net} are fixed, accepted: {accepted}"
            ).format(option=option, given=given, net=net, accepted=accepted)
        )


def build(spec: NetworkSpec, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return the network; its weights hold no values until `initialise` draws them.

    Args:
        input_shape: of one sample: (features,), (steps, features) or (channels, height, width).
        classes: number of outputs.

    Raises:
        UsageError: a cnn for data that are no images.
    """
    if spec.recurrent:
        return _recurrent(spec, input_shape, classes)
    from torch import nn

    layers = (
        _cnn(spec, input_shape, classes) if spec.net == "cnn" else _mlp(spec, input_shape, classes)
    )
    return nn.Sequential(OrderedDict(layers))


def _mlp(spec: NetworkSpec, input_shape: tuple[int, ...], classes: int) -> _Named:
    from torch import nn

    from nndiag.zoo.modules import SkipInit

    if len(input_shape) > 1:
        yield "flatten", nn.Flatten()
    features = 1
    for size in input_shape:
        features *= size
    for index, width in enumerate(spec.hidden, start=1):
        with SkipInit():
            layer = nn.Linear(features, width)
        yield from _hidden(spec, index, "fc", layer, agree=features == width)
        features = width
    with SkipInit():
        yield f"fc{spec.depth}", nn.Linear(features, classes)


def _cnn(spec: NetworkSpec, input_shape: tuple[int, ...], classes: int) -> _Named:
    from torch import nn

    from nndiag.zoo.modules import SkipInit

    if len(input_shape) != 3:
        raise UsageError(
            _(
                "--net: cnn needs images (channels, height, width); the data have shape {shape}; "
                "accepted for them: mlp, rnn, lstm, gru"
            ).format(shape=tuple(input_shape))
        )
    channels = input_shape[0]
    for index, width in enumerate(spec.hidden, start=1):
        with SkipInit():
            layer = nn.Conv2d(channels, width, 3, padding=1)
        yield from _hidden(spec, index, "conv", layer, agree=channels == width)
        channels = width
    yield "pool", nn.AdaptiveAvgPool2d(1)
    yield "flatten", nn.Flatten()
    with SkipInit():
        yield f"fc{spec.depth}", nn.Linear(channels, classes)


def _hidden(spec: NetworkSpec, index: int, kind: str, layer: nn.Module, *, agree: bool) -> _Named:
    """Yield a weight layer with what follows it: norm, activation, dropout.

    The layer keeps its bias before a BatchNorm, which cancels it: harmless, and how most people
    write it.
    """
    from nndiag.zoo.modules import Residual

    block = OrderedDict([(f"{kind}{index}", layer)])
    norm = normalisations.build(spec.norm, spec.hidden[index - 1], image=kind == "conv")
    if norm is not None:
        block[f"norm{index}"] = norm
    block[f"act{index}"] = activations.parse(spec.act).build()
    if spec.dropout:
        from torch import nn

        block[f"dropout{index}"] = nn.Dropout(spec.dropout)
    if spec.spatial_dropout:
        from torch import nn

        block[f"spatial_dropout{index}"] = nn.Dropout2d(spec.spatial_dropout)
    if spec.residual and agree:
        yield f"block{index}", Residual(block)
    else:
        yield from block.items()


def _recurrent(spec: NetworkSpec, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    from torch import nn

    from nndiag.zoo.modules import Recurrent, SkipInit

    _steps, features = sequence_shape(input_shape)
    cells = OrderedDict()
    for index in range(1, spec.depth + 1):
        cells[f"{spec.net}{index}"] = _cell(spec, features)
        features = spec.width
    with SkipInit():
        fc = nn.Linear(spec.width, classes)
    return Recurrent(cells, fc, dropout=spec.dropout, residual=spec.residual)


def _cell(spec: NetworkSpec, features: int) -> nn.Module:
    from nndiag.zoo.modules import ElmanCell, GRUCell, LSTMCell, SkipInit

    if spec.net == "rnn":
        act = activations.parse(spec.act).build()
        return ElmanCell(features, spec.width, act, normalisations.build(spec.norm, spec.width))
    with SkipInit():
        return (LSTMCell if spec.net == "lstm" else GRUCell)(features, spec.width)
