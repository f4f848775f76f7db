"""The terminal report. Goldens: NNDIAG_UPDATE_GOLDENS=1 pytest tests/report/test_tables.py"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nndiag import locales
from nndiag.report import tables
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.result import Interval, Result

GOLDEN = Path(__file__).parent / "golden"
Maker = Callable[..., Result]

CASES: dict[str, dict[str, Any]] = {
    "sigmoid": {},
    "trained": {"trained": True, "depth": 9},
    "deep-relu": {
        "depth": 100, "factor": 0.995, "act": "ReLU()", "sick": False, "theory": False,
    },
    "recurrent": {"depth": 2, "time_steps": 40, "theory": False, "name": "cells.{}"},
}  # fmt: skip


def shown(result: Result, width: int, *, encoding: str = "utf-8", all_layers: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    Console(width=width, file=file, color_system=None).print(
        tables.gradients(result, all_layers=all_layers)
    )
    file.flush()
    return raw.getvalue().decode(encoding)


def layer_rows(text: str, name: str = "fc") -> list[str]:
    table = text[: text.index("Bars:")]
    return [line for line in table.splitlines() if line.strip("✗!iX 0123456789").startswith(name)]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, width: int, make_result: Maker) -> None:
    text = shown(make_result(**CASES[case]), width)
    path = GOLDEN / f"{case}-{width}.txt"
    if os.environ.get("NNDIAG_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert all(len(line) <= width for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 60, 79, 80, 81, 100, 119, 120, 200])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_every_line_fits(case: str, width: int, encoding: str, make_result: Maker) -> None:
    text = shown(make_result(**CASES[case]), width, encoding=encoding)
    too_long = [line for line in text.splitlines() if len(line) > width]
    # Below 60 columns a finding's name or a path may be wider than the terminal itself.
    assert not too_long or width < 60
    assert encoding == "utf-8" or text.isascii()


@pytest.mark.parametrize("trained", [False, True])
def test_80_columns_hold_every_column_of_the_table(trained: bool, make_result: Maker) -> None:
    text = shown(make_result(trained=trained, depth=100), 80)
    titles = next(line for line in text.splitlines() if line.strip().startswith("layer"))
    wanted = ["layer", "mean", "std", "sat%", "dead", "norm", "±", "theory", "grad"]
    assert titles.split()[: 9 + trained] == wanted + ["update"] * trained


def test_the_numbers_of_a_row_are_those_of_the_result(make_result: Maker) -> None:
    result = make_result()
    cells = layer_rows(shown(result, 80))[4].split()
    row = result.result["layers"][4]
    assert cells[0:2] == ["✗", "fc5"]
    printed = [float(cells[i]) for i in (2, 3, 6, 8, 9)]
    names = ("activation_mean", "activation_std", "output_grad_norm",
             "predicted_output_grad_norm", "weight_grad_norm")  # fmt: skip
    assert printed == pytest.approx([row[name].mean for name in names], rel=0.05)
    assert float(cells[4]) == pytest.approx(100 * row["saturated_fraction"].mean, rel=0.05)
    assert cells[7] == "±4%"


def test_deep_networks_fold_and_all_layers_unfolds(make_result: Maker) -> None:
    result = make_result(depth=100)
    folded = shown(result, 80)
    assert len(layer_rows(folded)) == 20
    assert "⋮ 80 of 100 layers folded (--all-layers)" in folded
    whole = shown(result, 80, all_layers=True)
    assert len(layer_rows(whole)) == 100
    assert "folded" not in whole


def test_folding_does_not_change_the_axis(make_result: Maker) -> None:
    result = make_result(depth=100)
    folded, whole = layer_rows(shown(result, 80)), layer_rows(shown(result, 80, all_layers=True))
    assert set(folded) <= set(whole)


def test_a_statistic_that_no_layer_has_has_no_column(make_result: Maker) -> None:
    result = make_result(theory=False)
    for row in result.result["layers"]:
        row.pop("saturated_fraction", None)
        row.pop("dead_fraction", None)
    text = shown(result, 120)
    assert "sat%" not in text
    assert "dead" not in text
    assert "theory" not in text[: text.index("Bars:")]


def test_gates_are_off_rather_than_saturated(make_result: Maker) -> None:
    text = shown(make_result(act="ReLU()", sick=False), 80)
    assert "off%" in text
    assert "sat%" not in text
    assert "about half is normal" in text


def test_an_underflowed_norm_is_a_bound(make_result: Maker) -> None:
    result = make_result()
    result.result["layers"][0]["output_grad_norm"] = Interval(1.4e-45, 0.0, 1.4e-45, True)
    result.result["grad_ratio"] = Interval(2e-45, 0.0, 2e-45, True)
    text = shown(result, 80)
    assert "<1.4e-45" in layer_rows(text)[0]
    assert "<: underflowed, at most this." in " ".join(text.split())
    assert "< 2.00e-45" in text


def test_non_finite_numbers_are_written(make_result: Maker) -> None:
    result = make_result()
    nan = float("nan")
    result.result["layers"][0]["output_grad_norm"] = Interval(nan, nan, nan)
    row = layer_rows(shown(result, 80))[0]
    assert row.count("NaN") == 2  # the number and its bar


def test_severity_does_not_need_colours(make_result: Maker) -> None:
    assert layer_rows(shown(make_result(), 80))[0].startswith("✗ fc1")
    assert layer_rows(shown(make_result(), 80, encoding="ascii"))[0].startswith("X fc1")
    assert "── ✗ critical ──" in shown(make_result(), 80)
    assert "── ✓ nothing found ──" in shown(make_result(sick=False), 80)


def test_a_layer_with_a_finding_is_not_folded_away(make_result: Maker) -> None:
    result = make_result(depth=100, sick=False)
    finding = Finding(
        symptom=Symptom.DEAD_UNITS, severity=Severity.WARNING, cause="", layers=("fc57",)
    )
    text = shown(Result(**{**vars(result), "findings": (finding,)}), 80)
    assert [row.split()[:2] for row in layer_rows(text) if row.startswith("!")] == [["!", "fc57"]]


def test_theory_that_does_not_hold_says_so(make_result: Maker) -> None:
    theory = {"status": "unreliable", "reason": "gelu with He is bistable", "depth_scale": None}
    text = shown(make_result(more={"theory": theory}), 80)
    assert "gelu with He is bistable" in text
    assert "│: theory, unreliable here." in text
    assert "theory (unreliable)" in text


def test_reasons_are_said_once(make_result: Maker) -> None:
    result = make_result()
    causes = [finding.cause for finding in result.findings]
    verdict = {"headline": "vanishing-gradients, saturated-activations", "why": causes, "try": []}
    text = " ".join(shown(make_result(more={"verdict": verdict}), 200).split())
    for words in [*causes, "vanishing-gradients", "saturated-activations"]:
        assert text.count(words) == 1


def test_long_commands_are_broken_so_that_they_can_be_pasted(make_result: Maker) -> None:
    text = shown(make_result(), 80)
    command = text[text.index("\nTry\n") + 5 :]
    joined = command.replace(" \\\n     ", "")
    assert (
        "nndiag gradients --depth 20 --act tanh --init orthogonal --batch-size 128 --seeds 10"
        in joined
    )


def test_a_saved_result_prints_the_same(make_result: Maker) -> None:
    result = make_result(trained=True, time_steps=12)
    assert shown(Result.from_json(result.to_json()), 100) == shown(result, 100)


def test_bare_results_print(make_result: Maker) -> None:
    row = {"name": "fc", "output_grad_norm": Interval(0.5, 0.5, 0.5)}
    result = Result(
        command="gradients", spec={}, environment={}, seconds=0.1, result={"layers": [row]}
    )
    text = shown(result, 80)
    assert len(layer_rows(text)) == 1
    assert "nothing found" in text


def test_french_numbers_have_a_comma(make_result: Maker) -> None:
    locales.use("fr")
    assert "0,237 [0,235; 0,239]" in shown(make_result(), 80)
