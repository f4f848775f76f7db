"""Claims to rows: verdicts, deviations, what an interrupted run keeps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nndiag import claims
from nndiag.experiments import reproduce
from nndiag.schema.claim import Claim, Figure, Figures
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.spec_reproduce import ReproduceSpec


def claim(name: str, *, fails_from: int = 99) -> Claim:
    def measure(seeds: Sequence[int], watch: Watch) -> list[Figures]:
        return [{"main": 2.0 + (seed >= fails_from), "zero": 0.5} for seed in seeds]

    return Claim(
        name=name,
        paper="Somebody 2020",
        says="It is so.",
        published="A number.",
        criterion="Two.",
        figures=(
            Figure(name="main", text="the number", paper=1.6),
            Figure(name="zero", text="another", paper=0.0),
        ),
        measure=measure,
        holds=lambda figures: figures["main"] == 2,
    )


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "good": claim("good"),
        "bad": claim("bad", fails_from=0),
        "torn": claim("torn", fails_from=8),
    }
    monkeypatch.setattr(claims, "get", known.__getitem__)


@pytest.mark.usefixtures("made_up")
def test_rows_and_reading() -> None:
    spec = ReproduceSpec(claims=("good", "bad", "torn"), seeds=4, seed=6)
    found = reproduce.run(spec).result
    assert [row["verdict"] for row in found["rows"]] == ["PASS", "FAIL", "INCONCLUSIVE"]
    assert [row["held"] for row in found["rows"]] == [
        [True] * 4,
        [False] * 4,
        [True, True, False, False],
    ]
    good = found["rows"][0]
    assert (good["measured"].mean, good["paper"]) == (2, 1.6)
    assert good["deviation"] == pytest.approx(0.25)
    assert good["figures"][1]["deviation"] == 0.5
    assert found["rows"][2]["measured"].mean == 2.5
    assert found["reading"] == [
        "1 of 3 claims hold at this scale.",
        "Not reproduced here: bad.",
        "The seeds disagree: torn; more --seeds tell.",
    ]


@pytest.mark.usefixtures("made_up")
def test_ctrl_c_keeps_the_complete_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = reproduce._checked

    def impatient(one: Claim, seeds: Sequence[int], watch: Watch) -> dict[str, object]:
        if one.name == "torn":
            raise KeyboardInterrupt
        return checked(one, seeds, watch)

    monkeypatch.setattr(reproduce, "_checked", impatient)
    found = reproduce.run(ReproduceSpec(claims=("good", "torn", "bad")), watch=Silent()).result
    assert (found["interrupted"], [row["label"] for row in found["rows"]]) == (True, ["good"])


def test_the_global_random_state_is_left_alone() -> None:
    import torch

    before = torch.get_rng_state()
    reproduce.run(ReproduceSpec(claims=("klambauer2017",), seeds=1))
    assert torch.equal(before, torch.get_rng_state())
