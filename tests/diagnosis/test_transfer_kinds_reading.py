"""The words follow from the numbers: what is said, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from nndiag.diagnosis.transfer_kinds_reading import clusters, domains
from nndiag.schema.result import interval


def _features(label: str, *nmi: float) -> dict[str, Any]:
    scores = {"nmi": interval(nmi), "ari": interval(nmi), "accuracy": interval(nmi)}
    return {"label": label, **scores, "runs": [{"nmi": one} for one in nmi]}


LEARNT = _features("pre-trained", 0.80, 0.82, 0.81)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            _features("pixels", 0.60, 0.62, 0.60),
            "Against pixels pre-training adds NMI: +20.3 ±1.4 points.",
        ),
        (
            _features("pixels", 0.90, 0.93, 0.92),
            "Negative transfer: pixels group better than pre-trained features (-10.7 ±1.4 points).",
        ),
        (
            _features("pixels", 0.60, 0.95, 0.90),
            "Against pixels no measurable difference in NMI (-0.7 ±44.7 points).",
        ),
    ],
)
def test_clusters(other: dict[str, Any], said: str) -> None:
    first, second = clusters([LEARNT, other])
    assert "NMI 81 %" in first
    assert second == said


def _row(method: str, *gains: float) -> dict[str, Any]:
    return {
        "domain": "blurred",
        "method": method,
        "before": interval([0.8] * len(gains)),
        "gain": interval(gains),
        "runs": [{"before": 0.8, "test_accuracy": 0.8 + gain} for gain in gains],
    }


def test_domains() -> None:
    rows = [_row("AdaBN", 0.10, 0.12, 0.11), _row("CORAL", -0.10, -0.12, -0.11)]
    assert domains(rows) == [
        "blurred: 80 % as trained; AdaBN helps (+11.0 ±2.5 points), CORAL harms (-11.0 ±2.5 "
        "points)."
    ]
    assert "AdaBN changes nothing measurable" in domains([_row("AdaBN", 0.2, -0.1, 0.01)])[0]


def test_one_seed() -> None:
    alone = "One seed shows no spread: differences of any size may be chance."
    assert domains([_row("AdaBN", 0.5)]) == [alone]
    assert clusters([_features("a", 0.5), _features("b", 0.1)])[1:] == [alone]
    assert domains([]) == []
