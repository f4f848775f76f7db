"""Bias and variance of models as they grow, against closed forms and plain recomputation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nndiag.experiments import bias_variance
from nndiag.schema.errors import UsageError
from nndiag.schema.result import Interval
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.schema.spec_generalisation import BiasVarianceSpec
from nndiag.training import resampling
from nndiag.training.resampled_tasks import Classification, Regression
from nndiag.zoo import activations, initialisations, networks

CPU = torch.device("cpu")
NAMES = ("mse", "bias_squared", "variance", "noise")


@pytest.fixture(scope="module")
def polynomials() -> dict[str, Any]:
    return dict(bias_variance.run(BiasVarianceSpec(seeds=20, sets=40)).result)


def test_parts_add_up_and_meet_the_closed_form(polynomials: dict[str, Any]) -> None:
    for row in polynomials["rows"]:
        parts = sum(row[name].mean for name in NAMES[1:])
        assert row["mse"].mean == pytest.approx(parts, rel=1e-12)
        assert row["deviation"] < 1e-13
        for name in ("bias_squared", "variance"):
            found, expected = row[name], row[f"predicted_{name}"]
            assert abs(found.mean - expected) < 2 * (found.high - found.low) / 2 + 1e-9, row[
                "label"
            ]
        assert row["noise"].low < 0.3**2 < row["noise"].high


def test_verdicts_follow_the_curve(polynomials: dict[str, Any]) -> None:
    verdicts = {row["degree"]: row["verdict"] for row in polynomials["rows"]}
    assert verdicts[0] == verdicts[1] == "underfits"
    assert verdicts[12] == verdicts[15] == "overfits"
    (best,) = (row for row in polynomials["rows"] if row["verdict"] == "best")
    assert best["mse"].mean == min(row["mse"].mean for row in polynomials["rows"])
    assert 3 <= best["degree"] <= 5
    trained = [row["train_error"].mean for row in polynomials["rows"]]
    assert trained == sorted(trained, reverse=True), "least squares never fits worse with more"


def test_polynomials_are_those_of_numpy() -> None:
    spec = BiasVarianceSpec(seeds=2, sets=3, samples=12, values=(3,))
    task = Regression(spec, CPU)
    answers = task.answers(3, lambda steps: None)
    test, _truth = task.curve
    for model, y in enumerate(task._y):
        expected = np.polyval(np.polyfit(task._x, y, 3), test)
        np.testing.assert_allclose(answers.at_test[model], expected, atol=1e-9)


def test_networks_are_those_of_a_plain_loop() -> None:
    draw = np.random.default_rng(0)
    sets = resampling.Sets(
        x=draw.normal(size=(3, 10, 2)).astype(np.float32),
        y=draw.normal(size=(3, 10)).astype(np.float32),
        test=draw.normal(size=(5, 2)).astype(np.float32),
        outputs=1,
    )
    spec = NetworkSpec(depth=2, width=4, act="tanh", init="xavier_uniform")
    found = resampling.trained(
        spec, sets, epochs=20, batch_size=10, lr=0.01, seed=7, device=CPU, progress=lambda n: None
    )
    for place in range(3):
        model = networks.build(spec, (2,), 1)
        generator = torch.Generator().manual_seed(7 + place)
        init, act = initialisations.parse(spec.init), activations.parse(spec.act)
        initialisations.initialise(model, init, act, generator=generator)
        x, y = torch.from_numpy(sets.x[place]), torch.from_numpy(sets.y[place])
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _step in range(20):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x)[:, 0], y).backward()
            optimizer.step()
        with torch.no_grad():
            expected = model(torch.from_numpy(sets.test))
            loss = nn.functional.mse_loss(model(x)[:, 0], y)
        np.testing.assert_allclose(found.outputs[place], expected.numpy(), atol=1e-5)
        assert found.train_loss[place] == pytest.approx(loss.item(), rel=1e-4)


def test_classification() -> None:
    spec = BiasVarianceSpec(
        task="classification",
        axis="width",
        values=(1, 16),
        samples=60,
        noise=0.1,
        sets=4,
        epochs=20,
        data=DataSpec(name="blobs"),
        seeds=3,
    )
    result = bias_variance.run(spec).result
    small, large = result["rows"]
    for row in (small, large):
        total = sum(row[name].mean for name in ("bias", "net_variance", "net_noise"))
        assert row["error"].mean == pytest.approx(total, abs=1e-12)
        assert row["noise"].mean == pytest.approx(0.1)
    assert large["error"].mean < small["error"].mean
    assert large["error"].mean > 0.1, "wrong labels cannot be foreseen"
    assert result["drawn"] is None


def test_training_sets_differ_and_labels_are_as_wrong_as_asked() -> None:
    spec = BiasVarianceSpec(
        task="classification",
        axis="epochs",
        values=(1,),
        samples=100,
        noise=0.2,
        sets=3,
        seeds=2,
    )
    task = Classification(spec, CPU)
    assert len({row.tobytes() for row in task._sets.x}) == 6
    clean = Classification(BiasVarianceSpec(**{**vars(spec), "noise": 0.0}), CPU)
    np.testing.assert_array_equal(clean._sets.x, task._sets.x)
    assert ((task._sets.y != clean._sets.y).sum(axis=1) == 20).all()


def test_repeats_exactly() -> None:
    spec = BiasVarianceSpec(axis="epochs", values=(5,), sets=2, seeds=2, width=3)
    first, again = (bias_variance.run(spec).result["rows"][0] for _run in range(2))
    assert isinstance(first["mse"], Interval)
    assert {k: v for k, v in first.items() if k != "seconds"} == {
        k: v for k, v in again.items() if k != "seconds"
    }


def test_too_few_samples_for_a_training_set() -> None:
    spec = BiasVarianceSpec(task="classification", axis="width", values=(1,), samples=5000)
    with pytest.raises(UsageError, match=r"^--samples: got 5000; the training split has 1078$"):
        bias_variance.run(spec)
