"""Srivastava et al. 2014: dropout helps a large network on few, noisy labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.initial import random_network
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import train

_LABELS, _NOISE, _DROPOUT = 200, 0.2, 0.5
_WIDTH, _STEPS, _BATCH, _RATE = 256, 500, 50, 1e-3
_CLASSES = 10
#: Draws of the labels of a seed, whose mean counts: single gains scatter by two points.
_DRAWS = 6


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    tally = Tally(watch, _("training steps"), 2 * _DRAWS * len(seeds) * _STEPS)
    found: list[Figures] = []
    for seed in seeds:
        draws = range(_DRAWS * seed, _DRAWS * (seed + 1))
        plain, dropped = np.mean([_accuracies(draw, tally) for draw in draws], axis=0).tolist()
        found.append({"gain": dropped - plain, "plain": plain, "dropout": dropped})
    return found


def _accuracies(seed: int, tally: Tally) -> list[float]:
    """Return the test accuracies without and with dropout, from the same start."""
    spec = NetworkSpec(depth=3, width=_WIDTH, act="relu", init="he_normal", dropout=_DROPOUT)
    splits = datasets.load(DataSpec(), seed=0)
    record = train(
        lambda place: random_network(spec, splits.input_shape, seed),
        [Member(seed=seed, lr=_RATE, dropout=p) for p in (0.0, _DROPOUT)],
        Settings(optimizer="adam", steps=_STEPS, batch_size=_BATCH, eval_every=_STEPS),
        _few_and_noisy(TensorData.of(splits, torch.device("cpu")), seed),
        tally.add,
    )
    return [float(accuracy) for accuracy in record.test_accuracy]


def _few_and_noisy(data: TensorData, seed: int) -> TensorData:
    """Keep 200 training samples and give a fifth of them a random label."""
    draws = np.random.default_rng(seed)
    rows = torch.from_numpy(draws.choice(len(data.train_y), _LABELS, replace=False))
    labels = data.train_y[rows].clone()
    wrong = draws.choice(_LABELS, int(_NOISE * _LABELS), replace=False)
    labels[wrong] = torch.from_numpy(draws.integers(0, _CLASSES, len(wrong)))
    return replace(data, train_x=data.train_x[rows], train_y=labels)


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return figures["gain"] >= 0.005


CLAIM = Claim(
    name="srivastava2014",
    paper="Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, Dropout, JMLR 15",
    says=to_translate(
        "Dropout of half the hidden units lowers the test error of a network that is too large "
        "for its data."
    ),
    published=to_translate(
        "On MNIST a standard network's error of 1.60 % falls to 1.25 % with dropout and ReLU."
    ),
    criterion=to_translate(
        "200 digits, a fifth of the labels random, two layers of 256 ReLU, 500 steps of Adam, mean "
        "of 6 draws: test accuracy at least half a point higher with dropout 0.5, from the same "
        "start."
    ),
    figures=(
        Figure(name="gain", text=to_translate("test accuracy, with dropout less without")),
        Figure(name="plain", text=to_translate("test accuracy without dropout")),
        Figure(name="dropout", text=to_translate("test accuracy with dropout")),
    ),
    measure=_measure,
    holds=holds,
)
