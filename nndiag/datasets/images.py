"""Images of a target task: a few labelled ones to learn from, the rest to measure with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as nf

from nndiag.datasets import embedded, image_sources
from nndiag.datasets.letters import enlarged
from nndiag.datasets.splits import Split
from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError, unknown_name
from nndiag.schema.progress import Watch
from nndiag.schema.spec_transfer import ImageDataSpec

#: Every channel is brought to mean 0 and deviation 1 on ImageNet (torchvision's constants).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL_DIGITS = ("5", "6", "7", "8", "9")
#: Share of the images that are not for training.
VALIDATION = 0.25
_MOST, _MOST_BYTES = 4000, 2**28


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
            classes=spec.classes,
            watch=watch,
        )
    if spec.name == "digits":
        return _digits(spec, labels_per_class, image_size, seed)
    return _downloaded(spec, labels_per_class, image_size, seed, watch)


def check(spec: ImageDataSpec, labels_per_class: int, watch: Watch | None = None) -> None:
    """Find what is wrong with the data before anything long is done; downloads what is missing.

    Raises:
        UsageError, DataError: as `load`.
    """
    image_sources.check(spec)
    if spec.name.startswith(image_sources.FOLDER):
        from nndiag.datasets import folder

        place = image_sources.folder(spec.name.removeprefix(image_sources.FOLDER))
        folder.listed(place, labels_per_class, spec.classes)
    elif spec.name == "digits":
        _digits(spec, labels_per_class, 8, seed=0)
    else:
        from nndiag.datasets import vision

        vision.fetched(spec.name, spec.root, watch)


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
    wanted = _chosen(spec.classes or splits.classes, list(splits.classes))
    names = tuple(splits.classes[k] for k in wanted)
    pool, whole_test = _joined(splits.train, splits.validation), _joined(splits.test)
    low = pool.x.amin((0, 2, 3)).view(-1, 1, 1)  # they come standardised
    high = pool.x.amax((0, 2, 3)).view(-1, 1, 1)

    def part(whole: Labelled, rows: Tensor) -> Labelled:
        x = _resized(((whole.x[rows] - low) / (high - low)).clamp(0, 1), image_size)
        return Labelled(x=x, y=torch.searchsorted(torch.tensor(wanted), whole.y[rows]))

    most = most_held_out(image_size)
    train, validation, _rest = divided(_labels(pool, wanted), names, count, seed, most=most)
    order = torch.randperm(len(whole_test.y), generator=torch.Generator().manual_seed(seed))
    share = round((1 - VALIDATION) * most) // len(names)
    test = torch.cat([order[whole_test.y[order] == label][:share] for label in wanted])
    return TargetImages(
        train=part(pool, train),
        validation=part(pool, validation),
        test=part(whole_test, test),
        classes=names,
        source=splits.source,
    )


def _joined(*splits: Split) -> Labelled:
    x, y = (np.concatenate([getattr(one, name) for one in splits]) for name in "xy")
    return Labelled(x=torch.from_numpy(x), y=torch.from_numpy(y))


def _labels(whole: Labelled, wanted: list[int]) -> Tensor:
    """Return labels counted among the wanted classes, -1 for the others."""
    numbers = torch.full((int(whole.y.max()) + 1,), -1)
    numbers[torch.tensor(wanted)] = torch.arange(len(wanted))
    return numbers[whole.y]


def most_held_out(image_size: int) -> int:
    """Return how many images to measure with at most, so that they fit into memory."""
    return min(_MOST, _MOST_BYTES // (12 * image_size**2))


def _resized(x: Tensor, size: int) -> Tensor:
    sides = (size, size)
    x = nf.interpolate(x, size=sides, mode="bilinear", align_corners=False, antialias=True)
    return x.expand(-1, 3, -1, -1).contiguous()


def _chosen(names: tuple[str, ...], known: list[str]) -> list[int]:
    for name in names:
        if name not in known:
            raise unknown_name("--classes", name, known)
    if len(set(names)) < 2:
        raise UsageError(_("--classes: at least two classes are needed"))
    return sorted({known.index(name) for name in names})


def too_few(name: str, have: int, count: int) -> DataError:
    """Build the error for a class that is too small for `count` labels."""
    return DataError(
        _(
            "--labels-per-class: class '{name}' has {have} images; {count} for training "
            "and at least 4 to measure with are needed"
        ).format(name=name, have=have, count=count)
    )


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
            raise too_few(name, len(rows), count)
        train.append(rows[:count])
        rest.append(rows[count:])
    if most is not None:
        rest = [rows[: most // len(names)] for rows in rest]
    cut = [max(2, round(VALIDATION * len(rows))) for rows in rest]
    validation = torch.cat([rows[:k] for rows, k in zip(rest, cut, strict=True)])
    test = torch.cat([rows[k:] for rows, k in zip(rest, cut, strict=True)])
    return torch.cat(train), validation, test
