"""The layer table. Goldens: NNDIAG_UPDATE_GOLDENS=1 pytest tests/report/test_summary.py"""

from __future__ import annotations

import io
import os
import re
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from nndiag.report import summary
from nndiag.schema.result import Result

GOLDEN = Path(__file__).parent / "golden"
MODELS = ("vgg16", "inception_v3", "vit_b_16")


@cache
def _result(model: str, **more: object) -> Result:
    from nndiag.experiments import summary as experiment
    from nndiag.schema.spec_summary import SummarySpec

    return experiment.run(SummarySpec(model=model, **more))  # type: ignore[arg-type]


def _shown(result: Result, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    Console(width=width, file=file, color_system=None).print(summary.summary(result))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("model", MODELS)
def test_golden(model: str, width: int) -> None:
    text = _shown(_result(model), width)
    path = GOLDEN / f"summary-{model}-{width}.txt"
    if os.environ.get("NNDIAG_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("model", MODELS)
def test_lines_fit(model: str, width: int, encoding: str) -> None:
    text = _shown(_result(model), width, encoding)
    assert all(len(line) <= width for line in text.splitlines())


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
@pytest.mark.parametrize("model", MODELS)
def test_the_column_of_parameters_adds_up(model: str, depth: int) -> None:
    lines = _shown(_result(model, depth=depth), 120).splitlines()
    head = next(line for line in lines if line.startswith("layer"))
    right = head.index("parameters") + len("parameters")
    rows = lines[lines.index(head) + 1 :]
    rows = rows[: next(place for place, line in enumerate(rows) if line.startswith("total")) + 1]
    *parts, whole = [
        int(match.group().replace(",", ""))
        for line in rows
        if (match := re.search(r"(?<= )[\d,]+$", line[:right]))
    ]
    assert sum(parts) == whole == _result(model).result["totals"]["parameters"]


def test_figure_has_what_the_table_shows() -> None:
    result = _result("vgg16")
    parameters, operations = summary.panels(result)
    totals = result.result["totals"]
    assert sum(parameters.lines[0].x) == totals["parameters"]
    assert sum(operations.lines[0].x) == totals["flops"]
    assert list(parameters.down)[-1] == "classifier.6"
    assert len(parameters.down) == len(parameters.lines[0].y) == 16


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (450, "450"), (999, "999"), (3_699_376_128, "3.70 G"), (30_940_528_640, "30.9 G")],
)
def test_operations(number: int, text: str) -> None:
    assert summary.operations(number) == text
