"""One neuron, the perceptron rule, and what it cannot learn."""

from __future__ import annotations

from itertools import permutations, product, repeat

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from nndiag.experiments import perceptron
from nndiag.schema.spec_principles import TABLES, PerceptronSpec, truth


def found(**options: object) -> dict:
    return dict(perceptron.run(PerceptronSpec(**options)).result)  # type: ignore[arg-type]


def test_the_course_example() -> None:
    first, second = found()["points"]
    assert (round(first["output"], 5), round(second["output"], 5)) == (0.00091, 0.95257)
    assert (first["score"], second["score"]) == (-7.0, 3.0)
    assert (first["side"], second["side"]) == (-1, 1)


numbers = st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 3))


@given(st.tuples(numbers, numbers, numbers), numbers, st.tuples(numbers, numbers, numbers))
def test_the_neuron_is_that_of_torch(w: tuple, b: float, x: tuple) -> None:
    (point,) = found(weights=w, bias=b, at=(x,), act="tanh", tables=())["points"]
    linear = torch.nn.Linear(3, 1, dtype=torch.float64)
    linear.weight.data = torch.tensor([w], dtype=torch.float64)
    linear.bias.data = torch.tensor([b], dtype=torch.float64)
    score = linear(torch.tensor(x, dtype=torch.float64))
    assert point["score"] == pytest.approx(score.item(), abs=1e-12)
    assert point["output"] == pytest.approx(torch.tanh(score).item(), abs=1e-12)
    if any(w):
        foot = np.array(x) - point["distance"] * np.array(w) / np.linalg.norm(w)
        assert np.dot(w, foot) + b == pytest.approx(0, abs=1e-9)


def test_the_boundary_is_the_line_of_equal_odds() -> None:
    result = found(weights=(4.0, -2.0), bias=1.0)
    line = result["boundary"]
    for x in (-2.0, 0.0, 3.0):
        assert 4 * x - 2 * (line["slope"] * x + line["intercept"]) + 1 == pytest.approx(0)
    plane = result["plane"]
    expected = 1 / (1 + np.exp(-(4 * np.array(plane["x"]) - 2 * plane["y"][3] + 1)))
    np.testing.assert_allclose(plane["value"][3], expected, rtol=1e-12)


@pytest.mark.parametrize("digits", list(product("01", repeat=4)), ids="".join)
def test_separable_is_what_a_linear_program_says(digits: tuple[str, ...]) -> None:
    targets = 2.0 * np.array(truth("".join(digits))) - 1
    signed = targets[:, None] * perceptron.CORNERS
    program = optimize.linprog(np.zeros(3), A_ub=-signed, b_ub=-np.ones(4), bounds=(None, None))
    (row,) = found(tables=("".join(digits),), seeds=2)["rows"]
    assert row["separable"] == program.success
    if not program.success:
        weights = np.array(row["certificate"])  # Gordan: a >= 0 with sum a_i y_i x_i = 0
        assert (weights >= 0).all()
        assert weights.any()
        np.testing.assert_array_equal(weights @ signed, 0)
        assert (row["converged"], row["bound"], row["epochs"]) == (0, None, None)
        return
    length = optimize.minimize(
        lambda w: w @ w,
        program.x,
        jac=lambda w: 2 * w,
        constraints={"type": "ineq", "fun": lambda w: signed @ w - 1, "jac": lambda w: signed},
        options={"ftol": 1e-14},
    )
    assert row["margin"] == pytest.approx(1 / np.linalg.norm(length.x), rel=1e-5)


def test_no_order_needs_more_updates_than_novikoff_allows() -> None:
    for name in ("and", "or", "nand", "nor", "0010", "1111"):
        targets = 2.0 * np.array(truth(name)) - 1
        bound = 3 / perceptron.margin(targets) ** 2
        for order in permutations(range(4)):
            history, updates = perceptron.learn(targets, repeat(np.array(order)), 100)
            assert updates[-1] == 0
            assert sum(updates) <= bound + 1e-9
            assert (targets * (perceptron.CORNERS @ history[-1]) > 0).all()


def test_the_rule_step_by_step() -> None:
    # AND from zero, in order: each sample with y (w . x) <= 0 is added with its sign.
    history, updates = perceptron.learn(np.array([-1.0, -1, -1, 1]), repeat(np.arange(4)), 100)
    np.testing.assert_array_equal(history[1], [1, 1, 0])
    assert updates[:2] == [2, 3]


@pytest.mark.parametrize("name", ["xor", "xnor"])
def test_the_cycle_is_real(name: str) -> None:
    targets = 2.0 * np.array(truth(name)) - 1
    cycle = perceptron.cycle(targets, 1000)
    assert cycle is not None
    history, updates = perceptron.learn(targets, repeat(np.arange(4)), cycle[1])
    np.testing.assert_array_equal(history[cycle[0]], history[cycle[1]])
    assert all(updates)
    assert perceptron.cycle(2.0 * np.array(truth("and")) - 1, 1000) is None


@pytest.mark.parametrize("name", ["xor", "xnor"])
def test_two_layers_hold_what_one_cannot(name: str) -> None:
    (one,) = found(tables=(name,))["layered"]
    first, second, outer = (np.array(unit["weights"]) for unit in one["units"])
    for x, wanted in zip(perceptron.CORNERS, truth(name), strict=True):
        hidden = [float(x @ first > 0), float(x @ second > 0), 1.0]
        assert float(hidden @ outer > 0) == wanted
    assert one["correct"]
    shares = [row["solved"].mean for row in one["rows"]]
    assert shares[-1] > shares[0]
    assert all(0 <= row["solved"].low <= row["solved"].high <= 1 for row in one["rows"])


def test_descent_is_that_of_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptron, "_STEPS", 300)
    spec, wanted = PerceptronSpec(seeds=4), np.array([0.0, 1, 1, 0])
    solved = perceptron.descend(wanted, 2, spec)
    x, y = torch.tensor(perceptron.CORNERS), torch.tensor(wanted)
    for k in range(4):
        draw = np.random.default_rng([k, 2])
        first = torch.tensor(draw.normal(size=(3, 2)), requires_grad=True)
        second = torch.tensor(draw.normal(size=(3, 1)), requires_grad=True)
        optimizer = torch.optim.SGD([first, second], lr=1.0)
        for _step in range(300):
            optimizer.zero_grad()
            tall = torch.cat([torch.tanh(x @ first), torch.ones(4, 1)], dim=1)
            score = (tall @ second)[:, 0]
            torch.nn.functional.binary_cross_entropy_with_logits(score, y).backward()
            optimizer.step()
        tall = torch.cat([torch.tanh(x @ first), torch.ones(4, 1)], dim=1)
        assert bool((((tall @ second)[:, 0] > 0) == (y > 0.5)).all()) == bool(solved[k])


@pytest.mark.parametrize(("successes", "of"), [(0, 20), (7, 20), (20, 20)])
def test_the_share_has_wilsons_interval(successes: int, of: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(successes, of).proportion_ci(method="wilson")
    number = perceptron.share(np.arange(of) < successes)
    assert (number.low, number.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_same_seed_same_result() -> None:
    first, again = (found(tables=tuple(TABLES), seeds=3) for _time in range(2))
    for result in (first, again):
        for row in result["rows"]:
            row.pop("seconds")
    assert first == again
