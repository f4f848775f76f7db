"""What `nndiag transfer` runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import DEVICES, require_choice, require_positive, require_range

KINDS = ("inductive", "unsupervised", "transductive")
STRATEGIES = ("scratch", "random", "frozen", "finetune", "gradual", "unfreeze")
WEIGHTS = ("auto", "imagenet", "source", "none")
#: A new head starts from nothing: it learns this much faster than the backbone.
HEAD_RATE = 5.0
#: Usual rates of networks with BatchNorm and of others, which a larger one throws off at once.
RATE, RATE_WITHOUT_NORM = 2e-3, 3e-4
HEADS = ("linear", "mlp", "flatten-mlp")


@dataclass(frozen=True, kw_only=True)
class ImageDataSpec:
    """Labelled images.

    Attributes:
        name: `digits`, a torchvision set, or `folder:PATH`.
        classes: those of the target task, None for all (digits: 5 to 9).
        image_size: side of the square that the backbone sees, in pixels; None for its own.
    """

    name: str = "digits"
    root: str | None = None
    classes: tuple[str, ...] | None = None
    image_size: int | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None:
            require_range("--image-size", self.image_size, 8, 1024)


@dataclass(frozen=True, kw_only=True)
class TransferSpec:
    """One run of `nndiag transfer`.

    Attributes:
        weights: auto, imagenet, source, none, or the path of a file.
        labels_per_class: labelled training images of a class; several give a label-budget curve.
        strategies: of `STRATEGIES`, `unfreeze:N` with a number of blocks.
        domains: those that `transductive` adapts to; none for all that suit the data.
        head: `linear`, `mlp:UNITS` or `flatten-mlp:UNITS`.
        epochs: passes over the labelled images, the same for every strategy.
        lr: learning rate of a backbone that starts from random weights, None for the usual one
            (`RATE`, `RATE_WITHOUT_NORM`); that of a pre-trained one is `backbone_rate` times as
            large, that of the new head `HEAD_RATE` times.
        seeds: of the labelled images, the head and the order of the data.
        by_layer: freeze the first n blocks, for every n (Yosinski et al. 2014).
    """

    backbone: str = "small_cnn"
    weights: str = "auto"
    data: ImageDataSpec = field(default_factory=ImageDataSpec)
    labels_per_class: tuple[int, ...] = (20,)
    strategies: tuple[str, ...] = (
        "scratch",
        "random",
        "frozen",
        "unfreeze:1",
        "gradual",
        "finetune",
    )
    kind: str = "inductive"
    domains: tuple[str, ...] = ()
    head: str = "linear"
    dropout: float = 0.0
    epochs: int = 12
    batch_size: int = 10
    lr: float | None = None
    backbone_rate: float = 0.5
    augment: bool = False
    seeds: int = 5
    seed: int = 0
    by_layer: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--device", self.device, DEVICES)
        require_choice("--kind", self.kind, KINDS)
        require_range("--epochs", self.epochs, 1)
        require_range("--batch-size", self.batch_size, 2)
        require_range("--seeds", self.seeds, 1)
        require_range("--seed", self.seed, 0, 2**63 - 1)
        require_range("--dropout", self.dropout, 0, 1, open_high=True)
        if self.lr is not None:
            require_positive("--lr", self.lr)
        require_positive("--backbone-rate", self.backbone_rate)
        for count in self.labels_per_class:
            require_range("--labels-per-class", count, 1)
        head_units(self.head)
        for name in self.strategies:
            unfrozen(name)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def usual(backbone: str, kind: str) -> dict[str, int]:
    """Return epochs, batch size and seeds where nobody chose.

    Scratch with few labels depends so much on the seed that a difference of three points needs ten;
    a large network takes longer for each and differs by more.
    """
    if backbone != TransferSpec.backbone:
        return {"epochs": 8, "batch_size": 20, "seeds": 5}
    return {"epochs": 12, "batch_size": 10, "seeds": 10 if kind == "inductive" else 5}


def head_units(head: str) -> int:
    """Return the hidden units of a head, 0 for a linear one.

    Raises:
        UsageError: unknown head, or a size that is no whole number above 0.
    """
    kind, _colon, size = head.partition(":")
    if kind not in HEADS:
        raise unknown_name("--head", kind, HEADS)
    if kind == "linear" and not size:
        return 0
    usual = "1024" if kind == "mlp" else "128"
    if kind == "linear" or not (size or usual).isdigit() or int(size or usual) < 1:
        raise UsageError(
            _("--head: got '{head}'; accepted: linear, mlp:UNITS, flatten-mlp:UNITS").format(
                head=head
            )
        )
    return int(size or usual)


def unfrozen(strategy: str) -> int:
    """Return N of `unfreeze:N` (1 without a number), 0 for any other strategy.

    Raises:
        UsageError: unknown strategy, or a number where none belongs.
    """
    name, colon, count = strategy.partition(":")
    if name not in STRATEGIES:
        raise unknown_name("--strategies", strategy, [*STRATEGIES[:-1], "unfreeze:N"])
    if name != "unfreeze":
        if colon:
            raise UsageError(
                _("--strategies: '{strategy}' takes no number").format(strategy=strategy)
            )
        return 0
    if colon and not (count.isdigit() and int(count) >= 1):
        raise UsageError(
            _("--strategies: got '{strategy}'; accepted: unfreeze:N, N at least 1").format(
                strategy=strategy
            )
        )
    return int(count or 1)
