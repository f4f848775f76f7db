"""`nndiag summary`: the layers of a network, without its values."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from nndiag import __version__
from nndiag.locales import _
from nndiag.probe.summary import Part, parts
from nndiag.schema.errors import UsageError
from nndiag.schema.result import Result
from nndiag.schema.spec_summary import SummarySpec
from nndiag.training import devices
from nndiag.zoo import backbones, networks
from nndiag.zoo.modules import Hollow, emptied
from nndiag.zoo.registry import is_import

_OPTION = "MODEL"
#: What our own nets are usually run on: a digit.
_DIGITS, _CLASSES = (1, 8, 8), 10
#: Of a user's network: sides of pictures, and length of sequences.
_SIDES, _STEPS = (224, 32, 28, 96, 299), 16

Shape = tuple[int, ...]


def run(spec: SummarySpec) -> Result:
    """Return shapes, parameters and operations of every module.

    Raises:
        UsageError: no such model, or one that does not take inputs of this shape.
    """
    started = time.perf_counter()
    row = None if spec.network is not None else backbones.row(spec.model, _OPTION)
    name = spec.model if row is None else row.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about values that are not there
        shape, found = _looked_at(spec, name)
    return Result(
        command="summary",
        spec=spec.to_dict(),
        environment=devices.environment(torch.device("cpu")),
        seconds=time.perf_counter() - started,
        result={
            "model": name,
            "kind": found[0].kind,
            "input_shape": (spec.batch_size, *shape),
            "output_shape": found[0].output,
            "top1": None if row is None else row.top1,
            "rows": [_row(part, name) for part in found],
            "totals": {
                "parameters": found[0].parameters,
                "trainable_parameters": found[0].trainable,
                "flops": found[0].flops,
                "bytes": sum(part.bytes for part in found),
            },
        },
        version=__version__,
    )


def _looked_at(spec: SummarySpec, name: str) -> tuple[Shape, list[Part]]:
    """Return the first shape of an input that the network takes, and what it consists of."""
    problems: dict[Shape, Exception] = {}
    for model, shape in _attempts(spec):
        kind = torch.long if isinstance(_first_layer(model), nn.Embedding) else None
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        inputs = torch.zeros(spec.batch_size, *shape, dtype=kind, device=device)
        try:
            return shape, parts(model, inputs)
        except Exception as error:  # layers say in many ways that a shape does not suit them
            problems[shape] = error
    shape, problem = next(iter(problems.items()))
    raise UsageError(
        _("--input-size: {model} does not take inputs of {shape}: {problem}").format(
            model=name,
            shape="\u00d7".join(map(str, shape)),
            problem=next(iter(str(problem).splitlines()), "") or type(problem).__name__,
        )
    ) from None


def _attempts(spec: SummarySpec) -> Iterator[tuple[nn.Module, Shape]]:
    """Yield the network without values and an input shape; a user's real one where it needs them.

    For a user's network without a shape there are several to try.
    """
    if spec.network is not None:
        shape = spec.input_shape or _DIGITS
        with Hollow():
            model = networks.build(spec.network, shape, spec.classes or _CLASSES)
        yield emptied(model), shape
    elif not is_import(spec.model):
        side = backbones.row(spec.model, _OPTION).crop
        shape = spec.input_shape or (3, side, side)
        more = {"classes": spec.classes, "image_size": shape[-1], "auxiliary": True}
        yield backbones.outline(spec.model, **more, option=_OPTION), shape
    else:
        for build in (backbones.outline, backbones.build):
            try:
                model = build(spec.model, option=_OPTION)
            except Exception:  # without values a factory fails in many ways, the next one does not
                if build is backbones.build:
                    raise
                continue
            for shape in [spec.input_shape] if spec.input_shape else _likely(model):
                yield model, shape


def _likely(model: nn.Module) -> list[Shape]:
    """Return shapes of one sample that the first layer suggests, the likeliest first."""
    first = _first_layer(model)
    if isinstance(first, nn.Linear) and first.in_features:
        return [(first.in_features,)]
    if isinstance(first, nn.RNNBase):
        return [(_STEPS, first.input_size)]
    if isinstance(first, nn.Embedding):
        return [(_STEPS,)]
    if isinstance(first, nn.modules.conv._ConvNd):
        channels = first.in_channels or 3
        return [(channels, *[side] * len(first.kernel_size)) for side in _SIDES]
    return [(3, side, side) for side in _SIDES]


def _first_layer(model: nn.Module) -> nn.Module | None:
    """Return the first module that has parameters of its own."""
    return next((part for part in model.modules() if part._parameters), None)


def _row(part: Part, model: str) -> dict[str, Any]:
    return {
        "label": part.name or model,
        "kind": part.kind,
        "depth": part.depth,
        "leaf": part.leaf,
        "calls": part.calls,
        "output_shape": part.output,
        "parameters": part.parameters,
        "trainable_parameters": part.trainable,
        "own_parameters": part.own,
        "flops": part.flops,
        "own_flops": part.own_flops,
    }
