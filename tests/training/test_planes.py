"""Layers of a network on the plane, against products of matrices and scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nndiag.training import planes


def network(
    seed: int, act: type[nn.Module], sizes: tuple[int, ...] = (2, 5, 3, 2)
) -> nn.Sequential:
    torch.manual_seed(seed)
    modules: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        modules += [nn.Linear(before, after), act()]
    return nn.Sequential(*modules[:-1])


@given(st.integers(0, 1000))
def test_without_activations_all_layers_are_one_affine_map(seed: int) -> None:
    with torch.random.fork_rng():
        model = network(seed, nn.Identity)
    weight, bias = planes.affine(model)
    x = np.random.default_rng(seed).normal(size=(20, 2)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(x @ weight.T + bias, expected, atol=1e-5)
    assert planes.not_affine(x, expected.astype(float)) < 1e-9


def test_layers_are_those_of_hooks() -> None:
    with torch.random.fork_rng():
        model = network(0, nn.Tanh)
    x = np.random.default_rng(0).normal(size=(7, 2))
    found = planes.layers(model, x)
    tall = torch.from_numpy(x.astype(np.float32))
    with torch.no_grad():
        one = torch.tanh(model[0](tall))
        two = torch.tanh(model[2](one))
        expected = [one, two, model[4](two)]
    assert [layer.name for layer in found] == ["0", "2", "4"]
    for layer, values in zip(found, expected, strict=True):
        np.testing.assert_allclose(layer.values, values.numpy(), atol=1e-6)


def test_straight_cut_of_two_classes_is_fishers() -> None:
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    draw = np.random.default_rng(1)
    y = np.arange(200) % 2
    x = draw.normal(size=(200, 3)) + y[:, None] * [1.0, 0.5, 0.0]
    test, test_y = x[100:], y[100:]
    fisher = discriminant.LinearDiscriminantAnalysis().fit(x[:100], y[:100])
    expected = (fisher.predict(test) == test_y).mean()
    assert planes.straight(x[:100], y[:100], test, test_y) == pytest.approx(expected)


def test_what_is_bent() -> None:
    x = np.linspace(-1, 1, 101)[:, None] * np.array([1.0, 0.0])
    assert planes.not_affine(x, x[:, :1] ** 2) == pytest.approx(1)
    assert planes.not_affine(x, 3 * x - 1) == pytest.approx(0, abs=1e-12)
    # x^3 = (3/5) x + the third Legendre polynomial: 1 - 21/25 of its variance is left.
    assert planes.not_affine(x, x[:, :1] ** 3) == pytest.approx(4 / 25, abs=0.02)
    assert planes.not_affine(x, np.zeros((101, 2))) == 0


def test_views() -> None:
    draw = np.random.default_rng(2)
    flat = draw.normal(size=(50, 2))
    same = planes.view(flat)
    np.testing.assert_array_equal(same.of(flat), flat)
    frame = np.linalg.qr(draw.normal(size=(5, 5)))[0][:, :2]
    seen = planes.view(flat @ frame.T + 3)
    assert seen.shown == pytest.approx(1)
    places = seen.of(flat @ frame.T + 3)
    np.testing.assert_allclose(
        np.linalg.norm(places[:, None] - places, axis=2),
        np.linalg.norm(flat[:, None] - flat, axis=2),
        atol=1e-9,
    )
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    again = planes.view(flat @ frame.T + 3, before=places @ turn)
    np.testing.assert_allclose(again.of(flat @ frame.T + 3), places @ turn, atol=1e-9)


def test_lattice() -> None:
    lines = planes.lattice((0.0, 0.0), (1.0, 2.0), 3, 5)
    assert lines.shape == (6, 5, 2)
    assert lines[0].tolist()[0] == [0, 0]
    assert lines[-1].tolist()[-1] == [1, 2]
