"""Schoenholz et al. 2017: a random network trains as deep as a signal travels through it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nndiag import datasets
from nndiag.locales import _, to_translate
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Tally, Watch
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.theory import activations
from nndiag.theory.depth_scale import depth_scale
from nndiag.training.members import Settings
from nndiag.training.tuning import Bench, Candidate, trial

_WIDTH, _STEPS, _RATE, _BIAS_VARIANCE = 128, 300, 0.003, 0.05
#: sigma_w^2 of two ordered networks, whose depth scales differ by a factor two.
_WEIGHTS = {"short": 1.0, "long": 1.3}
#: Depth scales at which a network must train, and must not.
_NEAR, _FAR = 5, 13


def _scale(weights: float) -> float:
    """Return xi_c, the layers over which what tells inputs apart falls by e."""
    function = activations.function("tanh")
    assert function is not None
    return depth_scale(function, weights, _BIAS_VARIANCE).correlation


_DEPTHS = {
    name: (round(_NEAR * _scale(weights)), round(_FAR * _scale(weights)))
    for name, weights in _WEIGHTS.items()
}


def _measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
    cases = [(name, depth) for name, depths in _DEPTHS.items() for depth in depths]
    tally = Tally(watch, _("training steps"), len(cases) * len(seeds) * _STEPS)
    settings = Settings(optimizer="momentum", steps=_STEPS, eval_every=_STEPS)
    bench = Bench.of(datasets.load(DataSpec(), seed=0), settings, tally.add)
    accuracy = {
        case: trial(Candidate(network=_network(*case)), bench, [_RATE], seeds).record.val_accuracy
        for case in cases
    }
    return [
        {
            f"{name}_{where}": float(accuracy[name, depth][-1, place])
            for name, depths in _DEPTHS.items()
            for where, depth in zip(("near", "far"), depths, strict=True)
        }
        for place in range(len(seeds))
    ]


def _network(name: str, depth: int) -> NetworkSpec:
    deviation = math.sqrt(_WEIGHTS[name] / _WIDTH)
    return NetworkSpec(
        depth=depth,
        width=_WIDTH,
        act="tanh",
        init=f"normal:{deviation!r}",
        bias_std=math.sqrt(_BIAS_VARIANCE),
    )


def holds(figures: Figures) -> bool:
    """Whether one seed's figures meet the criterion."""
    return all(
        figures[f"{name}_near"] >= 0.85 and figures[f"{name}_far"] <= 0.3 for name in _WEIGHTS
    )


CLAIM = Claim(
    name="schoenholz2017-depth",
    paper="Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, Deep information propagation, "
    "arXiv:1611.01232, section 5",
    says=to_translate(
        "Random networks can be trained exactly when information travels through them: up to a "
        "small multiple of the depth scale xi_c, wherever that lies."
    ),
    published=to_translate("tanh networks on MNIST train up to about six depth scales."),
    criterion=to_translate(
        "tanh, width 128, sigma_b^2 = 0.05, digits, 300 steps: at least 85 % of the validation "
        "images right at 5 xi_c, at most 30 % at 13 xi_c, for sigma_w^2 = 1 (xi_c = 3.6) and 1.3 "
        "(xi_c = 7.8)."
    ),
    figures=(
        Figure(
            name="short_near",
            text=to_translate("sigma_w^2 = 1, 18 layers (5 xi_c): validation accuracy"),
        ),
        Figure(
            name="short_far",
            text=to_translate("sigma_w^2 = 1, 47 layers (13 xi_c): validation accuracy"),
        ),
        Figure(
            name="long_near",
            text=to_translate("sigma_w^2 = 1.3, 39 layers (5 xi_c): validation accuracy"),
        ),
        Figure(
            name="long_far",
            text=to_translate("sigma_w^2 = 1.3, 102 layers (13 xi_c): validation accuracy"),
        ),
    ),
    measure=_measure,
    holds=holds,
)
