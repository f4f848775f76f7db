"""Masters & Luschi 2018: small batches train best, and over a wider range of rates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Settings
from nndiag.training.tuning import Bench, Candidate, trial

_SIZES, _EPOCHS = (4, 16, 64, 256, 1024), 8
#: How many of the sizes are in the paper's range of the best, 2 to 32.
_SMALL = 2
_RATES = [2.0**power for power in range(-12, 3)]
_NETWORK = NetworkSpec(depth=3, width=64, act="relu", init="he_normal")
#: Test accuracy from which on a rate counts as usable.
_USABLE = 0.9


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    splits = datasets.load(DataSpec(), seed=0)
    samples = len(splits.train.y)
    steps = {size: _EPOCHS * -(-samples // size) for size in _SIZES}
    total = len(_RATES) * len(seeds) * sum(steps.values())
    tally = Tally(watch, _("training steps"), total)
    accuracy = []
    for size in _SIZES:
        settings = Settings(
            optimizer="sgd", steps=steps[size], batch_size=size, eval_every=steps[size]
        )
        found = trial(
            Candidate(network=_NETWORK), Bench.of(splits, settings, tally.add), _RATES, seeds
        )
        accuracy.append(found.record.test_accuracy.reshape(len(_RATES), len(seeds)))
    return [_figures(table) for table in np.moveaxis(np.stack(accuracy), -1, 0)]


def _figures(accuracy: np.ndarray) -> Figures:
    """Return the figures of one seed from accuracies (batch sizes, rates)."""
    usable = (accuracy >= _USABLE).sum(1)
    best = accuracy.max(1)
    return {
        "small_gain": float(best[:_SMALL].max() - best[_SMALL:].max()),
        **{f"usable_{size}": float(n) for size, n in zip(_SIZES, usable, strict=True)},
        "largest_loss": float(best[:_SMALL].max() - best[-1]),
    }


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    usable = [figures[f"usable_{size}"] for size in _SIZES]
    return (
        figures["small_gain"] >= -0.006
        and usable[-1] <= usable[0] / 2
        and all(larger <= smaller + 1 for smaller, larger in itertools.pairwise(usable))
    )


CLAIM = Claim(
    name="masters2018",
    paper="Masters & Luschi 2018, Revisiting small batch training for deep neural networks, "
    "arXiv:1804.07612",
    says=to_translate(
        "For the same number of epochs small batches give the best test accuracy, and the larger "
        "the batch, the narrower the range of usable learning rates."
    ),
    published=to_translate("CIFAR-10, CIFAR-100 and ImageNet: best between batches of 2 and 32."),
    criterion=to_translate(
        "Digits, two layers of 64 ReLU, 8 epochs of SGD at 15 rates 2^-12 to 4: from batches of 4 "
        "to 16, 64, 256 and 1024 the number of rates with a test accuracy of 90 % never grows by "
        "more than one and ends at half or less; the best of batches of 4 and 16 is no worse than "
        "that of larger ones but for two test images. Larger batches take fewer steps, as in the "
        "paper."
    ),
    figures=(
        Figure(
            name="small_gain",
            text=to_translate("best test accuracy, batches of 4 and 16 less larger ones"),
        ),
        Figure(name="usable_4", text=to_translate("usable rates of 15, batches of 4")),
        Figure(name="usable_16", text=to_translate("usable rates, batches of 16")),
        Figure(name="usable_64", text=to_translate("usable rates, batches of 64")),
        Figure(name="usable_256", text=to_translate("usable rates, batches of 256")),
        Figure(name="usable_1024", text=to_translate("usable rates, batches of 1024")),
        Figure(
            name="largest_loss",
            text=to_translate("best test accuracy, batches of 4 and 16 less batches of 1024"),
        ),
    ),
    measure=_measure,
    holds=holds,
)
