"""Curves in bounded memory, against numpy on the whole series."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nndiag.training import curves
from nndiag.training.curves import Curves

RUNNING = np.full(2, -1)


def filled(losses: np.ndarray, norms: np.ndarray, every: int = 16) -> Curves:
    """Give the steps one by one, looking every so often."""
    found = Curves(len(losses), losses.shape[1])
    for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), start=1):
        found.add(torch.tensor(loss), torch.tensor(norm))
        if step % every == 0:
            found.take()
    return found


def series(steps: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(steps, 2)), generator.lognormal(size=(steps, 2))


def test_a_short_training_keeps_every_step() -> None:
    losses, norms = series(50)
    steps, loss, norm = filled(losses, norms).table(RUNNING)
    np.testing.assert_array_equal(steps, np.arange(1, 51))
    np.testing.assert_array_equal(loss, losses)
    np.testing.assert_array_equal(norm, norms)


@pytest.mark.parametrize("count", [61, 100, 103])
def test_a_long_one_keeps_means_and_extremes(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "MOST_ROWS", 20)
    losses, norms = series(count)
    norms[count // 2, 1] = 1e6
    steps, loss, norm = filled(losses, norms).table(RUNNING)
    assert len(steps) <= 20
    assert steps[-1] == count
    parts = np.split(np.arange(count), steps[:-1])
    np.testing.assert_allclose(loss, [losses[part].mean(0) for part in parts])
    np.testing.assert_array_equal(norm, [norms[part].max(0) for part in parts])
    assert norm.max() == 1e6


@pytest.mark.parametrize("most", [4096, 10])
def test_a_divergence_stays_seen(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "MOST_ROWS", most)
    losses, norms = series(60)
    losses[31, 0] = np.inf
    found = filled(losses, norms)
    assert found.take().tolist() == [False, True]
    steps, loss, norm = found.table(RUNNING)
    for table in (loss, norm):
        np.testing.assert_array_equal(np.isnan(table[:, 0]), steps > 31)
        assert np.isfinite(table[:, 1]).all()


def test_beyond_its_end_a_member_has_nothing() -> None:
    losses, norms = series(40)
    steps, loss, _norm = filled(losses, norms).table(np.array([25, -1]))
    np.testing.assert_array_equal(np.isnan(loss[:, 0]), steps > 25)
    assert np.isfinite(loss[:, 1]).all()


def test_memory_does_not_grow_with_the_steps() -> None:
    for steps in (curves.MOST_ROWS, 10 * curves.MOST_ROWS, 10**7):
        found = Curves(steps, 3)
        rows = len(found.table(np.full(3, -1))[0])
        assert rows <= curves.MOST_ROWS
