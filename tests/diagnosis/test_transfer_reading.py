"""What the rows of `nndiag transfer` say: words that follow from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nndiag.diagnosis.transfer_reading import gains, reading
from nndiag.schema.result import interval

NAMES = ("start", "slope", "test_accuracy")


def row(strategy: str, *runs: Sequence[float], frozen: int | None = None) -> dict[str, Any]:
    """Build a row from (start, slope, final accuracy) of each seed."""
    table = [dict(zip(NAMES, run, strict=True)) for run in runs]
    return {
        "strategy": strategy,
        "labels_per_class": 20,
        "first_frozen": frozen,
        "runs": table,
        "gain": None,
        **{name: interval([one[name] for one in table]) for name in NAMES},
    }


SCRATCH = row("scratch", (0.30, 0.10, 0.80), (0.32, 0.11, 0.82), (0.31, 0.12, 0.81))


def against(other: dict[str, Any]) -> str:
    compared = {**other, "gain": gains(other, SCRATCH)}
    return reading([SCRATCH, compared])[0]


def test_advantages_are_said() -> None:
    better = row("finetune", (0.6, 0.2, 0.9), (0.62, 0.21, 0.92), (0.62, 0.23, 0.92))
    assert against(better) == (
        "finetune, 20 labels a class, against scratch: all three advantages of transfer: higher "
        "start, early slope and final accuracy."
    )


def test_what_does_not_appear_is_said() -> None:
    mixed = row("gradual", (0.6, 0.10, 0.85), (0.6, 0.11, 0.75), (0.61, 0.13, 0.82))
    assert against(mixed) == (
        "gradual, 20 labels a class, against scratch: higher start; no measurable difference in "
        "early slope and final accuracy."
    )


def test_negative_transfer_is_called_so() -> None:
    worse = row("frozen", (0.2, 0.1, 0.70), (0.22, 0.12, 0.73), (0.2, 0.11, 0.70))
    assert against(worse) == (
        "frozen, 20 labels a class, against scratch: negative transfer: lower start and final "
        "accuracy; no measurable difference in early slope."
    )


def test_the_control_explains_what_the_architecture_gives() -> None:
    frozen = row("frozen", (0.6, 0.1, 0.90), (0.6, 0.1, 0.91), (0.6, 0.1, 0.92))
    random = row("random", (0.3, 0.1, 0.60), (0.3, 0.1, 0.62), (0.3, 0.1, 0.61))
    assert reading([frozen, random]) == [
        "With 20 labels a class a frozen random backbone reaches 61.0 %; pre-training adds +30.0 "
        "±2.5 points to what the architecture gives by itself."
    ]
    (text,) = reading([frozen, {**frozen, "strategy": "random"}])
    assert "what pre-training adds to it (+0.0 ±0.0 points) cannot be told from chance" in text


def test_gradual_against_all_at_once() -> None:
    plain = row("finetune", (0, 0, 0.90), (0, 0, 0.91), (0, 0, 0.95))
    level = row("gradual", (0, 0, 0.91), (0, 0, 0.90), (0, 0, 0.95))
    lower = row("gradual", (0, 0, 0.80), (0, 0, 0.80), (0, 0, 0.85))
    assert "ends level with" in reading([plain, level])[0]
    assert "ends below" in reading([plain, lower])[0]
    assert (
        "ends above"
        in reading([{**plain, "strategy": "gradual"}, {**lower, "strategy": "finetune"}])[0]
    )


def test_by_layer_says_where_accuracy_falls() -> None:
    finals = {0: (0.90, 0.91, 0.92), 1: (0.91, 0.90, 0.92), 2: (0.70, 0.72, 0.71)}
    layers = [
        row(f"first {n} frozen", *((0, 0, value) for value in values), frozen=n)
        for n, values in finals.items()
    ]
    (text,) = reading(layers)
    assert text.startswith("By layer: up to 1 frozen blocks nothing measurable is lost")
    assert "from 2 on accuracy falls (all 2 frozen: -20.0 ±2.5 points)" in text
    (text,) = reading(layers[:2])
    assert "freezing any number of the first blocks ends level with none" in text


def test_one_seed_is_no_evidence() -> None:
    one, base = row("finetune", (0.9, 0.3, 0.9)), row("scratch", (0.2, 0.1, 0.5))
    texts = reading([base, {**one, "gain": gains(one, base)}])
    assert texts[0] == "finetune, 20 labels a class, against scratch: no measurable difference."
    assert texts[1] == "One seed shows no spread: differences of any size may be chance."


def test_a_budget_of_labels_is_put_in_labels() -> None:
    few = {"labels_per_class": 5}
    scratch = [{**row("scratch", (0, 0, 0.5)), **few}, row("scratch", (0, 0, 0.9))]
    tuned = [{**row("finetune", (0, 0, 0.8)), **few}, row("finetune", (0, 0, 0.95))]
    texts = reading([*scratch, *tuned])
    assert texts[0] == (
        "With 5 labels a class fine-tuning reaches 80.0 %, for which scratch needs about 20 labels."
    )
    (text, *_rest) = reading([*scratch[:1], {**scratch[1], **row("scratch", (0, 0, 0.7))}, *tuned])
    assert text.endswith("scratch does not, even with 20 labels.")
