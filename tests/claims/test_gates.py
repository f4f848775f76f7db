"""The gate of every claim, with made-up figures that pass, that fail, and seeds that disagree."""

from __future__ import annotations

import math

import pytest

from nndiag import claims
from nndiag.claims.at_initialisation import lu2019, pennington2017, schoenholz2017, yang2019
from nndiag.claims.with_training import schoenholz2017_depth
from nndiag.schema.claim import Verdict, verdict

#: Figures that meet the criterion; then changes, each of which alone breaks it.
PASSING = {
    "glorot2010": {
        "tanh_standard": 0.1,
        "tanh_normalised": 0.5,
        "weights_standard": 1.0,
        "weights_normalised": 1.0,
        "softsign_standard": 0.05,
        "softsign_normalised": 0.2,
        "sigmoid_standard": 0.001,
    },
    "goh2017": {"momentum_rate": 0.8182, "plain_rate": 0.9802, "flips": 3.0},
    "hanin2018": {"variance": 2.6, "mean": -1.3, "variance_wide": 1.3, "variance_uneven": 8.0},
    "klambauer2017": {
        "mean": 0.01,
        "variance": 1.02,
        "alpha_variance": 1.0,
        "relu_variance": 0.01,
        "dropout_variance": 1.6,
    },
    "lu2019": {name: sum(lu2019.bounds(*shape)) / 2 for name, shape in lu2019._SHAPES.items()},
    "pascanu2013": {
        "below": -2 * math.log(0.8),
        "at": 0.0,
        "above": -2 * math.log(1.2),
        "tanh_above": 0.1,
    },
    "pennington2017": dict(pennington2017._SPREADS),
    "saxe2013": {"curve_error": 0.005, "orthogonal_condition": 1.0, "gaussian_lost": 0.6},
    "schoenholz2017": {n: -math.log(s.chi) for n, s in schoenholz2017._SCALES.items()},
    "xiao2018": {"delta_forward": 0.4, "delta_backward": 0.5, "gaussian_forward": 1e-4},
    "yang2019": {act: limit * 1.01 for act, limit in yang2019._LIMITS.items()},
    "choi2019": {
        f"{name}_{eps}": value
        for name in ("adam", "rmsprop")
        for eps, value in (("1", 1e-2), ("100", 1e-4), ("10000", 1e-6))
    },
    "he2015": {"he_accuracy": 0.9, "xavier_accuracy": 0.1, "xavier_loss": 2.3},
    "ioffe2015": {
        "steps_ratio": 20.0,
        "early": 0.1,
        "early_normalised": 0.9,
        "deep": 0.1,
        "deep_normalised": 0.97,
    },
    "masters2018": {
        "small_gain": 0.01,
        "largest_loss": 0.05,
        **{f"usable_{size}": n for size, n in ((4, 7), (16, 8), (64, 6), (256, 5), (1024, 3))},
    },
    "pascanu2013-clipping": {"free": 1.0, "clipped": 0.0, "norm": 1e9},
    "santurkar2018": {
        "ratio": 0.5,
        "plain": 2.0,
        "normalised": 1.0,
        "noisy_accuracy": 0.96,
        "normalised_accuracy": 0.99,
        "plain_accuracy": 0.99,
        "tanh_ratio": 1.1,
    },
    "schmidt2021": {
        "difference": 0.0,
        "best_default": 0.98,
        "tuned_adam": 0.98,
        "tuned_sgd": 0.97,
        "worst_default": 0.9,
    },
    "schoenholz2017-depth": {
        "short_near": 0.9,
        "short_far": 0.1,
        "long_near": 0.9,
        "long_far": 0.1,
    },
    "smith2015": {"ratio": 1.0, "best": 0.5, "lowest": 0.5, "begins": 0.01, "fails": 2.0},
    "srivastava2014": {"gain": 0.03, "plain": 0.8, "dropout": 0.83},
    "yosinski2014": {"features": 0.5, "start": 0.3, "end": 0.0, "frozen": 0.9, "random": 0.4},
}
BREAKING = {
    "glorot2010": {
        "tanh_standard": 0.2,
        "tanh_normalised": 0.3,
        "weights_standard": 0.5,
        "weights_normalised": 1.5,
        "softsign_normalised": 0.1,
        "sigmoid_standard": 0.1,
    },
    "goh2017": {"momentum_rate": 0.9, "plain_rate": 0.99, "flips": 2.0},
    "hanin2018": {"variance": 4.0, "mean": 1.0, "variance_wide": 0.5, "variance_uneven": 3.0},
    "klambauer2017": {
        "mean": -0.2,
        "variance": 1.3,
        "alpha_variance": 0.7,
        "relu_variance": 1.0,
        "dropout_variance": 1.1,
    },
    "lu2019": {"narrow": 0.5, "deep": 0.99, "deeper": 0.5, "wide": 0.2},
    "pascanu2013": {"below": 0.3, "at": 0.2, "above": -0.2, "tanh_above": -0.36},
    "pennington2017": {
        "linear_orthogonal": 0.2,
        "linear_gaussian": 2.0,
        "relu_orthogonal": 0.0,
        "relu_gaussian": 20.0,
        "tanh_orthogonal": 1.0,
    },
    "saxe2013": {"curve_error": 0.1, "orthogonal_condition": 0.5, "gaussian_lost": 0.1},
    "schoenholz2017": {"ordered": 0.1, "critical": 0.1, "chaotic": 0.3},
    "xiao2018": {"delta_forward": 0.01, "delta_backward": 0.01, "gaussian_forward": 0.5},
    "yang2019": {"relu": 1.0, "tanh": 1.5, "sigmoid": 0.99, "linear": 0.99},
    "choi2019": {"adam_1": 0.2, "adam_100": 1e-2, "rmsprop_10000": 1e-4},
    "he2015": {"he_accuracy": 0.5, "xavier_loss": 1.0},
    "ioffe2015": {
        "steps_ratio": 2.0,
        "early": 0.7,
        "early_normalised": 0.5,
        "deep": 0.9,
        "deep_normalised": 0.5,
    },
    "masters2018": {"small_gain": -0.02, "usable_1024": 6, "usable_256": 8},
    "pascanu2013-clipping": {"free": 0.0, "clipped": 1.0},
    "santurkar2018": {"ratio": 1.1, "noisy_accuracy": 0.5},
    "schmidt2021": {"difference": -0.05, "worst_default": 0.97},
    "schoenholz2017-depth": {
        "short_near": 0.5,
        "short_far": 0.9,
        "long_near": 0.1,
        "long_far": 0.5,
    },
    "smith2015": {"best": 3.0, "begins": 0.9, "lowest": 0.1, "fails": 0.1},
    "srivastava2014": {"gain": -0.01},
    "yosinski2014": {"features": 0.1, "start": 0.0, "end": -0.1},
}
CHANGES = [(name, figure) for name, changes in BREAKING.items() for figure in changes]


def test_every_claim_is_tested() -> None:
    assert set(PASSING) == set(BREAKING) == set(claims.every_name())


@pytest.mark.parametrize("name", PASSING)
def test_figures_that_meet_the_criterion(name: str) -> None:
    claim = claims.get(name)
    assert claim.name == name
    assert {figure.name for figure in claim.figures} == PASSING[name].keys()
    assert claim.holds(PASSING[name]) is True


@pytest.mark.parametrize(("name", "figure"), CHANGES, ids=[":".join(one) for one in CHANGES])
def test_figures_that_do_not(name: str, figure: str) -> None:
    holds = claims.get(name).holds
    assert not holds({**PASSING[name], figure: BREAKING[name][figure]})
    assert not holds({**PASSING[name], figure: math.nan})


def test_seeds_that_disagree() -> None:
    holds = claims.get("srivastava2014").holds
    good, bad = PASSING["srivastava2014"], {**PASSING["srivastava2014"], "gain": -0.02}
    assert verdict([holds(good), holds(good)]) is Verdict.PASS
    assert verdict([holds(bad), holds(bad)]) is Verdict.FAIL
    assert verdict([holds(good), holds(bad)]) is Verdict.INCONCLUSIVE
    with pytest.raises(ValueError, match="at least one seed"):
        verdict([])


def test_what_is_written_is_what_is_computed() -> None:
    for figure, shape in zip(lu2019.CLAIM.figures, lu2019._SHAPES.values(), strict=True):
        least, most = lu2019.bounds(*shape)
        assert f"{shape[0]} layers of width {shape[1]}" in figure.text
        assert f"({least:.3f} to {most:.3f})" in figure.text
    near, far = schoenholz2017_depth._NEAR, schoenholz2017_depth._FAR
    texts = [figure.text for figure in schoenholz2017_depth.CLAIM.figures]
    depths = schoenholz2017_depth._DEPTHS.values()
    for text, depth, scales in zip(
        texts, [depth for pair in depths for depth in pair], [near, far] * 2, strict=True
    ):
        assert f"{depth} layers ({scales} xi_c)" in text
    for weights in schoenholz2017_depth._WEIGHTS.values():
        scale = schoenholz2017_depth._scale(weights)
        assert f"{weights:g} (xi_c = {scale:.1f})" in schoenholz2017_depth.CLAIM.criterion
