"""A fine-tuned network as a file that plain torch reads, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nndiag.datasets.images import normalised
from nndiag.locales import _
from nndiag.schema.errors import DataError, RunError
from nndiag.schema.spec_transfer import TransferSpec
from nndiag.training.transferring import Learner
from nndiag.zoo import backbones
from nndiag.zoo.registry import is_import

_FORMAT = "nndiag-transfer-1"
_SMALL_CODE = (
    "blocks = [torch.nn.Sequential(torch.nn.Conv2d(i, o, 3, padding=1, bias=False), "
    "torch.nn.BatchNorm2d(o), torch.nn.ReLU(), torch.nn.MaxPool2d(2)) "
    "for i, o in ((3, 32), (32, 64), (64, 128))]"
)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A network read back.

    Attributes:
        model: normalised images (N, 3, S, S) to scores, in evaluation mode.
        code: the lines of plain torch that build it.
    """

    model: nn.Module
    classes: tuple[str, ...]
    image_size: int
    resize: int
    backbone: str
    code: tuple[str, ...]

    def predict(self, x: Tensor) -> Tensor:
        """Return (N, classes) probabilities of images from 0 to 1."""
        with torch.no_grad():
            parts = [self.model(normalised(part)).softmax(1) for part in x.split(64)]
        return torch.cat(parts)


def save(
    learner: Learner, classes: Sequence[str], spec: TransferSpec, path: str, *, image_size: int
) -> dict[str, Any]:
    """Write a trained network; return the path and the lines that load it with plain torch.

    Raises:
        RunError: the file cannot be written.
    """
    from safetensors.torch import save_file

    row = backbones.row(spec.backbone)
    shape: dict[str, Any] = {
        "backbone": row.name,
        "image_size": image_size,
        "pooled": not spec.head.startswith("flatten"),
        "head": _layers(learner.head),
    }
    code = _code(shape)
    names = list(_built(code).state_dict())
    values = [*learner.body.state_dict().values(), *learner.head.state_dict().values()]
    state = {
        name: value.detach().cpu().contiguous() for name, value in zip(names, values, strict=True)
    }
    resize = row.resize if image_size == row.crop else image_size
    facts = {**shape, "classes": list(classes), "resize": resize}
    metadata = {"format": _FORMAT, "nndiag": json.dumps(facts)}
    try:
        save_file(state, path, metadata=metadata)
    except OSError as error:
        raise RunError(
            _("--save: {path} cannot be written: {reason}").format(
                path=path, reason=error.strerror or error
            )
        ) from None
    load_line = f"net.load_state_dict(safetensors.torch.load_file({json.dumps(str(path))}))"
    return {"path": str(path), "code": [*code, f"{load_line}; net.eval()"]}


def load(path: str) -> Saved:
    """Read what `save` wrote.

    Raises:
        DataError: no such file, or not one of `save`.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise DataError(_("there is no file '{path}'").format(path=path))
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
        if metadata.get("format") != _FORMAT:
            raise DataError(
                _("'{path}' was not written by nndiag transfer --save").format(path=path)
            )
        facts = json.loads(metadata["nndiag"])
        code = _code(facts)
        model = _built(code)
        model.load_state_dict(load_file(path))
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise DataError(
            _("'{path}' cannot be read: {reason}").format(
                path=path, reason=str(error).splitlines()[0] or type(error).__name__
            )
        ) from None
    except Exception as error:  # safetensors raises a class of its own for a damaged file
        if isinstance(error, DataError):
            raise
        raise DataError(
            _("'{path}' cannot be read: {reason}").format(path=path, reason=error)
        ) from None
    return Saved(
        model=model.eval(),
        classes=tuple(facts["classes"]),
        image_size=facts["image_size"],
        resize=facts["resize"],
        backbone=facts["backbone"],
        code=code,
    )


def _layers(head: nn.Module) -> list[list[Any]]:
    """Return a head as plain data: kind and sizes of each layer."""
    found: list[list[Any]] = []
    for layer in head if isinstance(head, nn.Sequential) else [head]:
        if isinstance(layer, nn.Linear):
            found.append(["Linear", layer.in_features, layer.out_features])
        elif isinstance(layer, nn.Dropout):
            found.append(["Dropout", layer.p])
        else:
            found.append([type(layer).__name__])
    return found


def _code(shape: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lines of plain torch that build the network as `net`.

    Only numbers and known names of `shape` get into them.
    """
    name, head = backbones.row(str(shape["backbone"])).name, _head_text(shape["head"])
    if is_import(name):
        module, _colon, factory = name.rpartition(":")
        return (
            f"import {module}, safetensors.torch, torch",
            f"net = {module}.{factory}()",
            *_ended(name, head, shape),
        )
    if name == backbones.SMALL.name:
        pool = "torch.nn.AdaptiveAvgPool2d(1), " if shape["pooled"] else ""
        net = f"net = torch.nn.Sequential(*blocks, {pool}torch.nn.Flatten(1), {head})"
        return ("import safetensors.torch, torch", _SMALL_CODE, net)
    more = ""
    if name in ("googlenet", "inception_v3"):
        more = "aux_logits=False, init_weights=False, transform_input=True"
    if name.startswith("vit"):
        more = f"image_size={int(shape['image_size'])}"
    return (
        "import safetensors.torch, torch, torchvision",
        f"net = torchvision.models.{name}({more})",
        *_ended(name, head, shape),
    )


def _ended(name: str, head: str, shape: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lines that put the head on a network."""
    model = backbones.outline(name, image_size=int(shape["image_size"]))
    end = backbones.end_of(model)
    pool_text = "torch.nn.AdaptiveAvgPool2d(1), " if shape["pooled"] else ""
    if end is not None:
        if backbones.pools_in_end(model):
            head = f"torch.nn.Sequential({pool_text}torch.nn.Flatten(1), {head})"
        unpooled = not shape["pooled"] and hasattr(model, "avgpool")
        pool = ("net.avgpool = torch.nn.Identity()",) if unpooled else ()
        place = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in end.split("."))
        return (*pool, f"net{place} = {head}")
    relu = "torch.nn.ReLU(), " if type(model).__name__ == "DenseNet" else ""
    layers = f"net.features, {relu}{pool_text}torch.nn.Flatten(1), {head}"
    return (f"net = torch.nn.Sequential({layers})",)


def _head_text(layers: Sequence[Sequence[Any]]) -> str:
    texts = []
    for kind, *numbers in layers:
        if kind not in ("Linear", "ReLU", "Dropout"):
            raise ValueError(f"unknown layer {kind}")
        number = float if kind == "Dropout" else int
        texts.append(f"torch.nn.{kind}({', '.join(repr(number(n)) for n in numbers)})")
    return texts[0] if len(texts) == 1 else f"torch.nn.Sequential({', '.join(texts)})"


def _built(code: Sequence[str]) -> nn.Module:
    """Run the lines that the user is shown; what they build is what is saved and loaded."""
    space: dict[str, Any] = {}
    with torch.random.fork_rng():
        exec("\n".join(code), space)  # lines of `_code`, never of a file
    found = space["net"]
    assert isinstance(found, nn.Module)
    return found
