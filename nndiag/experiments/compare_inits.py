"""`nndiag compare-inits`: what each initialisation does to the signal, and to the training."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.diagnosis import measures
from nndiag.diagnosis.init_reading import reading
from nndiag.diagnosis.rows import over_members
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.spec_presets import InitsSpec
from nndiag.training import configurations, devices, initial, prediction, presets
from nndiag.training.comparing import Trainer, Tuned, data_of, summary


def run(spec: InitsSpec, *, watch: Watch | None = None) -> Result:
    """Tune the rate of every initialisation, and look at its signal before the first step.

    Ctrl-C keeps the initialisations that are complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    variants = presets.inits(spec)
    trainer = Trainer(variants, watch or Silent())
    tuned, interrupted = trainer.until_interrupted(variants)
    base = summary(tuned, spec, interrupted)
    starts = [_start(one, spec) for one in tuned]
    found = {
        **base,
        "rows": [
            row | {key: value for key, value in start.items() if key != "layers"}
            for row, start in zip(base["rows"], starts, strict=True)
        ],
        "profiles": [
            {"label": one.variant.label, **start["layers"]}
            for one, start in zip(tuned, starts, strict=True)
        ],
    }
    return Result(
        command="compare-inits",
        spec=spec.to_dict(),
        environment=devices.environment(devices.resolve(spec.device)),
        seconds=time.perf_counter() - started,
        result={**found, "reading": reading(found)},
        version=__version__,
    )


def _start(one: Tuned, spec: InitsSpec) -> dict[str, Any]:
    """Measure the signal at initialisation over the seeds, beside what theory expects."""
    splits, data = data_of(spec)
    network = configurations.network(one.chosen)
    trace = initial.measure(
        network,
        splits,
        seeds=range(spec.seed, spec.seed + spec.seeds),
        batch_size=one.chosen["batch_size"],
        device=data.train_x.device,
    )
    signal = measures.signal(trace, recurrent=network.recurrent)
    flows = len(signal) > 1 and bool((np.isfinite(signal) & (signal > 0)).all())
    ratio = measures.end_to_end(signal, measures.floor_of(trace)) if flows else None
    rms = measures.activation_rms(trace)
    expected = prediction.predict(network, splits).decay_per_layer
    return {
        "grad_ratio": None if ratio is None else over_members("output_grad_norm", ratio),
        "decay_per_layer": interval(measures.factor(signal), log=True) if flows else None,
        "predicted_decay_per_layer": expected if math.isfinite(expected) else None,
        "activation_rms": interval(rms[-1], log=True),
        "layers": {
            "layers": list(range(1, len(signal) + 1)),
            "output_grad_norm": [_over(values) for values in signal],
            "activation_layers": list(range(1, len(rms) + 1)),
            "activation_rms": [_over(values) for values in rms],
        },
    }


def _over(values: np.ndarray) -> Interval:
    return interval(values, log=True)
