"""Image classifiers to transfer from: torchvision's by name, a small one of ours, or the user's.

The table is `data/backbones.json`, which scripts/make_backbones.py writes from torchvision's
metadata; reading it loads neither torch nor torchvision.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError, unknown_name
from nndiag.schema.spec_transfer import WEIGHTS
from nndiag.zoo.registry import is_import, resolve_import

if TYPE_CHECKING:
    from torch import nn

FACTORY_FORM = "package.module:factory"
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
        parameters: of the whole network, with `classes` outputs and the auxiliary classifier that
            torchvision's weights have (Inception).
        top1: accuracy on ImageNet in per cent of torchvision's default weights, None without any.
        crop, resize: side of the square it sees, and of the short side before cropping, in pixels.
        least: smallest side that it can take; of a vision transformer the side of one patch.
        weights: name of torchvision's default weights; file: its file name.
    """

    name: str
    parameters: int = 0
    classes: int = 1000
    top1: float | None = None
    crop: int = 224
    resize: int = 256
    least: int = 32
    weights: str = ""
    file: str = ""

    def side(self, pixels: int) -> int:
        """Return the least side from `pixels` on that it can take."""
        step = self.least if self.name.startswith("vit") else 1  # whole patches
        return step * -(-max(pixels, self.least) // step)

    @property
    def small_images(self) -> int:
        """Side to use where the weights were not learnt on images of `crop` pixels."""
        return self.side(32)


SMALL = Backbone(name="small_cnn", parameters=94_762, classes=10, crop=32, resize=32, least=8)


@functools.cache
def table() -> dict[str, Backbone]:
    """Return every named backbone, ours first.

    Raises:
        DataError: the table has not been installed.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data", package.parent / "data"):
        path = folder / "backbones.json"
        if path.is_file():
            rows = json.loads(path.read_text(encoding="utf-8"))
            return {SMALL.name: SMALL, **{row["name"]: Backbone(**row) for row in rows}}
    raise DataError(
        _("the table of backbones {path} is missing; install nndiag again").format(
            path=package / "data" / "backbones.json"
        )
    )


def names() -> tuple[str, ...]:
    """Return every name, ours first."""
    return tuple(table())


def row(name: str, option: str = _OPTION, besides: Sequence[str] = ()) -> Backbone:
    """Return the backbone of a name (case, `-` and a missing `_` do not matter).

    Args:
        option: where the name was given, for the message.
        besides: names that are right there too, for the message.

    Raises:
        UsageError: no such name; a factory that cannot be imported.
    """
    if is_import(name):
        resolve_import(name, option)
        return Backbone(name=name)
    plain = name.lower().replace("-", "_")
    plain = ALIASES.get(plain, plain)
    if plain in table():
        return table()[plain]
    squeezed = {key.replace("_", ""): key for key in table()}
    if plain.replace("_", "") in squeezed:
        return table()[squeezed[plain.replace("_", "")]]
    raise unknown_name(option, name, [*besides, *table(), *ALIASES], FACTORY_FORM)


def check_weights(asked: str, name: str) -> None:
    """Find what is wrong with `--weights` before anything long starts.

    Raises:
        UsageError: a file that is not there; ImageNet weights of a backbone that has none.
    """
    if asked not in WEIGHTS and not Path(asked).expanduser().is_file():
        raise UsageError(
            _("--weights: '{asked}' is neither a file nor one of {known}").format(
                asked=asked, known=", ".join(WEIGHTS)
            )
        )
    if asked == "imagenet" and not row(name).file:
        raise UsageError(_("--weights imagenet: {name} has none").format(name=name))


def build(
    name: str,
    *,
    classes: int | None = None,
    image_size: int | None = None,
    auxiliary: bool = False,
    option: str = _OPTION,
) -> nn.Module:
    """Return a new network with random weights.

    Args:
        classes: outputs; None for as many as the row says. A factory decides itself.
        image_size: side in pixels; a vision transformer has a table of positions for it.
        auxiliary: with the auxiliary classifier of Inception.
        option: where the name was given, for the message.

    Raises:
        UsageError: as `row`; a factory that fails or returns no network.
    """
    found = row(name, option)
    if is_import(found.name):
        return _of_user(found.name, option)
    outputs = found.classes if classes is None else classes
    if found is SMALL:
        return small_cnn(outputs)
    from torchvision import models

    more: dict[str, Any] = {}
    if found.name in ("inception_v3", "googlenet"):
        # Their weights were learnt on images scaled in another way: they undo the usual one.
        more = {"aux_logits": False, "transform_input": True, "init_weights": True}
    if found.name == "inception_v3":
        more |= {"aux_logits": auxiliary, "init_weights": False}
    if found.name.startswith("vit"):
        more = {"image_size": image_size or found.crop}
    return models.get_model(found.name, weights=None, num_classes=outputs, **more)


def outline(name: str, **chosen: Any) -> nn.Module:
    """Return what `build` returns, of any size at once: shapes without memory (device `meta`)."""
    from nndiag.zoo.modules import Hollow, emptied

    with Hollow():
        model = build(name, **chosen)
    return emptied(model)


def _of_user(name: str, option: str) -> nn.Module:
    """Call a factory that takes no arguments, or copy a module."""
    from torch import nn

    found = resolve_import(name, option)
    if isinstance(found, nn.Module):
        return copy.deepcopy(found)
    try:
        model = found()
    except Exception as error:  # a user's factory may raise anything
        raise UsageError(
            _("{option}: calling '{name}' without arguments failed with {kind}: {error}").format(
                option=option, name=name, kind=type(error).__name__, error=error
            )
        ) from error
    if not isinstance(model, nn.Module):
        raise UsageError(
            _("{option}: '{name}' returned {kind}, which is no torch.nn.Module").format(
                option=option, name=name, kind=type(model).__name__
            )
        )
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
        UsageError: the model has no classifier that could be taken off.
    """
    from torch import nn

    name = end_of(model)
    if name is not None:
        if length := length_to_end(model):
            model = model[:length]  # type: ignore[index]
        pool = [("avgpool", nn.AdaptiveAvgPool2d(1))] if pooled and pools_in_end(model) else []
        parent, _dot, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, nn.Identity())
        if not pooled and isinstance(getattr(model, "avgpool", None), nn.Module):
            model.avgpool = nn.Identity()
        return nn.Sequential(OrderedDict([("body", model), *pool, ("flatten", nn.Flatten(1))]))
    parts: OrderedDict[str, nn.Module] = OrderedDict(features=model.features)  # type: ignore[arg-type]
    if type(model).__name__ == "DenseNet":
        parts["relu"] = nn.ReLU()
    if pooled:
        parts["avgpool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten(1)
    return nn.Sequential(parts)


def end_of(model: nn.Module) -> str | None:
    """Return the name of the classifier's module; None where `features` are the backbone.

    A model that names none in the usual way ends in its last linear layer.

    Raises:
        UsageError: it has none either.
    """
    from torch import nn

    if isinstance(getattr(model, "features", None), nn.Module) and not hasattr(model, "head"):
        return None
    for name in _HEADS:
        if isinstance(getattr(model, name, None), nn.Module):
            return name
    linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and name]
    if linear:
        return linear[-1]
    raise UsageError(
        _(
            "--backbone: {kind} has no classifier to replace: none of {names}, no linear layer"
        ).format(kind=type(model).__name__, names=", ".join(("features", *_HEADS)))
    )


def length_to_end(model: nn.Module) -> int:
    """Return how many layers of a plain sequence lead to its classifier, which included; else 0.

    What comes after it (a softmax) is none of the backbone.
    """
    from torch import nn

    end = end_of(model)
    if type(model) is not nn.Sequential or end not in model._modules:
        return 0
    return list(model._modules).index(end) + 1


def pools_in_end(model: nn.Module) -> bool:
    """Say whether the classifier itself averages over positions (MaxViT), so that taking it off
    leaves a map."""
    from torch import nn

    name = end_of(model)
    return name is not None and any(
        isinstance(part, nn.AdaptiveAvgPool2d) for part in model.get_submodule(name).modules()
    )


def blocks(network: nn.Module) -> list[tuple[str, nn.ModuleList]]:
    """Return at most eight blocks from input to output, which own each parameter once."""
    from torch import nn

    units = _units(network)
    while len(units) > 1 and not _own(units[0][1]):  # what only reshapes joins what follows
        (_name, reshaping), (name, layers) = units[:2]
        units[:2] = [(name, reshaping + layers)]
    size = -(-len(units) // _MOST_BLOCKS)
    merged = [units[start : start + size] for start in range(0, len(units), size)]
    found = []
    for group in merged:
        parts = nn.ModuleList([part for _name, parts in group for part in parts])
        found.append((_range([name for name, parts in group if _own(parts)]), parts))
    loose = _loose(network, {id(p) for _name, block in found for p in block.parameters()})
    found[0][1].extend(loose)
    return found


def _own(parts: Sequence[nn.Module]) -> bool:
    return any(True for part in parts for _parameter in part.parameters())


def _range(names: Sequence[str]) -> str:
    """Return such as `layer1`, `features.2..4` or `conv3..inception3a`."""
    first, last = (name.removeprefix("body.") for name in (names[0], names[-1]))
    if first == last:
        return first
    stem = re.sub(r"\d+$", "", first)
    number = last.removeprefix(stem)
    return f"{first}..{number if number.isdigit() else last.rpartition('.')[2]}"


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
