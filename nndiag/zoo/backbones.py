"""Image classifiers to transfer from: torchvision's by name, a small one of ours, or the user's.

The table is `data/backbones.json`, written from torchvision's metadata by scripts/make_backbones.py;
reading it loads neither torch nor torchvision.
"""

from __future__ import annotations

import functools
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nndiag.schema.errors import unknown_name
from nndiag.zoo.registry import IMPORT_FORM, is_import, resolve_import

if TYPE_CHECKING:
    from torch import nn

_OPTION = "--backbone"
_MOST_BLOCKS = 8
#: A child with this share of the parameters is opened: `features`, `encoder`, `trunk_output`.
_WHOLE = 0.9
#: What ends the backbone, by the attribute that holds it, the likeliest first.
_HEADS = ("fc", "heads", "head", "classifier")
ALIASES = {
    "mobilenet_v3": "mobilenet_v3_large",
    "mobilenet": "mobilenet_v3_large",
    "resnet": "resnet50",
    "vgg": "vgg16",
    "efficientnet": "efficientnet_b0",
    "convnext": "convnext_tiny",
    "vit": "vit_b_16",
    "inception": "inception_v3",
}


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One classifier.

    Attributes:
        parameters: of the whole network with its 1,000 classes (`small_cnn`: 10).
        top1: accuracy on ImageNet in per cent of torchvision's default weights, None without any.
        crop, resize: side of the square it sees, and of the short side before cropping, in pixels.
        least: smallest side that it can take.
        weights: name of torchvision's default weights; file: its file name.
    """

    name: str
    parameters: int = 0
    top1: float | None = None
    crop: int = 224
    resize: int = 256
    least: int = 32
    weights: str = ""
    file: str = ""

    @property
    def small_images(self) -> int:
        """Side to use where the weights were not learnt on images of `crop` pixels."""
        return 32 * -(-max(self.least, 32) // 32) if self.name != "inception_v3" else 75


SMALL = Backbone(name="small_cnn", parameters=94_762, crop=32, resize=32, least=8)


@functools.cache
def table() -> dict[str, Backbone]:
    """Return every named backbone, ours first."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data", package.parent / "data"):
        if (folder / "backbones.json").is_file():
            rows = json.loads((folder / "backbones.json").read_text(encoding="utf-8"))
            return {SMALL.name: SMALL, **{row["name"]: Backbone(**row) for row in rows}}
    return {SMALL.name: SMALL}


def row(name: str) -> Backbone:
    """Return the backbone of a name (case, `-` and a missing `_` do not matter).

    Raises:
        UsageError: no such name; a factory that cannot be imported.
    """
    if is_import(name):
        resolve_import(name, _OPTION)
        return Backbone(name=name)
    plain = name.lower().replace("-", "_")
    plain = ALIASES.get(plain, plain)
    if plain in table():
        return table()[plain]
    squeezed = {key.replace("_", ""): key for key in table()}
    if plain.replace("_", "") in squeezed:
        return table()[squeezed[plain.replace("_", "")]]
    raise unknown_name(_OPTION, name, [*table(), *ALIASES], IMPORT_FORM)


def build(name: str, *, classes: int = 1000, image_size: int | None = None) -> nn.Module:
    """Return a new network with random weights.

    Args:
        image_size: side in pixels; a vision transformer has a table of positions for it.

    Raises:
        UsageError: as `row`.
    """
    found = row(name)
    if is_import(found.name):
        return _of_user(found.name)
    if found is SMALL:
        return small_cnn(classes)
    from torchvision import models

    more: dict[str, Any] = {}
    if found.name.startswith(("inception", "googlenet")):
        more = {"aux_logits": False, "init_weights": found.name != "inception_v3"}
    if found.name.startswith("vit") and image_size:
        more = {"image_size": image_size}
    return models.get_model(found.name, weights=None, num_classes=classes, **more)


def _of_user(name: str) -> nn.Module:
    from torch import nn

    found = resolve_import(name, _OPTION)
    model = found if isinstance(found, nn.Module) else found()
    assert isinstance(model, nn.Module)
    return model


def small_cnn(classes: int) -> nn.Module:
    """Return three blocks of convolution, BatchNorm, ReLU and pooling, and a linear layer."""
    from torch import nn

    features: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for place, width in enumerate((32, 64, 128), start=1):
        features[f"block{place}"] = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        channels = width
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(features),
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(1),
            fc=nn.Linear(channels, classes),
        )
    )


def body(model: nn.Module, *, pooled: bool = True) -> nn.Module:
    """Return a network from images to flat features: the model without its classifier.

    Networks with convolutional `features` and fully connected layers behind them (VGG) keep the
    former only, averaged over positions.

    Args:
        pooled: average the last map over its positions, else flatten it.

    Raises:
        ValueError: no known end was found.
    """
    from torch import nn

    name = end_of(model)
    if name is not None:
        setattr(model, name, nn.Identity())
        if not pooled and isinstance(getattr(model, "avgpool", None), nn.Module):
            model.avgpool = nn.Identity()
        return nn.Sequential(OrderedDict(body=model, flatten=nn.Flatten(1)))
    parts: OrderedDict[str, nn.Module] = OrderedDict(features=model.features)  # type: ignore[arg-type]
    if type(model).__name__ == "DenseNet":
        parts["relu"] = nn.ReLU()
    if pooled:
        parts["avgpool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten(1)
    return nn.Sequential(parts)


def end_of(model: nn.Module) -> str | None:
    """Return the attribute that holds the classifier; None where `features` are the backbone.

    Raises:
        ValueError: there is neither.
    """
    from torch import nn

    if isinstance(getattr(model, "features", None), nn.Module) and not hasattr(model, "head"):
        return None
    for name in _HEADS:
        if isinstance(getattr(model, name, None), nn.Module):
            return name
    raise ValueError(f"{type(model).__name__} has none of features, {', '.join(_HEADS)}")


def blocks(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return at most eight blocks from input to output, which own each parameter once."""
    from torch import nn

    units = _units(network)
    size = -(-len(units) // _MOST_BLOCKS)
    merged = [units[start : start + size] for start in range(0, len(units), size)]
    found = []
    for group in merged:
        name = group[0][0] if len(group) == 1 else f"{group[0][0]}..{group[-1][0]}"
        found.append((name, nn.ModuleList([part for _name, parts in group for part in parts])))
    loose = _loose(network, {id(p) for _name, block in found for p in block.parameters()})
    found[0][1].extend(loose)
    return found


_Unit = tuple[str, list[Any]]


def _units(module: nn.Module) -> list[_Unit]:
    """Return the parts that follow one another, norms and activations with what they follow."""
    from torch import nn

    whole = sum(p.numel() for p in module.parameters())
    units: list[_Unit] = []
    cut = True
    for name, child in module.named_children():
        own = sum(p.numel() for p in child.parameters())
        if own >= _WHOLE * whole and list(child.children()):
            opened = _units(child)
            if len(opened) > 1:
                units.extend((f"{name}.{inner}", parts) for inner, parts in opened)
                cut = True
                continue
        kind = type(child).__name__
        joins = not own or "Norm" in kind or (isinstance(child, nn.Conv2d) and not cut)
        if joins and units:
            units[-1][1].append(child)
        elif own or not units:
            units.append((name, [child]))
        cut = (cut and not own) or "Pool" in kind
        if own and not isinstance(child, nn.Conv2d):
            cut = "Norm" not in kind or cut
    return units


def _loose(network: nn.Module, owned: set[int]) -> list[nn.Module]:
    """Return holders of the parameters that belong to no part (a table of positions)."""
    from torch import nn

    rest = [p for p in network.parameters() if id(p) not in owned]
    return [nn.ParameterList(rest)] if rest else []
