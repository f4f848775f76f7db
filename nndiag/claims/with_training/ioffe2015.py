"""Ioffe & Szegedy 2015: batch normalisation trains sigmoid networks faster and further."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Record, Settings
from nndiag.training.tuning import Bench, Candidate, trial

_STEPS, _EVERY, _BATCH, _RATE = 1000, 20, 60, 0.1
_SHALLOW, _DEEP = 4, 6
_TARGET, _EARLY = 0.75, 100
#: Depth and normalisation of each training.
_CASES = [(_SHALLOW, "none"), (_SHALLOW, "batch"), (_DEEP, "none"), (_DEEP, "batch")]


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    tally = Tally(watch, _("training steps"), len(_CASES) * len(seeds) * _STEPS)
    settings = Settings(
        optimizer="sgd", steps=_STEPS, batch_size=_BATCH, eval_every=_EVERY, target=_TARGET
    )
    bench = Bench.of(datasets.load(DataSpec(), seed=0), settings, tally.add)
    plain, normalised, deep, deep_normalised = (
        trial(Candidate(network=_network(*case)), bench, [_RATE], seeds).record for case in _CASES
    )
    return [
        {
            "steps_ratio": _steps(plain, place) / _steps(normalised, place),
            "early": _early(plain, place),
            "early_normalised": _early(normalised, place),
            "deep": float(deep.val_accuracy[-1, place]),
            "deep_normalised": float(deep_normalised.val_accuracy[-1, place]),
        }
        for place in range(len(seeds))
    ]


def _network(depth: int, norm: str) -> NetworkSpec:
    return NetworkSpec(depth=depth, width=100, act="sigmoid", init="normal:0.1", norm=norm)


def _steps(record: Record, place: int) -> float:
    """Return the steps to the target; all of them where it was not reached."""
    reached = int(record.steps_to_target[place])
    return float(reached if reached > 0 else _STEPS)


def _early(record: Record, place: int) -> float:
    at = int(np.flatnonzero(record.evaluated == _EARLY)[0])
    return float(record.val_accuracy[at, place])


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        figures["steps_ratio"] >= 5
        and figures["early"] <= 0.4
        and figures["early_normalised"] >= 0.8
        and figures["deep"] <= 0.2
        and figures["deep_normalised"] >= 0.93
    )


CLAIM = Claim(
    name="ioffe2015",
    paper="Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167, section 4.1 and figure 1",
    says=to_translate(
        "With batch normalisation a network of three sigmoid layers of 100 units learns in far "
        "fewer steps and reaches a higher accuracy."
    ),
    published=to_translate(
        "On MNIST the normalised network is ahead throughout; on ImageNet Inception reaches the "
        "same accuracy in 14 times fewer steps."
    ),
    criterion=to_translate(
        "Digits, weights N(0, 0.1^2), SGD at 0.1, batches of 60: at least 5 times fewer steps to "
        "75 % (at most 40 % against at least 80 % after 100); with five layers chance (at most "
        "20 %) against at least 93 % after 1000."
    ),
    figures=(
        Figure(
            name="steps_ratio",
            text=to_translate("steps to 75 %, plain over normalised"),
        ),
        Figure(name="early", text=to_translate("plain: accuracy after 100 steps")),
        Figure(name="early_normalised", text=to_translate("normalised: accuracy after 100 steps")),
        Figure(name="deep", text=to_translate("plain, five layers: accuracy after 1000 steps")),
        Figure(
            name="deep_normalised",
            text=to_translate("normalised, five layers: accuracy after 1000 steps"),
        ),
    ),
    measure=_measure,
    holds=holds,
)
