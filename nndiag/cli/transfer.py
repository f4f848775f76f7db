"""`nndiag transfer`."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import Display, display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs, require_writable
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec_transfer import ImageDataSpec, TransferSpec, usual

if TYPE_CHECKING:
    from nndiag.schema.result import Result


def transfer(
    backbone: Annotated[
        str,
        typer.Option(
            help=_("A torchvision classifier by name, package.module:factory, or list to see all.")
        ),
    ] = "small_cnn",
    weights: Annotated[
        str, typer.Option(help=_("auto, imagenet, source, none, or the path of a file."))
    ] = "auto",
    data: Annotated[
        str,
        typer.Option(help=_("digits, a torchvision set, or folder:PATH (a folder a class).")),
    ] = "digits",
    data_root: options.DataRoot = None,
    classes: Annotated[
        str | None, typer.Option(help=_("Classes of the target task, joined by commas."))
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help=_("Side of the images in pixels (default: the backbone's)."))
    ] = None,
    labels_per_class: Annotated[
        str, typer.Option(help=_("Labelled images a class; 5,10,20 gives a curve."))
    ] = "20",
    strategies: Annotated[
        str | None,
        typer.Option(help=_("scratch, random, frozen, finetune, gradual, unfreeze:N.")),
    ] = None,
    head: Annotated[
        str, typer.Option(help=_("linear, mlp:UNITS or flatten-mlp:UNITS."))
    ] = "linear",
    dropout: Annotated[float, typer.Option(help=_("Dropout probability in the head."))] = 0.0,
    epochs: Annotated[
        int | None, typer.Option(help=_("Epochs of every strategy (default 12; large nets 8)."))
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=_("Samples of a batch (default 10; large nets 20)."))
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help=_("Rate of a random backbone (default 0.002; 0.0003 without BatchNorm).")
        ),
    ] = None,
    backbone_rate: Annotated[
        float, typer.Option(help=_("Share of it that a pre-trained backbone learns with."))
    ] = 0.5,
    augment: Annotated[
        bool, typer.Option("--augment", help=_("Change training images at random."))
    ] = False,
    by_layer: Annotated[
        bool, typer.Option("--by-layer", help=_("Freeze the first n blocks, for every n."))
    ] = False,
    kind: Annotated[
        str, typer.Option(help=_("inductive, unsupervised or transductive."))
    ] = "inductive",
    domains: Annotated[
        str | None,
        typer.Option(
            help=_(
                "For transductive: inverted, noisy, rotated, blurred, contrast, each with "
                ":STRENGTH, or other images of the same classes: digits, mnist, folder:PATH."
            )
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help=_("Repetitions; they give the intervals (default 10; large nets 5).")),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help=_("Keep a fine-tuned network as .safetensors.")),
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help=_("Only measure a network that was saved.")),
    ] = None,
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    lang: options.Language = None,
) -> int:
    if backbone == "list":
        return _list()
    if _follows():
        json = plot = report = save = None
    outputs = Outputs(json=json, plot=plot, report=report)
    if save is not None:
        require_writable("--save", save)
        if save.suffix != ".safetensors":
            raise UsageError(
                _("--save: got '{path}'; accepted: a name that ends in .safetensors").format(
                    path=save
                )
            )
    chosen = TransferSpec.strategies if strategies is None else _words(strategies)
    backbone = _checked(backbone)
    counts = {"epochs": epochs, "batch_size": batch_size, "seeds": seeds}
    given = {name: number for name, number in counts.items() if number is not None}
    spec = TransferSpec(
        **usual(backbone, kind) | given,
        backbone=backbone,
        weights=weights,
        data=ImageDataSpec(
            name=data,
            root=data_root,
            classes=None if classes is None else _words(classes),
            image_size=image_size,
        ),
        labels_per_class=_counts(labels_per_class),
        strategies=chosen,
        kind=kind,
        domains=() if domains is None else _words(domains),
        head=head,
        dropout=dropout,
        lr=lr,
        backbone_rate=backbone_rate,
        augment=augment,
        seed=seed,
        by_layer=by_layer,
        device=device,
    )
    _check_files(spec, load)
    _check_kind(spec, save, load)

    from nndiag.report import transfer as tables

    with display() as shown:
        result = _run(spec, save, load, shown)
    code = outputs.deliver(result, tables.transfer(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code


def _run(spec: TransferSpec, save: Path | None, load: Path | None, shown: Display) -> Result:
    from nndiag.experiments import transfer, transfer_kinds

    if load is not None:
        return transfer_kinds.loaded(spec, str(load), watch=shown)
    if spec.kind == "unsupervised":
        return transfer_kinds.unsupervised(spec, watch=shown)
    if spec.kind == "transductive":
        return transfer_kinds.transductive(spec, watch=shown)
    return transfer.run(spec, save=None if save is None else str(save), watch=shown)


def _follows() -> bool:
    """Say whether `torchrun` started this process beside another, which speaks for all.

    Whatever this one would say is dropped, but for a failure that nobody expected.
    """
    if int(os.environ.get("RANK", "0")) == 0:
        return False
    sys.excepthook = lambda *error: traceback.print_exception(*error, file=sys.__stderr__)
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    return True


def _list() -> int:
    from rich.console import Console

    from nndiag.report import backbones as report
    from nndiag.zoo import backbones

    Console().print(report.table(list(backbones.table().values())))
    return 0


def _checked(name: str) -> str:
    from nndiag.zoo import backbones

    return backbones.row(name).name


def _check_files(spec: TransferSpec, load: Path | None) -> None:
    from nndiag.datasets import image_sources
    from nndiag.zoo import backbones

    image_sources.check(spec.data)
    backbones.check_weights(spec.weights, spec.backbone)
    if load is not None and not load.is_file():
        raise UsageError(_("--load: there is no file '{path}'").format(path=load))


def _check_kind(spec: TransferSpec, save: Path | None, load: Path | None) -> None:
    """Find options that do not go together, and what is not installed."""
    from nndiag.datasets import domains

    if spec.domains and spec.kind != "transductive":
        raise UsageError(_("--domains: only with --kind transductive"))
    for name in spec.domains:
        domains.find(name)
    if save is not None and load is not None:
        raise UsageError(_("--save: not with --load, which trains nothing"))
    for option, path in (("--save", save), ("--load", load)):
        if path is not None and spec.kind != "inductive":
            raise UsageError(
                _("{option}: not with --kind {kind}").format(option=option, kind=spec.kind)
            )
    if spec.kind == "unsupervised" and importlib.util.find_spec("sklearn") is None:
        raise UsageError(_("--kind unsupervised: needs scikit-learn; pip install 'nndiag[learn]'"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _counts(text: str) -> tuple[int, ...]:
    words = _words(text)
    if not words or not all(word.isdigit() for word in words):
        raise UsageError(
            _("--labels-per-class: got '{text}'; accepted: whole numbers joined by commas").format(
                text=text
            )
        )
    return tuple(sorted({int(word) for word in words}))
