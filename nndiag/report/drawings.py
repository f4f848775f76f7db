"""Which panels a command's result has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report import (
    boundary,
    claims,
    comparison_figures,
    depth_limit,
    generalisation_figures,
    gradient_figures,
    predictions,
    principle_figures,
    quiz,
    run_figures,
    shapes,
    summary,
    sweep_figures,
    trajectories,
    transfer_figures,
    variant_figures,
)
from nndiag.report.keys import key_words
from nndiag.report.panels import Line, Panel
from nndiag.schema.result import Interval, Result

#: One row a command.
DRAWINGS: dict[str, Callable[[Result], Iterator[Panel]]] = {
    "gradients": gradient_figures.gradients,
    "trajectory": trajectories.panels,
    "diagnose": run_figures.diagnose,
    "compare-optimizers": comparison_figures.compare_optimizers,
    "compare-fixes": comparison_figures.compare_fixes,
    **principle_figures.DRAWINGS,
    **generalisation_figures.DRAWINGS,
    **boundary.DRAWINGS,
    **quiz.DRAWINGS,
    "summary": summary.panels,
    "depth-limit": depth_limit.panels,
    "reproduce": claims.panels,
    "predict": predictions.panels,
    "sweep": sweep_figures.sweep,
    **transfer_figures.DRAWINGS,
    **variant_figures.DRAWINGS,
    **shapes.DRAWINGS,
}
_TITLES = {"gradients": gradient_figures.title, "diagnose": run_figures.title}
#: A result that no row describes shows at most so many of its metrics.
_MOST_METRICS = 6


def panels(result: Result) -> list[Panel]:
    """Return the panels of a result, for any command."""
    describe = DRAWINGS.get(result.command, _metrics)
    return list(describe(result))


def title(result: Result) -> str:
    """Return one line that says which run it is."""
    name = _TITLES.get(result.command)
    return (name(result) if name else "") or f"nndiag {result.command}"


def _metrics(result: Result) -> Iterator[Panel]:
    """Yield a panel for each metric of the rows, with its intervals."""
    rows: Sequence[Mapping[str, Any]] = result.result.get("rows", ())
    labels = [str(row.get("label", place)) for place, row in enumerate(rows, 1)]
    names = list(
        dict.fromkeys(k for row in rows for k, v in row.items() if isinstance(v, Interval))
    )
    for name in names[:_MOST_METRICS]:
        known = [
            (p, row[name]) for p, row in enumerate(rows, 1) if isinstance(row.get(name), Interval)
        ]
        dots = Line(
            x=[value.mean for _place, value in known],
            y=[place for place, _value in known],
            low=[value.low for _place, value in known],
            high=[value.high for _place, value in known],
            dots=True,
        )
        heading = _("{metric}, 95 % interval").format(metric=key_words(name))
        yield Panel(title=heading, x_name=key_words(name), down=labels, lines=[dots])
