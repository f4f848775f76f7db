"""Pure tensor functions against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nndiag.probe import statistics
from nndiag.probe.probe import Probe
from nndiag.theory.saturation import Tails

INF = math.inf


def slot(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.full((), math.nan, dtype=dtype)


@pytest.mark.parametrize("scale", [1e-38, 1e-25, 1.0, 1e25])
def test_float64_norm_of_float32_entries(scale: float) -> None:
    values = torch.randn(100, 30) * scale
    out = slot()
    statistics.norm(values, out)
    assert float(out) == pytest.approx(float(np.linalg.norm(values.double().numpy())), rel=1e-12)


def test_float32_norm_underflows_where_float64_is_chosen() -> None:
    values = torch.full((100,), 1e-25)
    narrow = slot(statistics.sum_type(values, exact=False))
    statistics.norm(values, narrow)
    assert float(narrow) == 0.0
    wide = slot(statistics.sum_type(values, exact=True))
    statistics.norm(values, wide)
    assert float(wide) == pytest.approx(1e-24)


@pytest.mark.parametrize(
    ("given_type", "exact", "expected"),
    [
        (torch.float16, False, torch.float32),
        (torch.bfloat16, False, torch.float32),
        (torch.float32, False, torch.float32),
        (torch.float64, False, torch.float64),
        (torch.float32, True, torch.float64),
    ],
)
def test_type_of_sums(given_type: torch.dtype, exact: bool, expected: torch.dtype) -> None:
    assert statistics.sum_type(torch.zeros(2, dtype=given_type), exact=exact) == expected


@given(
    low=st.sampled_from([-INF, -2.0, -0.5, 0.0]),
    high=st.sampled_from([INF, 0.5, 2.0]),
    seed=st.integers(0, 99),
)
def test_outside(low: float, high: float, seed: int) -> None:
    assume(math.isfinite(low) or math.isfinite(high))  # else the probe does not ask
    values = torch.randn(7, 9, generator=torch.Generator().manual_seed(seed))
    values[0, 0] = 0.5
    values[0, 1] = math.nan
    out = torch.full_like(values, math.nan)
    statistics.mark_outside(values, low, high, out)
    array = values.numpy()
    np.testing.assert_array_equal(out.numpy(), ((array <= low) | (array >= high)).astype("f4"))


@given(
    shape=st.sampled_from([(9, 5), (4, 5, 3, 2), (2, 3, 11, 11), (3, 4, 5)]),
    flat=st.sampled_from([(0.0, INF), (-INF, 0.0), (-0.2, 0.2)]),
    seed=st.integers(0, 99),
)
def test_alive(shape: tuple[int, ...], flat: tuple[float, float], seed: int) -> None:
    axis = 1 if len(shape) == 4 else -1
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) - 1
    got = statistics.alive(values, axis, Tails(flat_low=flat[0], flat_high=flat[1]))
    units = np.moveaxis(values.numpy(), axis, -1).reshape(-1, shape[axis])
    expected = ~((units <= flat[0]) | (units >= flat[1])).all(0)
    np.testing.assert_array_equal(got.numpy(), expected)


def test_twins() -> None:
    weight = torch.randn(4, 3)
    weight[2] = weight[0]
    gradient = torch.randn(4, 3)
    gradient[2] = gradient[0] * (1 + 1e-8)
    gradient[3] = gradient[0]
    assert float(statistics.twins(weight, gradient)) == 0.5


SHAPES = [(256, 1200), (300, 1000), (2048, 255), (32, 64, 32, 32), (50, 30, 28, 28), (16, 128, 768)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pattern", ["entries", "units", "samples", "positions"])
def test_sampled_fraction_is_within_a_point(shape: tuple[int, ...], pattern: str) -> None:
    """Whatever the fraction follows: single entries, whole units, samples, or positions."""
    torch.manual_seed(0)
    noise = torch.rand(shape)
    if pattern == "units":
        axis = 1 if len(shape) == 4 else len(shape) - 1
        noise = torch.rand([n if i == axis else 1 for i, n in enumerate(shape)]).expand(shape)
    elif pattern == "samples":
        noise = torch.rand([shape[0], *[1] * (len(shape) - 1)]).expand(shape)
    elif pattern == "positions":
        noise = torch.rand([1, 1, *shape[2:]] if len(shape) > 2 else [1, shape[1]]).expand(shape)
    values = noise.contiguous()
    part = statistics.sample(values)
    assert part.numel() >= min(values.numel(), statistics.SAMPLE)
    for share in (0.05, 0.5, 0.9):
        whole, seen = (values < share).double().mean(), (part < share).double().mean()
        assert abs(float(whole - seen)) < 0.01


@given(shape=st.lists(st.integers(1, 300), min_size=1, max_size=4))
@settings(max_examples=200)
def test_stride_shares_no_factor_with_an_axis(shape: list[int]) -> None:
    step = statistics.stride(tuple(shape))
    assert step == 1 or all(math.gcd(step, length) == 1 for length in shape)
    assert math.prod(shape) // step >= min(math.prod(shape), statistics.SAMPLE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_smallest_positive(dtype: torch.dtype) -> None:
    smallest = statistics.smallest_positive(dtype)
    assert float(torch.tensor(smallest, dtype=dtype)) > 0
    was = torch.set_flush_denormal(True)
    try:
        if was:
            assert statistics.smallest_positive(torch.float32) == torch.finfo(torch.float32).tiny
    finally:
        torch.set_flush_denormal(False)


def test_a_unit_that_dies_counts_as_dead_when_its_window_has_passed() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    x = torch.linspace(-1, 1, 8)[:, None]
    found = {}
    for window in (1, 16):
        with torch.no_grad():
            model[0].weight.fill_(1.0)
            model[0].bias.copy_(torch.tensor([2.0, 2.0]))
        with Probe(model, exact=True, window=window) as probe:
            for _look in range(3):
                model.zero_grad()
                loss = model(x).sum()
                loss.backward()
                probe.step(loss)
                with torch.no_grad():
                    model[0].bias[1] = -5.0  # dies after the first look
        found[window] = probe.trace.columns["dead_fraction"][:, 0, 0].tolist()
    assert found == {1: [0.0, 0.0, 0.5], 16: [0.0, 0.0, 0.0]}


@pytest.mark.parametrize("every", [1, 3])
def test_units_known_to_be_alive_need_no_second_look(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """The share of dead units by step is what looking at every unit in every pass gives."""

    def dead() -> np.ndarray:
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 9), nn.ReLU6())
        optimizer = torch.optim.SGD(model.parameters(), lr=1.5)
        with Probe(model, optimizer, every=every, window=8) as probe:
            for step in range(40 * every):
                optimizer.zero_grad()
                for _part in range(1 + step % 2):  # some steps accumulate two passes
                    model(torch.randn(3, 5)).square().mean().backward()
                optimizer.step()
        return probe.trace.columns["dead_fraction"][:, :, 0]

    found = dead()
    monkeypatch.setattr(statistics, "all_on_host", lambda flags: False)
    assert np.array_equal(found, dead())
    assert 0 < np.count_nonzero(found) < found.size


def test_runs_of_neighbours_give_the_norm_of_the_whole() -> None:
    torch.manual_seed(0)
    for shape in [(1024, 1024), (512, 512, 3, 3), (3_000_001,)]:
        tensor = torch.randn(shape)
        for same in (tensor, tensor.contiguous(memory_format=_layout_of(tensor))):
            part = statistics.sample_runs(same)
            assert statistics.SAMPLE * 0.99 < part.numel() < same.numel() / 4
            assert part.untyped_storage().data_ptr() == same.untyped_storage().data_ptr()
            estimate = float(part.norm()) * math.sqrt(same.numel() / part.numel())
            assert estimate == pytest.approx(float(same.norm()), rel=0.02)
    small = torch.randn(300, 300)
    assert statistics.sample_runs(small) is small


def _layout_of(tensor: torch.Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.ndim == 4 else torch.contiguous_format


def test_a_weight_that_two_layers_share_moves_once() -> None:
    torch.manual_seed(0)
    table, body, head = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 7, bias=False)
    head.weight = table.weight
    model = nn.Sequential(table, body, head)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ratios = []
    with Probe(model, optimizer) as probe:
        for _step in range(3):
            optimizer.zero_grad()
            model(torch.arange(7)).square().sum().backward()
            before = table.weight.detach().clone()
            optimizer.step()
            ratios.append(float((table.weight.detach() - before).norm() / before.norm()))
    seen = probe.trace.columns["update_ratio"][:, :, 0]
    np.testing.assert_allclose(seen[:, 0], ratios, rtol=1e-5)
    np.testing.assert_allclose(seen[:, 2], ratios, rtol=1e-5)
