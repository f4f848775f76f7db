"""Letters drawn as the source task of transfer learning."""

from __future__ import annotations

import string
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nndiag.datasets.letters import Letters, classes, enlarged


def test_twins_share_a_class() -> None:
    names = classes()
    assert len(names) == 52 - 9
    assert set(names) <= set(string.ascii_letters)
    assert not set("COSUVWXZl") & set(names)
    assert set("cosuvwxzI") <= set(names)


@given(
    image_size=st.integers(8, 70),
    low=st.integers(4, 12),
    count=st.integers(1, 9),
    seed=st.integers(0, 2**63 - 1),
)
def test_batch(image_size: int, low: int, count: int, seed: int) -> None:
    x, y = Letters(image_size=image_size, low=low, seed=seed).batch(count)
    assert x.shape == (count, 3, image_size, image_size)
    assert x.dtype == torch.float32
    assert x.min() >= 0
    assert x.max() <= 1
    assert y.shape == (count,)
    assert y.min() >= 0
    assert y.max() < len(classes())
    again, labels = Letters(image_size=image_size, low=low, seed=seed).batch(count)
    assert torch.equal(x, again)
    assert torch.equal(y, labels)


def test_stream_goes_on_and_seeds_differ() -> None:
    letters = Letters(image_size=16, seed=3)
    parts = list(letters.batches(2, 20))
    assert not torch.equal(parts[0][0], parts[1][0])
    assert not torch.equal(parts[0][0], Letters(image_size=16, seed=4).batch(20)[0])
    again = list(Letters(image_size=16, seed=3).batches(2, 20))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(parts, again, strict=True))


def test_no_global_random_numbers() -> None:
    before = torch.get_rng_state()
    Letters(image_size=16).batch(4)
    assert torch.equal(before, torch.get_rng_state())


def test_every_class_is_drawn() -> None:
    y = Letters(image_size=8, seed=0).batch(2000)[1]
    assert torch.bincount(y, minlength=len(classes())).min() > 10


def test_channels_are_equal_and_detail_is_that_of_few_pixels() -> None:
    x = Letters(image_size=64, low=8, seed=0).batch(50)[0]
    assert torch.equal(x[:, 0], x[:, 2])
    low = torch.nn.functional.interpolate(x[:, :1], size=(8, 8), mode="area")
    rebuilt = enlarged(low, 64)
    assert (x - rebuilt).square().mean() < 0.1 * x.var()


def test_enlarged_is_bilinear() -> None:
    step = torch.tensor([[[[0.0, 1.0]]]]).expand(1, 1, 2, 2)
    row = enlarged(step, 4)[0, 1, 0]
    assert torch.allclose(row, torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_letters_can_be_told_apart() -> None:
    """The nearest class mean of pixels is right far more often than chance, not always."""
    x, y = Letters(image_size=16, seed=0).batch(4000)
    flat = x[:, 0].flatten(1)
    means = torch.stack([flat[:3000][y[:3000] == k].mean(0) for k in range(len(classes()))])
    right = (torch.cdist(flat[3000:], means).argmin(1) == y[3000:]).double().mean()
    assert 10 / len(classes()) < right < 0.9


@pytest.mark.slow
def test_three_thousand_in_little_time() -> None:
    Letters(image_size=32).batch(1)
    started = time.process_time()
    Letters(image_size=32).batch(3000)
    assert time.process_time() - started < 0.6
