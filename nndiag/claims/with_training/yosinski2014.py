"""Yosinski et al. 2014: features transfer, better than random ones and than no head start."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec_transfer import TransferSpec
from nndiag.training.transfer_bench import TransferBench

_STRATEGIES = ("scratch", "random", "frozen", "finetune")
_LABELS, _EPOCHS, _EARLY = 10, 12, 6


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    spec = TransferSpec(
        strategies=_STRATEGIES, labels_per_class=(_LABELS,), epochs=_EPOCHS, weights="source"
    )
    bench = TransferBench.of(spec, watch)
    tally = Tally(watch, _("epochs"), len(_STRATEGIES) * len(seeds) * _EPOCHS)
    return [_figures(bench, seed, tally) for seed in seeds]


def _figures(bench: TransferBench, seed: int, tally: Tally) -> Figures:
    early, end = {}, {}
    for how, labels in bench.plans():
        _learner, run, test = bench.train(how, labels, seed, lambda: tally.add(1))
        early[how.name], end[how.name] = mean(run.accuracy[1 : _EARLY + 1]), test
    return {
        "features": end["frozen"] - end["random"],
        "start": early["finetune"] - early["scratch"],
        "end": end["finetune"] - end["scratch"],
        "frozen": end["frozen"],
        "random": end["random"],
    }


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return figures["features"] >= 0.25 and figures["start"] >= 0.1 and figures["end"] >= -0.02


CLAIM = Claim(
    name="yosinski2014",
    paper="Yosinski, Clune, Bengio & Lipson 2014, How transferable are features in deep neural "
    "networks?, arXiv:1411.1792",
    says=to_translate(
        "Features learnt on another task beat random ones even when frozen, and a fine-tuned "
        "network stays ahead of one that starts from scratch."
    ),
    published=to_translate(
        "ImageNet split in two: transferred features beat random ones even from distant tasks, and "
        "their advantage lingers after fine-tuning."
    ),
    criterion=to_translate(
        "A small CNN from drawn letters to digits 5 to 9 with 10 labels a class, 12 epochs: frozen "
        "features 25 points of test accuracy above random ones; fine-tuned 10 points above "
        "scratch over the first 6 epochs and no more than 2 below at the end."
    ),
    figures=(
        Figure(
            name="features",
            text=to_translate("test accuracy, frozen features less random ones"),
        ),
        Figure(
            name="start",
            text=to_translate(
                "validation accuracy over the first 6 epochs, fine-tuned less scratch"
            ),
        ),
        Figure(name="end", text=to_translate("test accuracy, fine-tuned less scratch")),
        Figure(name="frozen", text=to_translate("frozen features: test accuracy")),
        Figure(name="random", text=to_translate("random features: test accuracy")),
    ),
    measure=_measure,
    holds=holds,
)
