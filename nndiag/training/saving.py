"""A fine-tuned network as a file that plain torch reads, and back."""

from __future__ import annotations

import json
import sys
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
from nndiag.zoo.registry import is_import, resolve_import

_FORMAT = "nndiag-transfer-1"
_SMALL_BLOCKS = (
    "*(torch.nn.Sequential(torch.nn.Conv2d(i, o, 3, padding=1, bias=False), "
    "torch.nn.BatchNorm2d(o), torch.nn.ReLU(), torch.nn.MaxPool2d(2)) "
    "for i, o in ((3, 32), (32, 64), (64, 128)))"
)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A network read back.

    Attributes:
        model: normalised images (N, 3, S, S) to scores, in evaluation mode.
        code: the lines of plain torch that build it.
        trained: data, labels a class and seed of the images that it learnt from.
    """

    model: nn.Module
    classes: tuple[str, ...]
    image_size: int
    resize: int
    backbone: str
    code: tuple[str, ...]
    trained: Mapping[str, Any]

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
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    row = backbones.row(spec.backbone)
    shape: dict[str, Any] = {
        "backbone": row.name,
        "image_size": image_size,
        "pooled": not spec.head.startswith("flatten"),
        "head": _layers(learner.head),
    }
    code = _code(shape)
    state = _named(shape, code, learner)
    resize = row.resize if image_size == row.crop else image_size
    facts = {**shape, "classes": list(classes), "resize": resize, "trained": trained_on(spec)}
    metadata = {"format": _FORMAT, "nndiag": json.dumps(facts)}
    try:
        save_file(state, path, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise RunError(
            _("--save: {path} cannot be written: {reason}").format(path=path, reason=error)
        ) from None
    return {"path": str(path), "code": [*code, _filled(row.name, path)]}


def trained_on(spec: TransferSpec) -> dict[str, Any]:
    """Return what decides which images the first network of a run learns from."""
    return {
        "data": spec.data.name,
        "labels_per_class": spec.labels_per_class[0],
        "seed": spec.seed,
    }


def load(path: str) -> Saved:
    """Read what `save` wrote.

    Raises:
        DataError: no such file, or not one of `save`.
    """
    from safetensors import safe_open

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
        code = (*_code(facts), _filled(str(facts["backbone"]), path))
        return Saved(
            model=_built(code),
            classes=tuple(map(str, facts["classes"])),
            image_size=int(facts["image_size"]),
            resize=int(facts["resize"]),
            backbone=str(facts["backbone"]),
            code=code,
            trained=dict(facts["trained"]),
        )
    except DataError:
        raise
    except Exception as error:  # safetensors, torch and a user's factory, each in its own way
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise DataError(
            _("'{path}' cannot be read: {reason}").format(path=path, reason=reason)
        ) from None


def _named(shape: Mapping[str, Any], code: Sequence[str], learner: Learner) -> dict[str, Tensor]:
    """Return the values of body and head by their names in the network that `code` builds.

    Both keep their order; the head of a user's network need not be the last in it.
    """
    net = _built(code)
    end = backbones.end_of(backbones.outline(shape["backbone"], image_size=shape["image_size"]))
    if end is None:
        end, _last = list(net.named_children())[-1]
    names = sorted(net.state_dict(), key=lambda name: name.startswith(f"{end}."))
    values = [*learner.body.state_dict().values(), *learner.head.state_dict().values()]
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in zip(names, values, strict=True)
    }


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


def _code(shape: Mapping[str, Any]) -> tuple[str, str]:
    """Return two lines of plain torch: imports, and the network as `net`.

    Only numbers and known names of `shape` get into them.
    """
    name, head = str(shape["backbone"]), _head_text(shape["head"])
    if name.partition(":")[0].partition(".")[0] in sys.stdlib_module_names:
        raise ValueError(_("{name} is no network").format(name=name))
    name = backbones.row(name).name
    pool = "torch.nn.AdaptiveAvgPool2d(1), " if shape["pooled"] else ""
    if name == backbones.SMALL.name:
        net = f"net = torch.nn.Sequential({_SMALL_BLOCKS}, {pool}torch.nn.Flatten(1), {head})"
        return "import safetensors.torch, torch", net
    size = int(shape["image_size"])
    model = backbones.outline(name, image_size=size)
    if is_import(name):
        library, _colon, made = name.rpartition(":")
        made = f"{library}.{made}"
        ready = isinstance(resolve_import(name, "--load"), nn.Module)
        made = f"copy.deepcopy({made})" if ready else f"{made}()"
        library = f"copy, {library}" if ready else library
    else:
        library, made = "torchvision", f"torchvision.models.{name}({_arguments(name, size)})"
    end = backbones.end_of(model)
    if end is None:
        relu = "torch.nn.ReLU(), " if type(model).__name__ == "DenseNet" else ""
        made = f"torch.nn.Sequential({made}.features, {relu}{pool}torch.nn.Flatten(1), {head})"
        return f"import safetensors.torch, torch, {library}", f"net = {made}"
    if backbones.pools_in_end(model):
        head = f"torch.nn.Sequential({pool}torch.nn.Flatten(1), {head})"
    place = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in end.split("."))
    if length := backbones.length_to_end(model):
        made += f"[:{length}]"
    parts = [f"net = {made}", f"net{place} = {head}"]
    if not shape["pooled"] and hasattr(model, "avgpool"):
        parts.insert(1, "net.avgpool = torch.nn.Identity()")
    return f"import safetensors.torch, torch, {library}", "; ".join(parts)


def _filled(name: str, path: str) -> str:
    """Return the line that reads the values into `net`."""
    read = f"safetensors.torch.load_file({json.dumps(str(path))})"
    if name.startswith("mnasnet"):  # it asks for the version that its own state has
        read = f"dict.update(state := net.state_dict(), {read}) or state"
    return f"net.load_state_dict({read}); net.eval()"


def _arguments(name: str, image_size: int) -> str:
    if name in ("googlenet", "inception_v3"):
        return "aux_logits=False, init_weights=False, transform_input=True"
    return f"image_size={image_size}" if name.startswith("vit") else ""


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
