"""`nndiag gradients`: the signal and the gradient, layer by layer, on real data."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nndiag import __version__, datasets
from nndiag.datasets.splits import Splits
from nndiag.diagnosis import diagnose, measures, reading, rows
from nndiag.locales import _
from nndiag.remedies import at_initialisation, candidates
from nndiag.schema.finding import Finding, worst_first
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec import GradientsSpec, command_line
from nndiag.schema.trace import Trace
from nndiag.training import devices, initial, prediction, short
from nndiag.zoo import activations, initialisations

#: Statistics that a training is followed by.
_FOLLOWED = ("output_grad_norm", "saturated_fraction", "update_ratio")
#: Numbers of a statistic that are kept of the single members of a training.
_MOST_VALUES = 60_000


def run(spec: GradientsSpec, *, watch: Watch | None = None, distributions: bool = False) -> Result:
    """Measure (and with `spec.train` train) the network, compare with theory, diagnose.

    Args:
        watch: told about progress.
        distributions: also record what a figure shows beyond the table: the histogram of every
            layer's activations, and of several seeds each one's training.

    Raises:
        UsageError: a name, a file or the device cannot be used.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    device = devices.resolve(spec.device)
    splits = datasets.load(spec.data, seed=spec.seed, progress=watch)
    seeds = range(spec.seed, spec.seed + spec.seeds)
    trace = _at_initialisation(spec, splits, device, watch)
    predicted = prediction.predict(spec.network, splits) if spec.theory else None
    context = prediction.context(spec.network, predicted)
    findings = diagnose(trace, context)
    numbers = _numbers(spec, trace, predicted)
    if distributions:
        numbers["distributions"] = initial.distributions(
            spec.network, splits, seed=spec.seed, batch_size=spec.batch_size, device=device
        )
    if spec.train:
        trained, training = short.train(spec, splits, device, watch)
        history = _history(trained)
        if distributions and spec.seeds > 1:
            history["members"] = _members(trained, spec.seed)
        training["layers"] = history
        numbers = _after_training(numbers, trained, training, spec)
        findings = _merge(findings, diagnose(trained, context), spec.train)
    cures, tried = [], 0
    if candidates.needs_cure(findings):
        tried = len(candidates.candidates(spec.network))
        watch.stage(_("trying cures"), 1)
        cures = at_initialisation.cures(
            spec.network,
            splits,
            seeds=seeds[: 2 if spec.network.depth <= 100 else 1],
            batch_size=spec.batch_size,
            device=device,
        )
    commands = [command_line(replace(spec, network=cure)) for cure in cures]
    numbers["verdict"] = reading.verdict(
        numbers, findings, commands, tried=tried, recurrent=spec.network.recurrent
    )
    return Result(
        command="gradients",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result=_described(spec, splits, trace) | numbers,
        findings=tuple(findings),
        version=__version__,
    )


def _at_initialisation(
    spec: GradientsSpec, splits: Splits, device: torch.device, watch: Watch
) -> Trace:
    watch.stage(_("networks at initialisation"), spec.seeds)
    return initial.measure(
        spec.network,
        splits,
        seeds=range(spec.seed, spec.seed + spec.seeds),
        batch_size=spec.batch_size,
        device=device,
        progress=lambda done, total: watch.update(done),
    )


def _described(spec: GradientsSpec, splits: Splits, trace: Trace) -> dict[str, Any]:
    """Return what was run, for the header."""
    init = initialisations.parse(spec.network.init)
    default = activations.parse(spec.network.act).default_init == spec.network.init
    return {
        "network": {
            "net": spec.network.net,
            "depth": spec.network.depth,
            "width": spec.network.width,
            "act": spec.network.act,
            "norm": spec.network.norm,
            "residual": spec.network.residual,
            "parameters": sum(layer.parameters for layer in trace.layers),
        },
        "init": {"name": spec.network.init, "default": default, "reference": init.row.paper},
        "data": {
            "name": splits.name,
            "samples": {
                "train": len(splits.train.y),
                "validation": len(splits.validation.y),
                "test": len(splits.test.y),
            },
            "input_shape": list(splits.input_shape),
            "classes": len(splits.classes),
            "source": splits.source,
        },
        "batch_size": min(spec.batch_size, len(splits.train.y)),
        "seeds": spec.seeds,
    }


def _numbers(
    spec: GradientsSpec, trace: Trace, predicted: prediction.Predicted | None
) -> dict[str, Any]:
    """Return layers, time steps and the scalars of the design's section 3, theory beside."""
    recurrent = spec.network.recurrent
    layers = rows.layer_rows(trace)
    numbers: dict[str, Any] = {"layers": layers, **_scalars(trace, recurrent)}
    if recurrent:
        numbers["time_steps"] = rows.time_rows(trace)
    if predicted is not None:
        numbers["theory"] = predicted.summary()
        anchor = layers[-1].get("output_grad_norm")
        if predicted.prediction is not None and isinstance(anchor, Interval):
            for row, expected in zip(layers, predicted.rows(anchor.mean, spec.seeds), strict=True):
                row.update(expected)
            numbers |= predicted.scalars(spec.seeds)
    return numbers


def _scalars(trace: Trace, recurrent: bool) -> dict[str, Interval]:
    values = measures.signal(trace, recurrent=recurrent)
    if len(values) < 2:
        return {}
    scalars = {}
    if (values[-1] != 0).all():  # with a zero at the far end there is no ratio to speak of
        scalars["grad_ratio"] = _ratio(values, measures.floor_of(trace))
        scalars["decay_per_layer"] = interval(measures.factor(values), log=True)
    places = measures.path(trace, "weight_grad_norm")
    weights = trace.columns["weight_grad_norm"][-1, places]
    if len(places) > 1 and (weights[-1] != 0).all():
        scalars["weight_grad_ratio"] = _ratio(weights, float(trace.weight_floor[places[0]]))
    return scalars


def _ratio(values: np.ndarray, floor: float) -> Interval:
    under = bool((values[0] == 0).any())
    return interval(measures.end_to_end(values, floor), log=True, upper_bound=under)


def _after_training(
    numbers: dict[str, Any], trace: Trace, training: dict[str, Any], spec: GradientsSpec
) -> dict[str, Any]:
    """Return the state after training, with that at initialisation moved under `initial`."""
    recurrent = spec.network.recurrent
    distributions = {key: numbers.pop(key) for key in ("distributions",) if key in numbers}
    return {
        "layers": rows.layer_rows(trace),
        **_scalars(trace, recurrent),
        **({"time_steps": rows.time_rows(trace)} if recurrent else {}),
        **distributions,
        "training": training,
        "initial": numbers,
    }


def _history(trace: Trace) -> dict[str, Any]:
    """Return the per-layer statistics over the recorded steps, mean over members."""
    history: dict[str, Any] = {
        "names": [layer.name for layer in trace.layers],
        "steps": trace.steps.tolist(),
    }
    for name in _FOLLOWED:
        if name in trace.columns:
            with np.errstate(invalid="ignore"):
                history[name] = trace.columns[name].mean(axis=2).tolist()
    return history


def _members(trace: Trace, seed: int) -> dict[str, Any]:
    """Return the same of each member, (M, S, L), at fewer steps where there are many numbers."""
    most = max(2, _MOST_VALUES // (len(trace.layers) * trace.members))
    last = len(trace.steps) - 1
    kept = np.unique(np.linspace(0, last, min(len(trace.steps), most)).round()).astype(int)
    return {
        "seeds": list(range(seed, seed + trace.members)),
        "steps": trace.steps[kept].tolist(),
        **{
            name: trace.columns[name][kept].transpose(2, 0, 1).tolist()
            for name in _FOLLOWED
            if name in trace.columns
        },
    }


def _merge(first: list[Finding], later: list[Finding], steps: int) -> list[Finding]:
    """Join the findings at initialisation and after training; the worse of two alike stays."""
    merged: dict[str, Finding] = {}
    for when, findings in (("initialisation", first), (f"after {steps} steps", later)):
        for finding in findings:
            known = merged.get(finding.symptom)
            if known is None or finding.severity.rank > known.severity.rank:
                evidence = {"when": when, **finding.evidence}
                merged[finding.symptom] = Finding(**{**finding.__dict__, "evidence": evidence})
    return worst_first(list(merged.values()))
