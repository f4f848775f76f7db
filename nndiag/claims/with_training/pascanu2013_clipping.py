"""Pascanu, Mikolov & Bengio 2013: clipping the gradient's norm keeps recurrent networks alive."""

from __future__ import annotations

from collections.abc import Sequence

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Settings
from nndiag.training.tuning import Bench, Candidate, Request, trials

_STEPS, _RATE, _LIMIT = 200, 0.01, 1.0
_NETWORK = NetworkSpec(net="rnn", depth=1, width=32, act="relu", init="orthogonal:2.0")


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    tally = Tally(watch, _("training steps"), 2 * len(seeds) * _STEPS)
    settings = Settings(optimizer="sgd", steps=_STEPS, batch_size=32, eval_every=_STEPS)
    bench = Bench.of(datasets.load(DataSpec(), seed=0), settings, tally.add)
    free, clipped = (
        one.record
        for one in trials(
            [
                Request(
                    candidate=Candidate(network=_NETWORK, clip_norm=limit),
                    rates=[_RATE],
                    seeds=seeds,
                )
                for limit in (None, _LIMIT)
            ],
            bench,
        )
    )
    return [
        {
            "free": float(free.diverged[place]),
            "clipped": float(clipped.diverged[place]),
            "norm": float(clipped.gradient_norm[:20, place].max()),
        }
        for place in range(len(seeds))
    ]


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return figures["free"] == 1 and figures["clipped"] == 0


CLAIM = Claim(
    name="pascanu2013-clipping",
    paper="Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural "
    "networks, arXiv:1211.5063, section 3.2",
    says=to_translate(
        "Recurrent networks whose gradients explode survive when the gradient's norm is clipped."
    ),
    published=to_translate(
        "Norm clipping makes networks train whose loss has walls of high curvature."
    ),
    criterion=to_translate(
        "Digits pixel by pixel (64 steps), 32 ReLU units, recurrent matrix orthogonal times 2, SGD "
        "at 0.01, 200 steps: the loss leaves the range of numbers without clipping and never with "
        "the norm clipped at 1."
    ),
    figures=(
        Figure(name="free", text=to_translate("share of trainings that diverge without clipping")),
        Figure(name="clipped", text=to_translate("share that diverge with the norm clipped at 1")),
        Figure(name="norm", text=to_translate("largest gradient norm of the first 20 steps")),
    ),
    measure=_measure,
    holds=holds,
)
