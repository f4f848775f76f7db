"""`nndiag reproduce`: published claims, measured and judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from nndiag import __version__, claims
from nndiag.locales import _
from nndiag.schema.claim import Claim, Figure, Figures, Verdict, verdict
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_reproduce import ReproduceSpec
from nndiag.training import devices


def run(spec: ReproduceSpec, *, watch: Watch | None = None) -> Result:
    """Check every claim over its seeds.

    Ctrl-C keeps the claims that are complete (`result.interrupted` is then True).

    Raises:
        UsageError: a claim does not exist.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    asked = [claims.get(name) for name in spec.claims]
    trained = claims.names(trains=True)
    seeds = range(spec.seed, spec.seed + spec.seeds)
    rows: list[dict[str, Any]] = []
    interrupted = False
    try:
        for place, claim in enumerate(asked, start=1):
            told = _Numbered(watch, f"{claim.name} ({place}/{len(asked)})")
            found = _checked(claim, seeds, told)
            rows.append(found | {"trains": claim.name in trained})
    except KeyboardInterrupt:
        interrupted = True
    return Result(
        command="reproduce",
        spec=spec.to_dict(),
        environment=devices.environment(torch.device("cpu")),
        seconds=time.perf_counter() - started,
        result={"rows": rows, "reading": _reading(rows), "interrupted": interrupted},
        version=__version__,
    )


class _Numbered:
    """A watch whose stages say which claim is at work."""

    def __init__(self, watch: Watch, name: str) -> None:
        self._watch, self._name = watch, name

    def stage(self, text: str, total: int, **facts: Any) -> None:
        self._watch.stage(f"{self._name}: {text}", total)

    def update(self, done: int, **facts: Any) -> None:
        self._watch.update(done)


def _checked(claim: Claim, seeds: Sequence[int], watch: Watch) -> dict[str, Any]:
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        found = claim.measure(seeds, watch)
    held = [bool(claim.holds(figures)) for figures in found]
    figures = [_figure(figure, found) for figure in claim.figures]
    main = figures[0]
    return {
        "label": claim.name,
        "reference": _(claim.paper),
        "claim": _(claim.says),
        "published": _(claim.published),
        "criterion": _(claim.criterion),
        "verdict": verdict(held).value,
        **{name: main[name] for name in ("measured", "paper", "deviation")},
        "figures": figures,
        "held": held,
        "seeds": len(seeds),
        "diverged": 0,
        "seconds": time.perf_counter() - started,
    }


def _figure(figure: Figure, found: Sequence[Figures]) -> dict[str, Any]:
    measured = interval([figures[figure.name] for figures in found])
    return {
        "name": figure.name,
        "text": _(figure.text),
        "measured": measured,
        "paper": figure.paper,
        "deviation": None if figure.paper is None else _deviation(measured.mean, figure.paper),
    }


def _deviation(measured: float, paper: float) -> float:
    """Return measured / paper - 1; the difference where the paper has 0."""
    return measured / paper - 1 if paper else measured


def _reading(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say how many claims hold, and name those that do not."""
    by_verdict = {
        kind: [row["label"] for row in rows if row["verdict"] == kind.value] for kind in Verdict
    }
    said = [
        _("{passed} of {count} claims hold at this scale.").format(
            passed=len(by_verdict[Verdict.PASS]), count=len(rows)
        )
    ]
    if by_verdict[Verdict.FAIL]:
        said.append(
            _("Not reproduced here: {names}.").format(names=", ".join(by_verdict[Verdict.FAIL]))
        )
    if by_verdict[Verdict.INCONCLUSIVE]:
        names = ", ".join(by_verdict[Verdict.INCONCLUSIVE])
        said.append(_("The seeds disagree: {names}; more --seeds tell.").format(names=names))
    return said if rows else []
