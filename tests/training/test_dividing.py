"""Members are divided so that what trains together can, and Ctrl-C loses no complete chunk."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from nndiag.training import dividing
from nndiag.training.dividing import chunked, grouped
from nndiag.training.lanes import Interrupted, Lanes
from nndiag.training.members import Member, Settings, TensorData
from nndiag.training.population import Interrupted as InterruptedTraining
from nndiag.training.population import train
from nndiag.training.stepping import optimizer_key

CPU = torch.device("cpu")


def test_members_of_one_optimizer_are_neighbours() -> None:
    members = [
        Member(seed=k, lr=0.1, optimizer=name)
        for k, name in enumerate(["adam", None, "adam", "sgd", "rmsprop", None])
    ]
    (group,) = grouped(members, "sgd")
    assert sorted(group.places) == list(range(6))
    keys = [optimizer_key(members[place], "sgd") for place in group.places]
    assert len(list(itertools.groupby(keys))) == len(set(keys)) == 3


def test_what_needs_other_batches_or_a_loop_trains_apart() -> None:
    members = [
        Member(seed=0, lr=0.1),
        Member(seed=1, lr=0.1, optimizer="gd"),
        Member(seed=2, lr=0.1, optimizer="rprop"),
        Member(seed=3, lr=0.1, rows=(0, 1, 2)),
        Member(seed=4, lr=0.1, rows=(3, 4, 5)),
    ]
    groups = {tuple(group.places): group.alone for group in grouped(members, "sgd")}
    assert groups == {(0,): None, (1,): None, (2,): "rprop", (3, 4): None}


@pytest.mark.parametrize("count", [1, 7, 8, 50, 300])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_chunks_are_even_and_fit(count: int, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dividing, "_CPU_NUMBERS", 600)
    model = nn.Linear(5, 5)  # 30 numbers: 20 members a chunk
    chunks = list(chunked(range(count), model, CPU, lanes))
    assert list(itertools.chain(*chunks)) == list(range(count))
    sizes = [len(chunk) for chunk in chunks]
    assert max(sizes) <= 20
    assert max(sizes) - min(sizes) <= 1
    if count >= 4 * lanes:
        assert len(chunks) % lanes == 0


def test_a_network_as_wide_as_the_cache_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dividing, "_CPU_NUMBERS", 29)
    assert list(chunked(range(3), nn.Linear(5, 5), CPU, 1)) == [[0], [1], [2]]


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_in_a_lane_keeps_what_is_done(threads: int) -> None:
    def work(item: int) -> int:
        if item == 5:
            raise KeyboardInterrupt
        return item * item

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        lanes = Lanes(nn.Linear(2, 2), torch.ones(1, 2))
        with pytest.raises(Interrupted) as stop:
            lanes.map(work, range(6))
    finally:
        torch.set_num_threads(before)
    assert set(stop.value.done) <= set(range(5))
    assert all(done == place * place for place, done in stop.value.done.items())
    if threads == 1:
        assert sorted(stop.value.done) == list(range(5))


def build(place: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(place)
        return nn.Linear(4, 3)


def test_ctrl_c_gives_the_members_whose_chunk_was_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dividing, "_CPU_NUMBERS", 60)  # 4 members of 15 numbers a chunk
    x, y = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3
    data = TensorData(train_x=x, train_y=y, val_x=x, val_y=y, test_x=x, test_y=y)
    members = [Member(seed=k, lr=0.01 * (k + 1)) for k in range(12)]
    settings = Settings(optimizer="adam", steps=32, batch_size=10, shares=1)
    whole = train(build, members, settings, data)
    done = 0

    def progress(steps: int) -> None:
        nonlocal done
        done += steps
        if done > 2 * 4 * settings.steps:
            raise KeyboardInterrupt

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(InterruptedTraining) as stop:
            train(build, members, settings, data, progress)
    finally:
        torch.set_num_threads(before)
    places, record = stop.value.places, stop.value.record
    assert places == list(range(8))
    assert record is not None
    np.testing.assert_array_equal(record.loss, whole.loss[:, places])
    np.testing.assert_array_equal(record.test_accuracy, whole.test_accuracy[places])
