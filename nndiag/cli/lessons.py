"""`nndiag lessons` and `nndiag explain`: what there is to know, in a few lines each."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nndiag import __version__
from nndiag.cli import options
from nndiag.cli.outcome import Outputs
from nndiag.lessons import LESSONS, lesson
from nndiag.locales import _

if TYPE_CHECKING:
    from nndiag.schema.result import Result

Topic = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TOPIC", help=_("A symptom or a topic: vanishing-gradients, dropout, xor ...")
    ),
]


def lessons(
    json: options.JsonPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, report=report)

    from nndiag.report import lessons as view

    rows = [{"label": name, **lesson(name).to_dict()} for name in LESSONS]
    return outputs.deliver(_result("lessons", {}, {"rows": rows}), view.Catalogue())


def explain(
    topic: Topic = None,
    json: options.JsonPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    if not topic:
        return lessons(json=json, report=report)
    outputs = Outputs(json=json, report=report)

    from nndiag.report import lessons as view

    found = lesson(" ".join(topic))
    result = _result("explain", {"topic": found.name}, found.to_dict())
    return outputs.deliver(result, view.Page(found))


def _result(command: str, spec: dict[str, Any], found: dict[str, Any]) -> Result:
    from nndiag.schema.result import Result

    return Result(
        command=command,
        spec=spec,
        environment={"python": platform.python_version()},
        seconds=0.0,
        result=found,
        version=__version__,
    )
