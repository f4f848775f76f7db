"""`nndiag diagnose`: a user's own script, watched, judged, and re-run with what may cure it."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from nndiag import __version__
from nndiag.attach import interventions
from nndiag.attach.script import Outcome, observe
from nndiag.diagnosis import rows
from nndiag.diagnosis.run import diagnose_run, not_checked
from nndiag.locales import _
from nndiag.remedies.replays import Script
from nndiag.remedies.run_candidates import run_candidates
from nndiag.remedies.trials import try_candidates
from nndiag.schema.finding import Finding
from nndiag.schema.observation import BY_HAND, ModelRecord, Observation, Series
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result
from nndiag.schema.spec_diagnose import DiagnoseSpec
from nndiag.schema.trial import Trials

#: Steps of a re-run where the script was watched for longer.
_TRIAL_STEPS = 300
#: Points of a series in the result.
_MOST_POINTS = 512


def run(spec: DiagnoseSpec, *, watch: Watch | None = None, live: Watch | None = None) -> Result:
    """Run the script, say what is wrong with its training, and try what may cure it.

    Args:
        watch: told about the progress of re-runs.
        live: told of each step of the script itself.
    """
    spec.check()
    started = time.perf_counter()
    outcome = _watched(spec, live or Silent())
    findings = diagnose_run(outcome.observation)
    result = result_of(outcome.observation, findings)
    result["script_exit"] = outcome.exit_code
    if spec.try_fixes and not outcome.observation.interrupted:
        trials = _tried(spec, outcome.observation, findings, watch or Silent())
        if trials is not None:
            result["trials"] = trials.to_dict()
            result["rows"] = [row.to_dict() for row in trials.rows]
            if trials.best is not None:
                result["snippet"] = interventions.snippet(trials.best, outcome.observation)
    return envelope(result, findings, asdict(spec), started)


def envelope(
    result: dict[str, Any], findings: Sequence[Finding], spec: dict[str, Any], started: float
) -> Result:
    """Return the result of a run that began at `started` (`time.perf_counter`)."""
    return Result(
        command="diagnose",
        spec=spec,
        environment={
            "device": "cuda" if torch.cuda.is_initialized() else "cpu",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        seconds=time.perf_counter() - started,
        result=result,
        findings=tuple(findings),
        version=__version__,
    )


def _watched(spec: DiagnoseSpec, live: Watch) -> Outcome:
    live.stage(_("watching"), spec.steps or 0)
    return observe(
        spec.script,
        spec.args,
        module=spec.module,
        steps=spec.steps,
        every=spec.every,
        told=lambda step, loss: live.update(step, numbers={"loss": loss}),
    )


def _tried(
    spec: DiagnoseSpec, observation: Observation, findings: Sequence[Finding], watch: Watch
) -> Trials | None:
    candidates = run_candidates(findings, observation)
    if not candidates:
        return None
    script = Script(
        target=spec.script,
        argv=spec.args,
        module=spec.module,
        steps=spec.trial_steps or max(20, min(observation.steps, _TRIAL_STEPS)),
        layers=interventions.layers_of(observation),
        by_hand=any(one.kind == BY_HAND for one in observation.optimizers),
    )
    watch.stage(_("trying fixes"), 1)
    stages = {"total": 0}

    def told(done: int, planned: int, _change: str) -> None:
        if planned != stages["total"]:
            stages["total"] = planned
            watch.stage(_("trying fixes"), planned)
        watch.update(done)

    return try_candidates(candidates, script, repeats=spec.repeats, told=told)


def result_of(observation: Observation, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what was seen as plain numbers: steps, loss, models with their layers, rates."""
    serious = [finding for finding in findings if finding.severity.value != "info"]
    return {
        "steps": observation.steps,
        "backward_passes": observation.backwards,
        "script_seconds": observation.seconds,
        "stopped": observation.stopped,
        "interrupted": observation.interrupted,
        "error": None if observation.error is None else asdict(observation.error),
        "healthy": not serious and observation.error is None,
        "models": [_model(model) for model in observation.models],
        "optimizers": [
            {
                "kind": one.kind,
                "steps": one.steps,
                "models": list(one.models),
                "options": dict(one.options),
                "lr": _series(one.lr),
                "loss": _series(one.loss),
                "gradient_norm": _series(one.gradient_norm),
                "update_ratio": _series(one.update_ratio),
            }
            for one in observation.optimizers
        ],
        "accuracy": _series(observation.accuracy),
        "evaluations": [asdict(one) for one in observation.evaluations],
        "not_checked": not_checked(observation),
    }


def _model(model: ModelRecord) -> dict[str, Any]:
    trace = model.trace
    norms = trace.columns.get("output_grad_norm")
    points = _chosen(len(trace.steps))
    return {
        "name": model.name,
        "kind": model.kind,
        "parameters": sum(p.size for p in model.parameters),
        "row_step": int(trace.steps[_row(model)]) + 1 if len(trace.steps) else None,
        "layers": rows.layer_rows(trace, _row(model)) if len(trace.steps) else [],
        "steps": (np.asarray(trace.steps)[points] + 1).tolist(),
        "output_grad_norm": [] if norms is None else norms[points, :, 0].T.tolist(),
    }


def _row(model: ModelRecord) -> int:
    """Return the last recorded row whose numbers are all finite, the last one where none is."""
    trace = model.trace
    names = [name for name in ("activation_std", "weight_grad_norm") if name in trace.columns]
    for row in range(len(trace.steps) - 1, -1, -1):
        if all(np.isfinite(trace.columns[name][row, ~trace.missing[name]]).all() for name in names):
            return row
    return len(trace.steps) - 1


def _series(series: Series) -> dict[str, Any]:
    points = _chosen(len(series))
    return {"steps": series.steps[points].tolist(), "values": series.values[points].tolist()}


def _chosen(count: int) -> np.ndarray:
    """Return at most so many places, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))
