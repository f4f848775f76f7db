"""Schmidt, Schneider & Hennig 2021: trying optimizers at their defaults is as good as tuning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.members import Settings
from nndiag.training.tuning import Bench, Candidate, rate_grid, trial
from nndiag.zoo import optimizers

_DEFAULTS = (
    *("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "nadam"),
    *("adamw", "radam", "adamax"),
)
_TUNED = ("adam", "sgd")
_GRID, _STEPS = 6, 300
_NETWORK = NetworkSpec(depth=3, width=64, act="relu", init="he_normal")


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    rates = {name: [_default(name)] for name in _DEFAULTS}
    for name in _TUNED:
        rates[name] = [*rates[name], *rate_grid(_default(name), _GRID)]
    total = sum(map(len, rates.values())) * len(seeds) * _STEPS
    tally = Tally(watch, _("training steps"), total)
    splits = datasets.load(DataSpec(), seed=0)
    validation, test = {}, {}
    for name, tried in rates.items():
        bench = Bench.of(
            splits, Settings(optimizer=name, steps=_STEPS, eval_every=_STEPS), tally.add
        )
        record = trial(Candidate(network=_NETWORK), bench, tried, seeds).record
        shape = (len(tried), len(seeds))
        validation[name] = record.val_accuracy[-1].reshape(shape)
        test[name] = record.test_accuracy.reshape(shape)
    return [_figures(validation, test, place) for place in range(len(seeds))]


def _default(name: str) -> float:
    """Return the rate that textbooks and papers give."""
    rate = optimizers.parse(name).lr
    assert rate is not None
    return rate


def _figures(validation: dict[str, np.ndarray], test: dict[str, np.ndarray], place: int) -> Figures:
    """Return the figures of one seed; what is best is chosen on validation, told on test."""
    chosen = max(_DEFAULTS, key=lambda name: float(validation[name][0, place]))
    tuned = {
        name: float(test[name][int(validation[name][:, place].argmax()), place]) for name in _TUNED
    }
    defaults = [float(test[name][0, place]) for name in _DEFAULTS]
    return {
        "difference": float(test[chosen][0, place]) - max(tuned.values()),
        "best_default": float(test[chosen][0, place]),
        "tuned_adam": tuned["adam"],
        "tuned_sgd": tuned["sgd"],
        "worst_default": min(defaults),
    }


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        figures["difference"] >= -0.015
        and figures["worst_default"] <= figures["best_default"] - 0.03
    )


CLAIM = Claim(
    name="schmidt2021",
    paper="Schmidt, Schneider & Hennig 2021, Descending through a crowded valley, arXiv:2007.01547",
    says=to_translate(
        "Evaluating several optimizers at their default parameters works about as well as tuning "
        "a single one; none dominates."
    ),
    published=to_translate(
        "15 optimizers on 8 problems with 4 budgets and 4 schedules, more than 50,000 runs."
    ),
    criterion=to_translate(
        "Digits, two layers of 64 ReLU, 300 steps: the best of 11 optimizers at default rates, "
        "chosen on validation, is at most 1.5 points of test accuracy below Adam or SGD tuned "
        "over 7 rates, and 3 points above the worst default."
    ),
    figures=(
        Figure(
            name="difference",
            text=to_translate("test accuracy, best default less the better tuned one"),
        ),
        Figure(name="best_default", text=to_translate("best default: test accuracy")),
        Figure(name="tuned_adam", text=to_translate("Adam, rate tuned: test accuracy")),
        Figure(name="tuned_sgd", text=to_translate("SGD, rate tuned: test accuracy")),
        Figure(name="worst_default", text=to_translate("worst default: test accuracy")),
    ),
    measure=_measure,
    holds=holds,
)
