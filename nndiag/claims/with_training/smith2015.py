"""Smith 2015: one short training with a growing rate brackets the best learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training.initial import random_network
from nndiag.training.members import Settings
from nndiag.training.short import batches
from nndiag.training.tuning import Bench, Candidate, trial

_NETWORK = NetworkSpec(depth=3, width=64, act="relu", init="he_normal")
_LOWEST, _HIGHEST, _STEPS, _BATCH = 1e-5, 10.0, 200, 64
_SMOOTHING = 0.95
#: Share of its start below which the loss has begun to fall.
_FALLEN = 0.9
_FIXED = [float(rate) for rate in np.geomspace(0.01, 10, 13)]


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    tally = Tally(watch, _("training steps"), (len(_FIXED) + 1) * len(seeds) * _STEPS)
    settings = Settings(optimizer="sgd", steps=_STEPS, batch_size=_BATCH, eval_every=_STEPS)
    bench = Bench.of(datasets.load(DataSpec(), seed=0), settings, tally.add)
    record = trial(Candidate(network=_NETWORK), bench, _FIXED, seeds).record
    shape = (len(_FIXED), len(seeds))
    loss = np.where(record.diverged, np.inf, record.val_loss[-1]).reshape(shape)
    accuracy = record.val_accuracy[-1].reshape(shape)
    found: list[Figures] = []
    for place, seed in enumerate(seeds):
        begins, lowest = _range_test(bench, seed)
        tally.add(_STEPS)
        failed = np.flatnonzero(accuracy[:, place] < 0.5)
        found.append(
            {
                "ratio": _FIXED[int(loss[:, place].argmin())] / lowest,
                "best": _FIXED[int(loss[:, place].argmin())],
                "lowest": lowest,
                "begins": begins,
                "fails": _FIXED[int(failed[0])] if len(failed) else _HIGHEST,
            }
        )
    return found


def _range_test(bench: Bench, seed: int) -> tuple[float, float]:
    """Return the rates at which the smoothed loss has begun to fall, and is lowest."""
    model = random_network(_NETWORK, bench.splits.input_shape, seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=_LOWEST)
    rates = np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    smooth, curve = 0.0, []
    order = batches(len(bench.data.train_y), _BATCH, _STEPS, seed)
    for step, (rate, rows) in enumerate(zip(rates, order, strict=True), start=1):
        optimizer.param_groups[0]["lr"] = float(rate)
        loss = nn.functional.cross_entropy(
            model(bench.data.train_x[rows]), bench.data.train_y[rows]
        )
        smooth = _SMOOTHING * smooth + (1 - _SMOOTHING) * float(loss.detach())
        curve.append(smooth / (1 - _SMOOTHING**step))
        if not curve[-1] <= 4 * min(curve):  # also where it is no number
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    losses = np.array(curve[:-1])
    lowest = int(losses.argmin())
    waiting = np.flatnonzero(losses[:lowest] >= _FALLEN * losses[0])
    return float(rates[waiting[-1] + 1]), float(rates[lowest])


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return (
        figures["begins"] <= figures["best"] <= 2 * figures["lowest"]
        and figures["best"] <= figures["fails"]
    )


CLAIM = Claim(
    name="smith2015",
    paper="Smith 2015, Cyclical learning rates for training neural networks, arXiv:1506.01186, "
    "section 3.3",
    says=to_translate(
        "A range test, one short training whose rate grows, gives bounds between which the best "
        "learning rate lies."
    ),
    published=to_translate(
        "Bounds from the test train CIFAR-10 to 81.4 % in 25,000 iterations instead of 70,000."
    ),
    criterion=to_translate(
        "Digits, two layers of 64 ReLU, SGD: of 13 fixed rates the best after 200 steps lies "
        "between the rate at which the test's loss has fallen by a tenth and twice that of its "
        "lowest loss, and not above the first that fails."
    ),
    figures=(
        Figure(name="ratio", text=to_translate("best fixed rate over that of the lowest loss")),
        Figure(name="best", text=to_translate("best fixed rate")),
        Figure(name="lowest", text=to_translate("range test: rate of the lowest loss")),
        Figure(
            name="begins", text=to_translate("range test: rate at which the loss has begun to fall")
        ),
        Figure(name="fails", text=to_translate("first fixed rate that fails")),
    ),
    measure=_measure,
    holds=holds,
)
