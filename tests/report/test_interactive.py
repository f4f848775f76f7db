from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

from nndiag.report import interactive
from nndiag.schema.result import Result

Maker = Callable[..., Result]


class Page(HTMLParser):
    """Collects what a browser would fetch, and the text it would show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0
        self.words: list[str] = []
        self._inside_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self._inside_script = tag in ("script", "style")
        self.fetched += [
            str(value) for name, value in attrs if name in ("src", "href") or tag == "link"
        ]

    def handle_endtag(self, tag: str) -> None:
        self._inside_script = False

    def handle_data(self, data: str) -> None:
        if not self._inside_script:
            self.words.append(data)


def traces(html: str, figure: int) -> list[dict[str, object]]:
    """The data that the page hands to plotly for one figure."""
    start = re.search(rf'Plotly\.newPlot\(\s*"figure-{figure}",\s*', html)
    assert start is not None
    data, _end = json.JSONDecoder().raw_decode(html, start.end())
    return list(data)


def test_the_page_is_self_contained(make_result: Maker) -> None:
    html = interactive.gradients(make_result(trained=True, time_steps=12))
    page = Page(html)
    assert page.fetched == []
    assert html.count("Plotly.newPlot(") >= 8
    # plotly.js itself (about 5 MB) comes once.
    assert len(html) < 7_000_000


def test_the_traces_are_the_numbers_of_the_result(make_result: Maker) -> None:
    result = make_result()
    band, measured, theory = traces(interactive.gradients(result), 0)
    rows = result.result["layers"]
    assert measured["y"] == [row["output_grad_norm"].mean for row in rows]
    assert theory["y"] == [row["predicted_output_grad_norm"].mean for row in rows]
    assert measured["text"][:2] == ["fc1", "fc2"]  # type: ignore[index]
    assert band["y"] == [row["output_grad_norm"].high for row in rows] + [
        row["output_grad_norm"].low for row in reversed(rows)
    ]


def test_the_verdict_is_on_the_page_and_escaped(make_result: Maker) -> None:
    verdict = {
        "headline": "a < b </script>",
        "why": ["x & y"],
        "try": ["nndiag gradients --act tanh"],
    }
    words = Page(interactive.gradients(make_result(more={"verdict": verdict}))).words
    assert "critical: a < b </script>" in words
    assert "x & y" in words
    assert "nndiag gradients --act tanh" in words


def test_names_of_layers_cannot_break_out_of_the_script(make_result: Maker) -> None:
    plain = Page(interactive.gradients(make_result()))
    nasty = Page(interactive.gradients(make_result(name="</script><script>x{}")))
    assert nasty.scripts == plain.scripts
