"""Results as `nndiag gradients` makes them, from closed forms (the same on every machine)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from nndiag import locales
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.result import Interval, Result

ResultMaker = Callable[..., Result]


@pytest.fixture(autouse=True)
def _speak_english() -> Any:
    locales.use("en")
    yield
    locales.use("en")


def around(mean: float, share: float = 0.04, **more: Any) -> Interval:
    """An interval symmetric on a log axis."""
    return Interval(mean, mean / (1 + share), mean * (1 + share), **more)


def near(mean: float, half: float = 0.002) -> Interval:
    return Interval(mean, mean - half, mean + half)


def layer(
    index: int, depth: int, *, factor: float, top: float, act: str, theory: bool, name: str
) -> dict[str, Any]:
    """One layer of a network whose gradient changes by `factor` a layer towards the input."""
    output = index == depth
    wobble = 1 + 0.03 * math.sin(1.7 * index)
    norm = top * factor ** (depth - index)
    row: dict[str, Any] = {
        "name": name.format(index),
        "index": index,
        "kind": "Linear",
        "fan_in": 64 if index == 1 else 128,
        "fan_out": 10 if output else 128,
        "activation": None if output else act,
        "gate": act.startswith("ReLU") and not output,
        "output": output,
        "trainable": True,
        "output_grad_norm": around(norm * wobble),
        "weight_grad_norm": around(norm * 0.55 * wobble, 0.07),
        "weight_norm": around(11.3, 0.001),
        "relative_grad": around(norm * 0.55 * wobble / 11.3, 0.07),
        "activation_mean": near(-0.02 + 0.01 * math.cos(index)),
        "activation_std": near(0.13 + 0.01 * math.sin(index), 0.001),
    }
    if theory:
        row["predicted_output_grad_norm"] = near(norm, 0.0)
        row["predicted_activation_std"] = near(0.131, 0.0)
    if not output:
        row["saturated_fraction"] = near(min(1.0, 0.002 * index))
        row["dead_fraction"] = near(0.0, 0.0)
    if row["gate"]:
        row["off_fraction"] = near(min(0.7, 0.49 + 0.002 * index))
        row["dead_fraction"] = near(min(0.5, 0.004 * index))
    return row


def histograms(names: Sequence[str]) -> list[dict[str, Any]]:
    edges = np.linspace(-1, 1, 41)
    centres = (edges[1:] + edges[:-1]) / 2
    made = []
    for place, name in enumerate(names):
        std = max(0.05, 0.4 * 0.93**place)
        density = np.exp(-0.5 * (centres / std) ** 2) / (std * math.sqrt(2 * math.pi))
        made.append({"name": name, "edges": edges.tolist(), "density": density.tolist()})
    return made


def training(names: Sequence[str], steps: int = 40) -> dict[str, Any]:
    when = list(range(0, 10 * steps, 10))
    grads = [
        [0.02 * 0.6 ** (len(names) - i) * (1 + s / 50) for i in range(len(names))] for s in when
    ]
    return {
        "steps": when,
        "loss": [0.2 + 2.1 * math.exp(-s / 120) for s in when],
        "validation_accuracy": {"steps": when[::10], "values": [0.1, 0.4, 0.71, 0.83]},
        "test_accuracy": Interval(0.842, 0.828, 0.856),
        "layers": {
            "names": list(names),
            "steps": when,
            "output_grad_norm": grads,
            "saturated_fraction": [
                [0.01 * i + 0.0005 * s for i in range(len(names))] for s in when
            ],
            "update_ratio": [[1e-3] * len(names) for _ in when],
        },
        "diverged": 0,
    }


def vanishing(names: Sequence[str]) -> tuple[Finding, ...]:
    return (
        Finding(
            symptom=Symptom.VANISHING_GRADIENTS,
            severity=Severity.CRITICAL,
            layers=tuple(names),
            evidence={"grad_ratio": 1.4e-12},
            cause="The slope of the sigmoid is at most 1/4, so every layer shrinks the gradient.",
            fixes=("nndiag gradients --depth 20 --act sigmoid --norm batch",),
            reference="Glorot & Bengio 2010, section 3",
        ),
        Finding(
            symptom=Symptom.SATURATED_ACTIVATIONS,
            severity=Severity.WARNING,
            layers=tuple(names[-2:]),
            cause="Half of the units of the last layers sit where the slope is below 5 %.",
        ),
    )


@pytest.fixture(scope="session")
def make_result() -> ResultMaker:
    """Return a function that builds a result; its arguments are the cases of the tests."""

    def make(
        *,
        depth: int = 20,
        factor: float = 0.237,
        act: str = "Sigmoid()",
        theory: bool = True,
        name: str = "fc{}",
        sick: bool = True,
        trained: bool = False,
        time_steps: int = 0,
        seeds: int = 10,
        top: float = 0.9,
        more: Mapping[str, Any] | None = None,
    ) -> Result:
        rows = [
            layer(i, depth, factor=factor, top=top, act=act, theory=theory, name=name)
            for i in range(1, depth + 1)
        ]
        names = [row["name"] for row in rows]
        result: dict[str, Any] = {
            "network": {
                "net": "mlp", "depth": depth, "width": 128, "act": "sigmoid", "norm": "none",
                "parameters": 306_826, "text": "Sequential(...)",
            },
            "init": {
                "name": "xavier_uniform", "default": True, "reference": "Glorot & Bengio 2010",
            },
            "data": {
                "name": "digits", "samples": {"train": 1077, "validation": 360, "test": 360},
                "input_shape": [64], "classes": 10, "source": "UCI",
            },
            "batch_size": 128,
            "seeds": seeds,
            "layers": rows,
            "grad_ratio": around(factor ** (depth - 2)),
            "decay_per_layer": around(factor, 0.008),
            "weight_grad_ratio": around(1.1 * factor ** (depth - 2), 0.1),
            "theory": {
                "status": "reliable", "reason": "", "chi": 0.056, "depth_scale": 0.69,
                "trainable_depth": 4.2,
            } if theory else {"status": "absent", "reason": "No theory for recurrent networks."},
            "distributions": histograms(names),
            "verdict": {
                "headline": "Vanishing gradients: the first layer receives 1e-12 of the signal."
                if sick else "Gradients reach every layer.",
                "why": [
                    "The slope φ′ of the sigmoid is at most 1/4; its mean output is 1/2.",
                    "Depth scale ξ = 0.69 layers: trains to about 6 ξ = 4.2 layers.",
                ],
                "try": [
                    "nndiag gradients --depth 20 --act sigmoid --norm batch  # ratio about 1",
                    "nndiag gradients --depth 20 --act tanh --init orthogonal --batch-size 128 "
                    "--seeds 10",
                ],
            },
        }  # fmt: skip
        if theory:
            result["predicted_grad_ratio"] = near(factor ** (depth - 2), 0)
            result["predicted_decay_per_layer"] = near(factor, 0)
        if trained:
            result["training"] = training(names)
            for row in rows:
                row["update_ratio"] = around(1.2e-3)
        if time_steps:
            result["time_steps"] = [
                {
                    "step": t,
                    "output_grad_norm": around(0.5 * 0.7 ** (time_steps - t)),
                    "activation_std": near(0.4),
                    "saturated_fraction": near(0.02),
                }
                for t in range(1, time_steps + 1)
            ]
        return Result(
            command="gradients",
            spec={},
            environment={"device": "cpu", "torch": "2.15.0", "python": "3.11.2"},
            seconds=0.41,
            result={**result, **(more or {})},
            findings=vanishing(names[:-1]) if sick else (),
            version="0.1.0",
        )

    return make
