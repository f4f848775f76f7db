"""He et al. 2015: 30-layer ReLU networks train with He's initialisation, not with Xavier's."""

from __future__ import annotations

from collections.abc import Sequence

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Settings
from nndiag.training.tuning import Bench, Candidate, Request, trials

_DEPTH, _WIDTH, _STEPS, _RATE = 30, 128, 400, 0.003
_INITS = ("he_normal", "xavier_normal")
#: Loss of a guess among ten classes is ln 10 = 2.303.
_STALLED = 2.25


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    tally = Tally(watch, _("training steps"), len(_INITS) * len(seeds) * _STEPS)
    settings = Settings(optimizer="momentum", steps=_STEPS, eval_every=_STEPS)
    bench = Bench.of(datasets.load(DataSpec(), seed=0), settings, tally.add)
    he, xavier = trials(
        [
            Request(
                candidate=Candidate(
                    network=NetworkSpec(depth=_DEPTH, width=_WIDTH, act="relu", init=init)
                ),
                rates=[_RATE],
                seeds=seeds,
            )
            for init in _INITS
        ],
        bench,
    )
    return [
        {
            "he_accuracy": float(he.record.val_accuracy[-1, place]),
            "xavier_accuracy": float(xavier.record.val_accuracy[-1, place]),
            "xavier_loss": float(xavier.record.loss[-20:, place].mean()),
        }
        for place in range(len(seeds))
    ]


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return figures["he_accuracy"] >= 0.85 and figures["xavier_loss"] >= _STALLED


CLAIM = Claim(
    name="he2015",
    paper="He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, arXiv:1502.01852, section 2.2 "
    "and figure 3",
    says=to_translate(
        "A 30-layer ReLU network converges with weights of variance 2 / n; with Xavier's 1 / n its "
        "gradients vanish and training stalls."
    ),
    published=to_translate(
        "A 30-layer convolutional network on ImageNet: Xavier stalls, He's converges."
    ),
    criterion=to_translate(
        "30 layers of width 128 on digits, 400 steps of SGD with momentum: Xavier's loss at least "
        "2.25 (a guess: ln 10 = 2.303), He's validation accuracy at least 85 %."
    ),
    figures=(
        Figure(name="he_accuracy", text=to_translate("He: validation accuracy")),
        Figure(name="xavier_accuracy", text=to_translate("Xavier: validation accuracy")),
        Figure(name="xavier_loss", text=to_translate("Xavier: training loss of the last steps")),
    ),
    measure=_measure,
    holds=holds,
)
