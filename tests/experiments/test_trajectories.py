"""Paths of optimizers on functions of two variables."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from nndiag.experiments import trajectories
from nndiag.schema.spec_compare import TrajectorySpec
from nndiag.zoo.surfaces import RAVINE, SURFACES

TORCH = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "adagrad": lambda p, lr: torch.optim.Adagrad(p, lr=lr),
    "rmsprop": lambda p, lr: torch.optim.RMSprop(p, lr=lr),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("surface", SURFACES)
def test_a_path_is_that_of_a_plain_loop(name: str, surface: str) -> None:
    row = SURFACES[surface]
    rates = np.array([1e-4, 1e-3])
    path = trajectories.follow(row, name, rates, np.array([row.start] * 2), 40)
    for place, rate in enumerate(rates):
        point = torch.nn.Parameter(torch.tensor(row.start, dtype=torch.float64))
        optimizer = TORCH[name]([point], float(rate))
        for step in range(40):
            np.testing.assert_allclose(path[step, place], point.detach(), rtol=1e-9, atol=1e-12)
            optimizer.zero_grad()
            row.value(point[0], point[1]).backward()
            optimizer.step()


@pytest.mark.parametrize("surface", [row for row in SURFACES.values() if row.minima])
def test_minima_are_minima(surface: object) -> None:
    for point in surface.minima:  # type: ignore[attr-defined]
        x, y = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in point)
        value = surface.value(x, y)  # type: ignore[attr-defined]
        gradient = torch.autograd.grad(value, (x, y))
        assert abs(float(value.detach())) < 1e-9
        assert max(abs(float(part)) for part in gradient) < 1e-3


def test_gradient_descent_in_the_ravine_has_a_closed_form() -> None:
    row, rate = SURFACES["ravine"], 2 / sum(RAVINE)  # the best constant rate, 2 / (L + mu)
    path = trajectories.follow(row, "sgd", np.array([rate]), np.array([row.start]), 50)
    factors = 1 - rate * np.array(RAVINE)
    expected = np.array(row.start) * factors ** np.arange(51)[:, None]
    np.testing.assert_allclose(path[:, 0], expected, rtol=1e-9, atol=1e-12)


def test_what_the_ravine_teaches() -> None:
    spec = TrajectorySpec(surfaces=("ravine",), optimizers=("sgd", "momentum", "adagrad"), starts=3)
    rows = {row["label"]: row for row in trajectories.run(spec).result["rows"]}
    assert rows["momentum"]["steps"].mean < 0.6 * rows["sgd"]["steps"].mean  # inertia
    assert rows["sgd"]["reversals"].mean > rows["momentum"]["reversals"].mean > 5  # oscillation
    assert rows["adagrad"]["steps"].mean < rows["momentum"]["steps"].mean  # adaptivity
    assert rows["sgd"]["diverged"] > 0 == rows["adagrad"]["diverged"]


def test_a_passage_by_chance_is_no_arrival() -> None:
    row = SURFACES["ravine"]
    path = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])[:, None]
    assert trajectories._arrival(row, path).tolist() == [3]
    assert trajectories._arrival(row, path[:3]).tolist() == [-1]


def test_same_seed_same_result() -> None:
    spec = TrajectorySpec(surfaces=("beale",), optimizers=("adam",), steps=100)
    first, again = (trajectories.run(spec).to_dict()["result"] for _time in range(2))
    assert first == again


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nndiag", "compare-optimizers", "--trajectory", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_the_command_line() -> None:
    done = command("--surface", "ravine,saddle", "--optimizers", "sgd,adam", "--steps", "300")
    assert done.returncode == 0
    for word in ("ravine (Polyak 1964)", "saddle (Dauphin", "arrives first"):
        assert word in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    data = json.loads(command("--surface", "ravine", "--steps", "300", "--json", "-").stdout)
    assert {"surface", "optimizer", "best_lr", "steps", "reached"} <= data["result"]["rows"][
        0
    ].keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--surface", "ravin"], "--surface: unknown name 'ravin'; did you mean ravine?"),
        (["--depth", "3"], "--depth: has no meaning with --trajectory"),
        (["--steps", "0"], "--steps: got 0; accepted: a number above 0"),
    ],
)
def test_wrong_input(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stderr) == (2, f"nndiag: {message}\n")
