"""The page of a result, read as a parser reads it; `test_page_in_browser.py` opens it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nndiag import locales
from nndiag.report import page, plot
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.result import Interval, Result

Maker = Callable[..., Result]
HOSTILE = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>&"


class Page(HTMLParser):
    """Collects what a browser would fetch, the text it would show, and packed data by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.packed: dict[str, str] = {}
        self._script: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self._script = (named.get("id") or "") if tag in ("script", "style") else None
        self.fetched += [
            str(value)
            for name, value in attrs
            if tag == "link" or (name in ("src", "href") and not str(value).startswith("#"))
        ]

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.words.append(data)
        elif self._script:
            self.packed[self._script] = data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def unpacked(self, name: str) -> str:
        return gzip.decompress(base64.b64decode(self.packed[name])).decode()


def read(result: Result, **more: bool) -> Page:
    return Page(page.html({"run": result}, **more))


def test_the_page_is_self_contained_and_small(make_result: Maker) -> None:
    html = page.html({"run": make_result(trained=True, time_steps=12)})
    assert Page(html).fetched == []
    assert not re.search(r"@import|url\(", html)
    assert len(html) < 3_000_000


def test_the_drawings_are_the_numbers_of_the_result(make_result: Maker) -> None:
    result = make_result()
    drawings = json.loads(read(result).unpacked("drawings"))
    _band, measured, theory = drawings["run-1-figure-1"]["data"]
    rows = result.result["layers"]
    assert measured["y"] == [row["output_grad_norm"].mean for row in rows]
    assert theory["y"] == [row["predicted_output_grad_norm"].mean for row in rows]
    assert measured["text"][:2] == ["fc1", "fc2"]
    assert theory["line"]["dash"] == "dash"


def test_the_json_on_the_page_is_the_result(make_result: Maker) -> None:
    result = make_result(trained=True)
    assert read(result).unpacked("run-1-json") == result.to_json()


def test_command_environment_findings_and_tables_are_there(make_result: Maker) -> None:
    result = make_result()
    environment = {"command": "nndiag gradients --depth 20", "torch": "2.14.1"}
    shown = read(Result(**{**vars(result), "environment": environment})).text
    assert "To reproduce nndiag gradients --depth 20" in shown
    assert "torch 2.14.1" in shown
    assert result.findings
    for finding in result.findings:
        for text in (finding.symptom.value, finding.cause, *finding.fixes):
            assert text in shown
    assert shown.index(result.findings[-1].cause) < shown.index("Figures Backpropagated signal")
    assert "output gradient norm, theory" in shown


def test_what_users_name_is_escaped_everywhere(make_result: Maker) -> None:
    result = make_result(name=HOSTILE + "{}", trained=True)
    finding = Finding(
        symptom=Symptom.DEAD_UNITS,
        severity=Severity.WARNING,
        cause=HOSTILE,
        layers=(HOSTILE,),
        evidence={HOSTILE: HOSTILE},
        fixes=(HOSTILE,),
        reference=HOSTILE,
    )
    numbers = {**result.result, HOSTILE: [{"label": HOSTILE, HOSTILE: 1.0}], "reading": [HOSTILE]}
    nasty = Result(
        command="gradients",
        spec={HOSTILE: HOSTILE},
        environment={"command": HOSTILE, HOSTILE: HOSTILE},
        seconds=1.0,
        result=numbers,
        findings=(finding,),
        version="1",
    )
    shown = Page(page.html({HOSTILE: nasty, "other": nasty}))
    assert "img" not in shown.tags
    plain = Page(page.html({"one": make_result(), "other": make_result()}))
    assert shown.tags.count("script") == plain.tags.count("script")
    assert HOSTILE in shown.text
    for drawing in json.loads(shown.unpacked("drawings")).values():
        assert "<img" not in json.dumps(drawing), "plotly reads tags in its texts"


def test_any_result_has_a_page() -> None:
    rows = [
        {"label": "a", "score": Interval(0.5, 0.4, 0.6), "diverged": 0, "seconds": 1.25},
        {"label": "b", "score": Interval(0.7, 0.6, 0.8), "diverged": 2, "seconds": None},
    ]
    result = Result(
        command="unheard-of",
        spec={"seed": 3},
        environment={"device": "cpu"},
        seconds=1.0,
        result={"rows": rows, "goal": 0.95, "inner": {"list": [{"x": 1}]}},
    )
    shown = read(result)
    assert "score, 95 % interval" in shown.text
    assert "0.500 [0.400, 0.600]" in shown.text
    assert "goal 0.950" in shown.text
    assert "inner: list" in shown.text
    drawings = json.loads(shown.unpacked("drawings"))
    assert drawings["run-1-figure-1"]["data"][0]["x"] == [0.5, 0.7]


def test_a_result_without_figures_needs_no_plotly() -> None:
    result = Result(command="x", spec={}, environment={}, seconds=0.1, result={"goal": 1.5})
    html = page.html({"run": result})
    assert len(html) < 50_000
    assert "goal" in Page(html).text


def test_several_runs_are_compared(make_result: Maker) -> None:
    first, second = make_result(), make_result(act="Tanh()", factor=0.9)
    shown = Page(page.html({"sigmoid": first, "tanh": second}))
    assert "Runs compared" in shown.text
    drawings = json.loads(shown.unpacked("drawings"))
    together = [trace for trace in drawings["together-1"]["data"] if trace.get("name")]
    assert {trace["name"] for trace in together} >= {
        "sigmoid: measured, 95 % interval",
        "tanh: measured, 95 % interval",
    }
    for anchor, result in (("run-1", first), ("run-2", second)):
        assert shown.unpacked(f"{anchor}-json") == result.to_json()


def test_the_page_speaks_french(make_result: Maker) -> None:
    locales.use("fr")
    html = page.html({"run": make_result()})
    assert '<html lang="fr">' in html
    assert "Pour reproduire" in Page(html).text
    assert re.search(r"\d,\d", Page(html).text)


def test_a_figure_as_html_is_the_page_without_the_rest(make_result: Maker, tmp_path: Path) -> None:
    path = plot.write(make_result(), tmp_path / "figure.html")
    shown = Page(path.read_text(encoding="utf-8"))
    assert "Backpropagated signal" in shown.text
    assert "To reproduce" not in shown.text
    assert "run-1-json" not in shown.packed


@pytest.mark.parametrize("most", [501])
def test_a_long_table_is_cut_and_says_so(most: int) -> None:
    rows = [{"label": str(place), "score": 1.0} for place in range(most)]
    result = Result(command="x", spec={}, environment={}, seconds=0.1, result={"rows": rows})
    shown = read(result)
    assert "1 more rows are in the JSON." in shown.text
    assert shown.tags.count("tr") == 501
