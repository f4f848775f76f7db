"""Presets are sweeps: rows are those of `nndiag sweep`, what they say follows from them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import nn

from nndiag.experiments import (
    compare_activations,
    compare_batch_sizes,
    compare_inits,
    compare_regularizers,
    compare_schedules,
    compare_shapes,
    lr_find,
    sweep,
)
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_presets import (
    ActivationsSpec,
    BatchSizesSpec,
    InitsSpec,
    LrFindSpec,
    PresetSpec,
    RegularizersSpec,
    SchedulesSpec,
)
from nndiag.schema.spec_shapes import ShapesSpec
from nndiag.training import configurations, presets, range_test
from nndiag.training.groups import loaded, network_of, record_of
from nndiag.training.variants import rates_axis

RunCli = Callable[..., Any]
TINY = {"steps": 24, "width": 8, "batch_size": 32}
METRICS = ("test_accuracy", "test_loss", "val_accuracy", "val_loss", "train_loss")

CASES: dict[str, tuple[ModuleType, PresetSpec]] = {
    "shapes": (
        compare_shapes,
        ShapesSpec(
            base={"steps": 24, "train_samples": 60},
            rates=2,
            seeds=2,
            shapes=("constant:2", "pyramid:3", "12"),
            parameters=2000,
        ),
    ),
    "schedules": (
        compare_schedules,
        SchedulesSpec(base=TINY, rates=2, seeds=2, schedules=("constant", "cosine", "plateau")),
    ),
    "batch sizes": (
        compare_batch_sizes,
        BatchSizesSpec(
            base={"steps": 24, "width": 8}, rates=2, seeds=2, sizes=(16, 64, 0), reference=16
        ),
    ),
    "regularizers": (
        compare_regularizers,
        RegularizersSpec(
            base={**TINY, "train_samples": 60, "init": "he_normal"},
            rates=2,
            seeds=2,
            regularizers=("l1", "l2", "weight_decay", "dropout", "noise", "early_stopping"),
            patience=1,
        ),
    ),
    "inits": (
        compare_inits,
        InitsSpec(
            base={**TINY, "depth": 6, "width": 32},
            rates=2,
            seeds=2,
            inits=("zeros", "torch", "he_normal"),
        ),
    ),
    "activations": (
        compare_activations,
        ActivationsSpec(
            base={**TINY, "depth": 3}, rates=2, seeds=2, activations=("tanh", "relu", "selu")
        ),
    ),
    "lr-find": (
        lr_find,
        LrFindSpec(base=TINY, rates=3, seeds=2, low=1e-3, range_steps=60),
    ),
}


@pytest.fixture(scope="module")
def results() -> Mapping[str, Mapping[str, Any]]:
    return {name: module.run(spec).result for name, (module, spec) in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_each_row_is_the_best_of_its_sweep(
    name: str, results: Mapping[str, Mapping[str, Any]], tmp_path: Path
) -> None:
    _module, spec = CASES[name]
    rows = {row["label"]: row for row in results[name]["rows"]}
    compared = 0
    planned = presets.planned(spec)
    if isinstance(spec, LrFindSpec):  # which rates, the range test says
        planned, _grid = presets.fixed_rates(spec, *_tested(results[name]))
    for variant in planned:
        if variant.label not in rows:  # sizes that need the data to be known
            continue
        row = rows[variant.label]
        best = sweep.run(variant.sweep, folder=tmp_path).result["rows"][0]
        for axis in variant.sweep.parsed:
            assert row[axis.name] == best["configuration"][axis.name]
        for metric in METRICS:
            assert row[metric].mean == pytest.approx(best[metric].mean, rel=1e-5, nan_ok=True)
            assert row[metric].low == pytest.approx(best[metric].low, rel=1e-4, abs=1e-6)
        compared += 1
    assert compared >= 2


def _tested(found: Mapping[str, Any]) -> tuple[float, float, float]:
    lrs = {row["label"]: row["lr"] for row in found["rows"]}
    return lrs["too small"] * 30, lrs["good"], lrs["too large"]


def test_the_printed_sweep_is_the_same(
    results: Mapping[str, Mapping[str, Any]],
    run_cli: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNDIAG_HOME", str(tmp_path))
    row = results["schedules"]["rows"][1]
    done = run_cli(*shlex.split(row["sweep"])[1:])
    assert done.code == 0, done.err
    best = f"{100 * row['val_accuracy'].mean:.1f} %"
    assert f"Best validation accuracy: {best}" in " ".join(done.out.split())


@pytest.mark.parametrize("name", CASES)
def test_rows_say_what_design_asks_for(name: str, results: Mapping[str, Mapping[str, Any]]) -> None:
    found = results[name]
    for row in found["rows"]:
        assert {"label", "diverged", "seconds", "sweep"} <= row.keys()
        assert row["test_accuracy"].low <= row["test_accuracy"].mean <= row["test_accuracy"].high
    assert sum(row["trainings"] for row in found["rows"]) <= found["trainings"]
    assert found["reading"]


@pytest.mark.parametrize("name", CASES)
def test_gains_are_paired_by_seed(name: str, results: Mapping[str, Mapping[str, Any]]) -> None:
    rows = results[name]["rows"]
    (reference,) = (row for row in rows if row["reference"])
    for row in rows:
        gain = row["test_accuracy"].mean - reference["test_accuracy"].mean
        assert row["gain"].mean == pytest.approx(gain, abs=1e-9)


def test_the_best_rate_is_the_best_on_validation() -> None:
    _module, spec = CASES["schedules"]
    variant = presets.planned(spec)[1]
    asked = configurations.asked(variant.sweep)
    record, _samples = record_of(configurations.runs(variant.sweep, asked))
    means = record.val_accuracy[-1].reshape(len(asked), 2).mean(axis=1)
    row = compare_schedules.run(spec).result["rows"][1]
    assert row["lr"] == asked[int(means.argmax())]["lr"]
    places = slice(2 * int(means.argmax()), 2 * int(means.argmax()) + 2)
    assert row["test_accuracy"].mean == pytest.approx(record.test_accuracy[places].mean())


def test_rates_lie_around_the_textbook_rate() -> None:
    spec = PresetSpec(base={"optimizer": "adam"}, rates=3)
    assert rates_axis(spec) == "lr=0.000316,0.001,0.00316"
    assert rates_axis(PresetSpec(base={"lr": 0.3})) == "lr=0.3"


def test_the_advice_compares_what_it_says(results: Mapping[str, Mapping[str, Any]]) -> None:
    found = results["schedules"]
    advice = found["advice"]
    constant = found["rows"][0]
    assert (constant["label"], advice["lr"]) == ("constant", constant["lr"])
    assert advice["first"] == constant["test_accuracy"]
    gain = advice["then"].mean - advice["first"].mean
    assert advice["gain"].mean == pytest.approx(gain, abs=1e-9)
    by_label = {row["label"]: row["test_accuracy"] for row in advice["rows"]}
    assert by_label[advice["schedule"]] == advice["then"]
    assert (advice["trainings"], advice["trainings_all"]) == (2 * (2 + 2), 2 * 2 * 3)


def test_shapes_are_the_schedules(results: Mapping[str, Mapping[str, Any]]) -> None:
    shapes = {one["label"]: one for one in results["schedules"]["shapes"]}
    assert set(shapes["constant"]["factor"]) == {1.0}
    expected = [0.5 * (1 + math.cos(math.pi * step / 24)) for step in range(24)]
    np.testing.assert_allclose(shapes["cosine"]["factor"], expected)
    assert shapes["plateau"]["factor"][0] == 1.0


def test_an_epoch_has_so_many_iterations() -> None:
    spec = BatchSizesSpec(sizes=(1, 100, 1078, 5000, 0), epochs=3)
    planned = presets.batch_sizes(spec, 1078)
    steps = {one.label: one.sweep.base["steps"] for one in planned}
    assert steps == {"1": 3 * 1078, "100": 3 * 11, "1078": 3}


def test_the_arithmetic_and_the_rates_of_batch_sizes(
    results: Mapping[str, Mapping[str, Any]],
) -> None:
    found = results["batch sizes"]
    rows = {row["batch_size"]: row for row in found["rows"]}
    assert list(rows) == [16, 64, 1078]
    assert (rows[64]["iterations_per_epoch"], rows[64]["last_batch"]) == (17, 1078 - 16 * 64)
    lr = found["reference"]["lr"]
    for size, row in rows.items():
        assert row["scaled"]["lr"] == pytest.approx(lr * size / 16)
        assert row["unscaled"]["lr"] == lr
        works = [
            point.mean >= 0.9
            for one in found["sensitivity"]
            if one["label"] == str(size)
            for point in one["val_accuracy"]
        ]
        assert row["rates_that_work"] == sum(works)
    assert rows[16]["scaled"]["test_accuracy"] == rows[16]["test_accuracy"]
    assert rows[1078]["noise"].mean == 0.0
    assert rows[16]["noise"].mean > rows[64]["noise"].mean
    text = "ceil(1078 / 16) = 68 iterations an epoch, the last with 6 samples"
    assert text in " ".join(found["reading"])


def test_gap_norm_and_zeros_are_those_of_the_weights(
    results: Mapping[str, Mapping[str, Any]],
) -> None:
    found = results["regularizers"]
    _module, spec = CASES["regularizers"]
    for variant in presets.planned(spec)[:3]:
        row = next(row for row in found["rows"] if row["label"] == variant.label)
        asked = configurations.asked(variant.sweep)
        chosen = [one for one in asked if all(one[k] == row[k] for k in ("lr", *row["chosen"]))]
        runs = configurations.runs(variant.sweep, chosen)
        record, _samples = record_of(runs, eval_train=True)
        gaps, norms, zeros = [], [], []
        for member in range(2):
            weights = [v.numpy() for v in record.state_of(member).values() if v.ndim == 2]
            every = np.concatenate([weight.ravel() for weight in weights])
            norms.append(math.sqrt(sum(np.linalg.norm(weight, "fro") ** 2 for weight in weights)))
            zeros.append((np.abs(every) < found["zero"]).mean())
            gaps.append(record.train_accuracy[-1, member] - record.val_accuracy[-1, member])
        assert row["weight_norm"].mean == pytest.approx(np.mean(norms), rel=1e-5)
        assert row["sparsity"].mean == pytest.approx(np.mean(zeros))
        assert row["gap"].mean == pytest.approx(np.mean(gaps), abs=1e-9)


def test_penalty_and_decay_are_one_thing_for_sgd_and_two_for_adam(
    results: Mapping[str, Mapping[str, Any]],
) -> None:
    found = results["regularizers"]
    norm = {row["label"]: row["weight_norm"].mean for row in found["decay"]}
    strength = found["decay_strength"]
    assert strength["weight_decay"] == pytest.approx(2 * strength["l2"] / 60)
    assert norm["sgd, penalty"] == pytest.approx(norm["sgd, decay"], rel=0.01)
    assert norm["sgd, penalty"] < 0.99 * norm["sgd"]
    assert norm["adam, penalty"] != pytest.approx(norm["adamw, decay"], rel=0.001)


def test_dropout_keeps_the_expectation_and_balls_are_touched_where_they_are(
    results: Mapping[str, Mapping[str, Any]],
) -> None:
    found = results["regularizers"]
    inverted, plain = found["dropout"]["inverted"], found["dropout"]["plain"]
    assert inverted.low < 1.0 < inverted.high
    assert inverted.high - inverted.low < 0.05
    assert plain.mean == pytest.approx(0.5 * inverted.mean)
    centre = np.array(found["balls"]["minimum"])
    curvature = np.array([[1.0, -0.3], [-0.3, 1.0]])

    def loss(point: np.ndarray) -> float:
        return float((point - centre) @ curvature @ (point - centre))

    for name, order in (("l1", 1), ("l2", 2)):
        best = optimize.minimize(
            loss,
            [0.1, 0.2],
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda w, o=order: 1 - np.linalg.norm(w, o)},
        )
        np.testing.assert_allclose(found["balls"]["touch"][name], best.x, atol=5e-3)
    assert found["balls"]["touch"]["l1"] == pytest.approx([0, 1], abs=1e-9)


def test_early_stopping_says_where_it_stopped(results: Mapping[str, Mapping[str, Any]]) -> None:
    rows = {row["label"]: row for row in results["regularizers"]["rows"]}
    assert rows["none"]["stopped_at"] is None
    assert 1 <= rows["early_stopping"]["stopped_at"].mean <= 24


def test_the_range_test_is_a_plain_loop_with_a_rising_rate(
    results: Mapping[str, Mapping[str, Any]],
) -> None:
    _module, spec = CASES["lr-find"]
    variant = presets.planned(spec)[0]
    (run, _other) = configurations.runs(variant.sweep, configurations.asked(variant.sweep))
    splits, data = loaded(run, DataSpec(), torch.device("cpu"))
    model = network_of(run, splits, torch.device("cpu"))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    order, losses = torch.Generator().manual_seed(run.seed), []
    while len(losses) < 60:
        for rows in torch.randperm(len(data.train_y), generator=order).split(32):
            rate = 1e-3 * 1e4 ** (len(losses) / 59)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.train_x[rows]), data.train_y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    found = results["lr-find"]["range"]
    kept = len(found["raw"])
    np.testing.assert_allclose(found["raw"], losses[:kept], rtol=2e-3)
    assert found["rates"] == pytest.approx([1e-3 * 1e4 ** (k / 59) for k in range(kept)])


def test_what_is_read_off_a_known_curve() -> None:
    """A valley between two walls: steepest at the slope's middle, lowest at its floor."""
    rising = range_test.rates(1e-4, 1e4, 401)
    logs = np.log10(rising)
    loss = 2 - 1.5 / (1 + np.exp(-6 * (logs + 2))) + np.exp(5 * (logs + 0.8))
    loss[np.flatnonzero(loss > 20)[0] :] = np.nan
    found = range_test.read(loss, rising)
    finite = loss[np.isfinite(loss)]
    assert found.lowest == pytest.approx(rising[finite.argmin()], rel=0.1)
    assert found.steepest == pytest.approx(1e-2, rel=0.15)
    assert found.too_large == pytest.approx(rising[np.flatnonzero(loss > loss[0])[0]], rel=0.1)
    assert found.suggested == pytest.approx(math.sqrt(found.steepest * found.lowest))
    assert np.isnan(found.smooth[len(finite) :]).all()


def test_the_caller_s_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    lr_find.run(LrFindSpec(base={**TINY, "dropout": 0.3, "norm": "batch"}, rates=3, seeds=2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_convolutional_networks_are_compared_with_their_own_kind() -> None:
    spec = RegularizersSpec(
        base={"steps": 8, "train_samples": 60, "width": 4}, seeds=2, rates=2, regularizers=("cnn",)
    )
    rows = {row["label"]: row for row in compare_regularizers.run(spec).result["rows"]}
    assert {label for label, row in rows.items() if row["reference"]} == {"none", "cnn"}
    gain = rows["cnn, spatial dropout"]["test_accuracy"].mean - rows["cnn"]["test_accuracy"].mean
    assert rows["cnn, spatial dropout"]["gain"].mean == pytest.approx(gain, abs=1e-9)
    assert rows["cnn, spatial dropout"]["spatial_dropout"] in (0.1, 0.3)


def test_the_signal_of_an_initialisation_is_measured_before_training(
    results: Mapping[str, Mapping[str, Any]],
) -> None:
    rows = {row["label"]: row for row in results["inits"]["rows"]}
    profiles = {one["label"]: one for one in results["inits"]["profiles"]}
    assert rows["zeros"]["decay_per_layer"] is None
    assert rows["he_normal"]["decay_per_layer"].mean == pytest.approx(1.0, abs=0.15)
    for label in ("torch", "he_normal"):
        norms = [value.mean for value in profiles[label]["output_grad_norm"]]
        assert len(norms) == 5
        assert rows[label]["grad_ratio"].mean == pytest.approx(norms[0] / norms[-1], rel=1e-6)
        predicted = rows[label]["predicted_decay_per_layer"]
        assert rows[label]["decay_per_layer"].mean == pytest.approx(predicted, rel=0.2)
    # torch's default has a sixth of He's variance, so that a layer keeps sqrt(1/6) of a gradient.
    assert rows["torch"]["predicted_decay_per_layer"] == pytest.approx(math.sqrt(1 / 6), rel=1e-3)


def test_functions_slopes_and_zones(results: Mapping[str, Mapping[str, Any]]) -> None:
    functions = {one["label"]: one for one in results["activations"]["functions"]}
    z = np.array(functions["tanh"]["z"])
    np.testing.assert_allclose(functions["tanh"]["value"], np.tanh(z), atol=1e-12)
    np.testing.assert_allclose(functions["tanh"]["slope"], 1 - np.tanh(z) ** 2, atol=1e-12)
    end = functions["tanh"]["saturated_above"]
    assert 1 - math.tanh(end) ** 2 == pytest.approx(0.05, rel=1e-6)
    assert functions["tanh"]["saturated_below"] == pytest.approx(-end)
    assert functions["relu"]["gate"] is True
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    zone = functions["selu"]["saturated_below"]
    assert scale * alpha * math.exp(zone) == pytest.approx(0.05 * scale * alpha, rel=1e-6)
    assert functions["selu"]["saturated_above"] is None


def test_shares_of_units_follow_the_training(results: Mapping[str, Mapping[str, Any]]) -> None:
    found = results["activations"]
    rows = {row["label"]: row for row in found["rows"]}
    assert rows["relu"]["saturated_fraction"] is None
    assert 0 < rows["tanh"]["saturated_fraction"].mean < 1
    entries = {(one["label"], one["statistic"]): one for one in found["units"]}
    assert ("relu", "saturated_fraction") not in entries
    dead = entries["relu", "dead_fraction"]
    assert (dead["steps"][0], len(dead["steps"])) == (0, 8)
    assert dead["values"][-1] == rows["relu"]["dead_fraction"]
    dying = next(one for one in found["dying"] if one["label"] == "relu")
    place = dying["rates"].index(rows["relu"]["lr"])
    assert dying["dead_fraction"][place] == rows["relu"]["dead_fraction"]


def test_units_that_die_at_a_large_rate_are_seen() -> None:
    base = {"steps": 40, "depth": 4, "width": 16, "optimizer": "momentum", "lr": 0.5}
    spec = ActivationsSpec(base=base, seeds=2, activations=("relu",))
    row = compare_activations.run(spec).result["rows"][0]
    variant = presets.planned(spec)[0]
    asked = configurations.asked(variant.sweep)
    runs = configurations.runs(variant.sweep, asked)
    record, _samples = record_of(runs)
    splits, data = loaded(runs[0], DataSpec(), torch.device("cpu"))
    shares = []
    for member, run in enumerate(runs):
        model = network_of(run, splits, torch.device("cpu"))
        model.load_state_dict(record.state_of(member))
        x, off = data.train_x, []
        for layer in model:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                off.append((x <= 0).all(0).double().mean().item())
        shares.append(np.mean(off))
    assert np.mean(shares) > 0.2
    assert row["dead_fraction"].mean == pytest.approx(np.mean(shares), abs=0.2)
    assert row["dead_fraction"].mean > 3 * row["dead_fraction_start"].mean
