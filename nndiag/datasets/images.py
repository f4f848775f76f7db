"""Images of a target task: a few labelled ones to learn from, the rest to measure with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nndiag.datasets import embedded, image_sources
from nndiag.datasets.letters import enlarged
from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError, unknown_name
from nndiag.schema.progress import Watch
from nndiag.schema.spec_transfer import ImageDataSpec

#: Every channel is brought to mean 0 and deviation 1 on ImageNet (torchvision's constants).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL_DIGITS = ("5", "6", "7", "8", "9")
_VALIDATION = 0.25  # share of the images that are not for training


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Images (N, 3, S, S) from 0 to 1 and labels (N,)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetImages:
    """A target task.

    Attributes:
        train: the few labelled images; validation: what is watched while training;
            test: what is looked at once, at the end. No image is in two of them.
        problems: files that could not be read.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    classes: tuple[str, ...]
    source: str
    problems: tuple[str, ...] = ()


def normalised(x: Tensor) -> Tensor:
    """Return images from 0 to 1 as networks of torchvision expect them."""
    mean, deviation = _constants(x)
    return (x - mean) / deviation


def pixels(x: Tensor) -> Tensor:
    """Undo `normalised`."""
    mean, deviation = _constants(x)
    return (x * deviation + mean).clamp(0, 1)


def _constants(x: Tensor) -> list[Tensor]:
    return [
        torch.tensor(values, dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
        for values in (_MEAN, _DEVIATION)
    ]


def load(
    spec: ImageDataSpec,
    *,
    labels_per_class: int,
    image_size: int,
    seed: int,
    resize: int | None = None,
    watch: Watch | None = None,
) -> TargetImages:
    """Return the images of a target task.

    Args:
        labels_per_class: training images of every class.
        image_size: side in pixels; resize: of the short side before cropping (photographs).
        seed: which images are labelled.

    Raises:
        UsageError: unknown data set or class.
        DataError: a class has too few images; no such folder.
    """
    image_sources.check(spec)
    if spec.name.startswith(image_sources.FOLDER):
        from nndiag.datasets import folder

        return folder.load(
            image_sources.folder(spec.name.removeprefix(image_sources.FOLDER)),
            labels_per_class=labels_per_class,
            image_size=image_size,
            resize=resize or image_size,
            seed=seed,
            watch=watch,
        )
    if spec.name == "digits":
        return _digits(spec, labels_per_class, image_size, seed)
    return _downloaded(spec, labels_per_class, image_size, seed, watch)


def _digits(spec: ImageDataSpec, count: int, image_size: int, seed: int) -> TargetImages:
    grey, labels = embedded.read()
    wanted = _chosen(spec.classes or _USUAL_DIGITS, [str(digit) for digit in range(10)])
    keep = np.isin(labels, wanted)
    y = torch.from_numpy(np.searchsorted(wanted, labels[keep]).astype(np.int64))
    x = torch.from_numpy(grey[keep].astype(np.float32))[:, None] / 16
    names = tuple(str(digit) for digit in wanted)
    parts = divided(y, names, count, seed)
    train, validation, test = (
        Labelled(x=enlarged(x[rows], image_size), y=y[rows]) for rows in parts
    )
    return TargetImages(
        train=train,
        validation=validation,
        test=test,
        classes=names,
        source=_("digits {first} to {last}, 8 x 8 pixels enlarged to {size}").format(
            first=names[0], last=names[-1], size=image_size
        ),
    )


def _downloaded(
    spec: ImageDataSpec, count: int, image_size: int, seed: int, watch: Watch | None
) -> TargetImages:
    from nndiag.datasets import vision

    splits = vision.load(spec.name, root=spec.root, seed=seed, progress=watch)
    wanted = _chosen(spec.classes, list(splits.classes)) if spec.classes else None
    whole = [splits.train, splits.validation, splits.test]
    x = torch.from_numpy(np.concatenate([one.x for one in whole]))
    y = torch.from_numpy(np.concatenate([one.y for one in whole]))
    if wanted is not None:
        keep = torch.isin(y, torch.tensor(wanted))
        x, y = x[keep], torch.searchsorted(torch.tensor(wanted), y[keep])
    names = splits.classes if wanted is None else tuple(splits.classes[k] for k in wanted)
    low, high = x.min(), x.max()
    x = (x - low) / (high - low)  # they come standardised
    parts = divided(y, names, count, seed, most=4000)
    train, validation, test = (
        Labelled(x=_resized(x[rows], image_size), y=y[rows]) for rows in parts
    )
    return TargetImages(
        train=train, validation=validation, test=test, classes=names, source=splits.source
    )


def _resized(x: Tensor, size: int) -> Tensor:
    if x.shape[1] == 1:
        return enlarged(x, size)
    return torch.nn.functional.interpolate(
        x, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )


def _chosen(names: tuple[str, ...], known: list[str]) -> list[int]:
    for name in names:
        if name not in known:
            raise unknown_name("--classes", name, known)
    if len(set(names)) < 2:
        raise UsageError(_("--classes: at least two classes are needed"))
    return sorted({known.index(name) for name in names})


def divided(
    y: Tensor, names: tuple[str, ...], count: int, seed: int, most: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows for training (`count` of every class), validation and test, apart.

    Args:
        y: (N,) labels.
        most: images of validation and test together.

    Raises:
        DataError: a class has too few images.
    """
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    train, rest = [], []
    for label, name in enumerate(names):
        rows = order[y[order] == label]
        if len(rows) < count + 4:
            raise DataError(
                _(
                    "--labels-per-class: class '{name}' has {have} images; {count} for training "
                    "and at least 4 to measure with are needed"
                ).format(name=name, have=len(rows), count=count)
            )
        train.append(rows[:count])
        rest.append(rows[count:])
    if most is not None:
        rest = [rows[: most // len(names)] for rows in rest]
    cut = [max(2, round(_VALIDATION * len(rows))) for rows in rest]
    validation = torch.cat([rows[:k] for rows, k in zip(rest, cut, strict=True)])
    test = torch.cat([rows[k:] for rows, k in zip(rest, cut, strict=True)])
    return torch.cat(train), validation, test
