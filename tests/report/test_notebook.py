"""What a notebook shows of results and traces."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import numpy as np
import pytest

from nndiag.report import notebook
from nndiag.schema.result import Result
from nndiag.schema.trace import LayerInfo, Trace

Maker = Callable[..., Result]


def test_a_result_shows_findings_figure_and_tables(make_result: Maker) -> None:
    result = make_result(depth=4)
    shown = result._repr_html_()
    for finding in result.findings:
        assert finding.symptom.value in shown
    picture = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', shown)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")
    assert "Backpropagated signal. Output gradient norm by layer" in picture[2]
    assert "<table" in shown
    assert "<script" not in shown


def test_without_matplotlib_the_rest_is_shown(
    make_result: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook.importlib.util, "find_spec", lambda name: None)
    shown = make_result(depth=4)._repr_html_()
    assert "<img" not in shown
    assert "<table" in shown


def test_names_are_escaped(make_result: Maker) -> None:
    hostile = "<img src=x onerror=alert(1)>{}"
    shown = make_result(depth=4, name=hostile)._repr_html_()
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown


def test_a_trace_shows_its_last_step() -> None:
    trace = Trace(
        layers=(LayerInfo(name="fc1", index=1, kind="Linear"),),
        steps=np.array([0, 7]),
        columns={"weight_norm": np.array([[[1.0]], [[2.5]]])},
        missing={"weight_norm": np.array([False])},
        weight_floor=np.zeros(1),
        loss=np.zeros((2, 1)),
    )
    shown = trace._repr_html_()
    assert "Layers at step 7" in shown
    assert '<td class="number" data-order="2.5">2.50</td>' in shown
