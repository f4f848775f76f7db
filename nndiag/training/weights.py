"""Where a backbone's weights come from: ImageNet, a pre-training here, a file, or nowhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nndiag import __version__
from nndiag.datasets import checkpoints
from nndiag.locales import _, localised
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Watch
from nndiag.training import pretraining
from nndiag.zoo import backbones


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The state of a body, and where it comes from.

    Attributes:
        state: None for random weights.
        kind: `imagenet`, `source`, `file` or `none`.
        origin: one sentence for the reader.
        accuracy: of the source task, where there was one.
    """

    state: Mapping[str, Tensor] | None
    kind: str
    origin: str
    accuracy: float | None = None


def cache_folder() -> Path:
    """Return NNDIAG_CACHE, else nndiag/weights in the user's cache folder."""
    chosen = os.environ.get("NNDIAG_CACHE")
    if chosen:
        return Path(chosen).expanduser() / "weights"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nndiag" / "weights"


def imagenet_file(name: str) -> Path:
    """Return where torchvision keeps the ImageNet weights of a backbone."""
    return checkpoints.path(backbones.row(name).file)


def find(
    asked: str, backbone: str, sizes: tuple[int, int], device: torch.device, watch: Watch
) -> Weights:
    """Return the weights asked for; `auto` takes ImageNet's where they can be had at once.

    Args:
        sizes: side of the images for weights made here, and for weights from elsewhere.

    Raises:
        UsageError: no such file; ImageNet weights of a backbone that has none.
        DataError: a file that does not fit, or ImageNet weights that are not to be had.
    """
    backbones.check_weights(asked, backbone)
    small, own = sizes
    if asked == "none":
        return Weights(state=None, kind="none", origin=_("random weights (--weights none)"))
    if asked == "imagenet":
        return _imagenet(backbone, own, watch)
    if asked == "source":
        return _source(backbone, small, device, watch, _("as asked"))
    if asked != "auto":
        return _from_file(Path(asked).expanduser(), backbone, own)
    if not backbones.row(backbone).file:
        return _source(backbone, small, device, watch, _("it has no ImageNet weights"))
    if imagenet_file(backbone).is_file() or checkpoints.reachable(_url(backbone)):
        return _imagenet(backbone, own, watch)
    return _source(
        backbone,
        small,
        device,
        watch,
        _("ImageNet weights are neither in {folder} nor within reach").format(
            folder=_from_home(imagenet_file(backbone).parent)
        ),
    )


def _from_home(path: Path) -> str:
    """Return a path as it is usually typed: `~/.cache/torch`."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


# -- ImageNet ----------------------------------------------------------------------------------


def _url(backbone: str) -> str:
    from torchvision import models

    return str(models.get_model_weights(backbones.row(backbone).name).DEFAULT.url)


def _imagenet(backbone: str, image_size: int, watch: Watch) -> Weights:
    otherwise = _(", or use --weights source")
    path = checkpoints.obtain(_url(backbone), "--weights imagenet", watch, otherwise=otherwise)
    row = backbones.row(backbone)
    origin = _("ImageNet weights {file} ({top1} % on ImageNet)").format(
        file=path.name, top1=localised(f"{row.top1:g}")
    )
    if checkpoints.damaged(path):
        origin += _("; its checksum is not the published one")
    state = _body_state(_read(path), row.name, image_size, path)
    return Weights(state=state, kind="imagenet", origin=origin)


# -- files -------------------------------------------------------------------------------------


def _from_file(path: Path, backbone: str, image_size: int) -> Weights:
    state = _body_state(_read(path), backbone, image_size, path)
    return Weights(state=state, kind="file", origin=_("weights of {path}").format(path=path))


def _read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or of a torch file (read without running code)."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file shows in many ways
        if checkpoints.damaged(path):
            raise DataError(
                _("--weights: {path} is damaged; delete it and run again").format(path=path)
            ) from None
        raise DataError(
            _("--weights: {path} cannot be read ({kind})").format(
                path=path, kind=type(error).__name__
            )
        ) from None
    return dict(found.get("state_dict", found))


def _body_state(
    state: Mapping[str, Tensor], backbone: str, image_size: int, path: Path
) -> dict[str, Tensor]:
    """Return the body's part of a state: of a body of ours, or of a whole network of torchvision.

    Raises:
        DataError: it fits neither.
    """
    given = {_today(name): value for name, value in state.items()}
    model = backbones.build(backbone, image_size=image_size)
    patch = getattr(model, "patch_size", None)
    if "encoder.pos_embedding" in given and patch is not None:
        from torchvision.models.vision_transformer import interpolate_embeddings

        given = dict(interpolate_embeddings(image_size, patch, OrderedDict(given)))
    body = backbones.body(model)
    places = {name: name.removeprefix("body.") for name in body.state_dict()}
    found = {
        name: given[place if place in given else name]
        for name, place in places.items()
        if place in given or name in given
    }
    try:
        body.load_state_dict(found)
    except RuntimeError as error:
        problem = str(error).splitlines()[-1].strip()
        raise DataError(
            _("--weights: {path} does not fit the backbone: {problem}").format(
                path=path, problem=problem
            )
        ) from None
    return dict(body.state_dict())


def _today(name: str) -> str:
    """Return what a tensor of a file is called today (DataParallel's prefix, old DenseNets)."""
    name = name.removeprefix("module.")
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)


# -- the source task ---------------------------------------------------------------------------


def _source(
    backbone: str, image_size: int, device: torch.device, watch: Watch, why: str
) -> Weights:
    name = backbones.row(backbone).name
    how = pretraining.recipe(name, image_size)
    path = cache_folder() / f"{name.replace(':', '.')}-{image_size}-{_key(how)}.safetensors"
    known = _cached(path)
    if known is None:
        watch.stage(_("measuring the speed of {name}").format(name=name), pretraining.TIMED)
        seconds = pretraining.estimate(how, device, told=watch.update)
        told = _("pre-training {name} on letters, kept for next time").format(name=name)
        watch.stage(told, how.batches, seconds=seconds)
        done = pretraining.pretrain(how, device, told=watch.update)
        known = done.state, done.accuracy
        try:
            _keep(path, *known)
        except OSError as error:
            why = _("{why}; not kept in {folder}: {reason}").format(
                why=why, folder=path.parent, reason=error.strerror or error
            )
    origin = _("pre-trained here on drawn letters, {accuracy} % right on new ones ({why})")
    return Weights(
        state=known[0],
        kind="source",
        origin=origin.format(accuracy=localised(f"{100 * known[1]:.1f}"), why=why),
        accuracy=known[1],
    )


def _key(how: pretraining.Recipe) -> str:
    text = json.dumps([__version__, asdict(how)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _keep(path: Path, state: Mapping[str, Tensor], accuracy: float) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    metadata = {"accuracy": repr(accuracy), "digest": _digest(state)}
    try:
        save_file(dict(state), part, metadata=metadata)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _cached(path: Path) -> tuple[dict[str, Tensor], float] | None:
    """Return state and accuracy, None where there is no whole file."""
    from safetensors import safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as opened:
            metadata: dict[str, Any] = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        if _digest(state) == metadata["digest"]:
            return state, float(metadata["accuracy"])
    except Exception:  # cut short or overwritten: it is made again
        pass
    return None


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
