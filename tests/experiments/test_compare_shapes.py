"""Shapes: about equal parameters, and what is said of them recomputed from the trainings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats
from torch import nn

from nndiag.experiments import compare_shapes
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.spec_shapes import ShapesSpec
from nndiag.training import configurations, shaping
from nndiag.training.groups import record_of
from nndiag.zoo import networks

SPEC = ShapesSpec(
    base={"steps": 40, "train_samples": 60},
    rates=2,
    seeds=3,
    parameters=3000,
    shapes=("constant:2", "constant:4", "pyramid:4", "widening:4", "20-10"),
)


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    return compare_shapes.run(SPEC).result


def by_hand(widths: tuple[int, ...]) -> int:
    """Count the parameters of a multilayer perceptron on the digits with torch."""
    sizes = [64, *widths, 10]
    layers = [nn.Linear(n, m) for n, m in pairwise(sizes)]
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


def test_the_course_s_network_is_the_measure() -> None:
    spec = ShapesSpec()
    shapes = shaping.shapes(spec)
    assert shapes["pyramid:5"] == (512, 256, 128, 64)
    assert shaping.budget(spec) == by_hand((512, 256, 128, 64)) == 206_410
    assert shapes["widening:5"] == tuple(sorted(shapes["widening:5"]))
    for name, widths in shapes.items():
        assert len(widths) == int(name.partition(":")[2]) - 1
        assert abs(by_hand(widths) / 206_410 - 1) < 0.01, name


@pytest.mark.parametrize("kind", ["constant", "pyramid", "widening"])
@pytest.mark.parametrize("most", [900, 3000, 50_000])
def test_no_other_width_comes_nearer(kind: str, most: int) -> None:
    spec = ShapesSpec(shapes=(f"{kind}:4",), parameters=most)
    (widths,) = shaping.shapes(spec).values()
    ratios = {"constant": (1, 1, 1), "pyramid": (1, 8**-0.5, 1 / 8)}
    ratios["widening"] = ratios["pyramid"][::-1]
    widest = np.arange(1, 1500)
    first, second, third = (np.maximum(1, np.round(widest * ratio)) for ratio in ratios[kind])
    counts = 65 * first + (first + 1) * second + (second + 1) * third + (third + 1) * 10
    assert abs(by_hand(widths) - most) == np.abs(counts - most).min()


@pytest.mark.parametrize("settings", [{"norm": "batch"}, {"norm": "layer"}])
def test_parameters_are_those_of_the_network(settings: dict[str, Any]) -> None:
    frame = shaping.frame_of(ShapesSpec(base=settings))
    spec = NetworkSpec(depth=4, widths=(9, 7, 5), act="relu", init="he_normal", **settings)
    model = networks.build(spec, (64,), 10)
    assert frame.parameters((9, 7, 5)) == sum(one.numel() for one in model.parameters())


def test_parameters_of_a_convolutional_network() -> None:
    frame = shaping.Frame(inputs=3, outputs=10, kernel=9, norm=2)
    spec = NetworkSpec(net="cnn", depth=3, widths=(6, 4), act="relu", norm="batch")
    model = networks.build(spec, (3, 8, 8), 10)
    assert frame.parameters((6, 4)) == sum(one.numel() for one in model.parameters())


def test_rows_say_what_a_shape_is(found: Mapping[str, Any]) -> None:
    rows = {row["label"]: row for row in found["rows"]}
    assert list(rows) == list(SPEC.shapes)
    for row in rows.values():
        units = tuple(row["units"])
        assert row["widths"] == "-".join(map(str, units))
        assert row["parameters"] == by_hand(units)
        assert row["depth"] == len(units) + 1
    assert (rows["20-10"]["kind"], rows["20-10"]["units"]) == ("given", [20, 10])
    assert found["parameters"] == 3000
    assert "width" not in found["shared"]


def test_gap_and_lowest_loss_are_those_of_the_trainings(found: Mapping[str, Any]) -> None:
    row = found["rows"][1]
    (variant,) = [one for one in shaping.variants(SPEC) if one.label == row["label"]]
    (chosen,) = [one for one in configurations.asked(variant.sweep) if one["lr"] == row["lr"]]
    record, _samples = record_of(configurations.runs(variant.sweep, [chosen]), eval_train=True)
    gaps = record.train_accuracy[-1] - record.val_accuracy[-1]
    assert row["gap"].mean == pytest.approx(gaps.mean(), abs=1e-9)
    assert row["lowest_val_loss"].mean == pytest.approx(record.val_loss.min(axis=0).mean())
    steps = [record.evaluated[losses.argmin()] for losses in record.val_loss.T]
    assert row["lowest_at"].mean == pytest.approx(np.mean(steps))
    rise = record.val_loss[-1] - record.val_loss.min(axis=0)
    assert row["rise"].mean == pytest.approx(rise.mean())
    curve = next(one for one in found["gaps"] if one["label"] == row["label"])
    expected = (record.val_loss - record.train_loss).mean(axis=1)
    np.testing.assert_allclose([value.mean for value in curve["gap"]], expected, rtol=1e-5)


def test_pairs_are_tested_as_scipy_does(found: Mapping[str, Any]) -> None:
    scores = {}
    rows = {row["label"]: row for row in found["rows"]}
    for variant in shaping.variants(SPEC):
        asked = configurations.asked(variant.sweep)
        chosen = [one for one in asked if one["lr"] == rows[variant.label]["lr"]]
        record, _samples = record_of(configurations.runs(variant.sweep, chosen))
        scores[variant.label] = record.test_accuracy
    labels = ["pyramid:4", "widening:4"]
    assert [one["label"] for one in found["pairs"]] == labels
    raw = [stats.ttest_rel(scores[label], scores["constant:4"]).pvalue for label in labels]
    smaller, larger = sorted(raw)
    expected = {smaller: min(1, 2 * smaller), larger: min(1, max(2 * smaller, larger))}
    for one, p_value in zip(found["pairs"], raw, strict=True):
        assert one["gain"].mean == pytest.approx(
            (scores[one["label"]] - scores["constant:4"]).mean(), abs=1e-7
        )
        assert one["p_value"] == pytest.approx(expected[p_value], abs=1e-4)
    depth = found["depth"]
    assert (depth["shallowest"], depth["deepest"]) == ("constant:2", "constant:4")
    difference = (scores["constant:4"] - scores["constant:2"]).mean()
    assert depth["gain"].mean == pytest.approx(difference, abs=1e-7)


def test_so_few_parameters_are_refused() -> None:
    spec = ShapesSpec(shapes=("constant:17",), parameters=50)
    with pytest.raises(UsageError, match=r"^--parameters: got 50; constant:17 has at least 115$"):
        shaping.shapes(spec)
