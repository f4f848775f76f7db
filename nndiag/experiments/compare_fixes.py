"""`nndiag compare-fixes`: a broken network, each cure alone and together, tuned and repeated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nndiag import __version__, datasets
from nndiag.datasets.splits import Splits
from nndiag.diagnosis import measures
from nndiag.diagnosis.fix_reading import reading
from nndiag.diagnosis.rate_range import NEAR, decades
from nndiag.diagnosis.rows import over_members
from nndiag.locales import _
from nndiag.remedies.fixes import Fix, fixes
from nndiag.schema.progress import Silent, Tally, Watch
from nndiag.schema.result import Interval, Result, interval
from nndiag.schema.significance import holm, paired_p_value
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.spec_compare import CompareFixesSpec
from nndiag.schema.trace import Trace
from nndiag.training import devices, initial
from nndiag.training.lanes import one_thread
from nndiag.training.members import Settings, TensorData
from nndiag.training.tuning import (
    Bench,
    Candidate,
    Interrupted,
    Request,
    Trainings,
    rate_grid,
    tuned,
)
from nndiag.zoo import optimizers

_INITIAL_SEEDS = 3
_SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """One fix under one optimizer."""

    fix: Fix
    optimizer: str
    trainings: Trainings

    @property
    def best(self) -> np.ndarray:
        """Places at the best rate, in the order of seeds."""
        places = self.trainings.at(self.trainings.best_rate)
        return places[np.argsort(self.trainings.seeds[places], kind="stable")]

    @property
    def accuracy(self) -> np.ndarray:
        return np.asarray(self.trainings.record.test_accuracy[self.best])

    def gains(self, other: _Tried) -> np.ndarray:
        """Return what it is better by, a seed that both have each."""
        own, theirs = self.trainings.seeds[self.best], other.trainings.seeds[other.best]
        _both, here, there = np.intersect1d(own, theirs, return_indices=True)
        return np.asarray(self.accuracy[here] - other.accuracy[there])


def run(spec: CompareFixesSpec, *, watch: Watch | None = None) -> Result:
    """Train the broken network and every fix of it under every optimizer; say what cured it.

    Ctrl-C keeps what is complete (`result.interrupted` is then True).
    """
    started = time.perf_counter()
    watch = watch or Silent()
    device = devices.resolve(spec.device)
    splits = datasets.load(spec.data, seed=spec.seed, progress=watch)
    data = TensorData.of(splits, device)
    offered = fixes(spec.network)
    total = _member_steps(len(offered) * len(spec.optimizers), spec)
    tally = Tally(watch, _("training steps"), total)
    bench = Bench(splits=splits, data=data, settings=_settings(spec), progress=tally.add)
    starts: dict[NetworkSpec, dict[str, Interval | None]] = {}
    tried: list[_Tried] = []
    interrupted = False
    for alike in _by_structure(offered):
        cells = [(fix, name) for fix in alike for name in spec.optimizers]
        found: Sequence[Trainings | None] = []
        try:
            for network in dict.fromkeys(fix.network for fix in alike):
                starts[network] = _start(network, spec, splits, device)
            found = tuned(
                [_request(fix, name, spec) for fix, name in cells], bench, spec.grid_seeds
            )
        except KeyboardInterrupt as stop:
            interrupted = True
            found = stop.found if isinstance(stop, Interrupted) else []
        tried += [
            _Tried(fix=fix, optimizer=name, trainings=one)
            for (fix, name), one in zip(cells, found, strict=False)
            if one is not None
        ]
        if interrupted:
            break
    order = {fix.label: place for place, fix in enumerate(offered)}
    tried.sort(key=lambda one: order[one.fix.label])
    rows = _rows(tried, starts, spec)
    return Result(
        command="compare-fixes",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result={
            "problem": spec.problem,
            "data": splits.name,
            "trainings": sum(len(one.trainings.rates) for one in tried),
            "target": spec.target,
            "rows": rows,
            "reading": reading(rows, spec.target),
            "norms": _norms(tried),
            "notes": sorted({note for one in tried for note in one.trainings.record.notes}),
            "interrupted": interrupted,
        },
        version=__version__,
    )


def _member_steps(candidates: int, spec: CompareFixesSpec) -> int:
    return candidates * (spec.rates * spec.grid_seeds + spec.seeds - spec.grid_seeds) * spec.steps


def _settings(spec: CompareFixesSpec) -> Settings:
    return Settings(
        optimizer=spec.optimizers[0],
        steps=spec.steps,
        batch_size=spec.batch_size,
        eval_every=max(1, spec.steps // 15),
        target=spec.target,
    )


def _by_structure(offered: Sequence[Fix]) -> list[list[Fix]]:
    """Group fixes whose networks differ in their numbers only: these train as one population."""
    groups: dict[NetworkSpec, list[Fix]] = {}
    for fix in offered:
        groups.setdefault(replace(fix.network, init=""), []).append(fix)
    return list(groups.values())


def _request(fix: Fix, optimizer: str, spec: CompareFixesSpec) -> Request:
    textbook = optimizers.parse(optimizer).lr or 1e-3
    return Request(
        candidate=Candidate(
            network=fix.network,
            optimizer=optimizer,
            clip_norm=fix.clip_norm,
            clip_value=fix.clip_value,
        ),
        rates=rate_grid(textbook * fix.rate_scale, spec.rates),
        seeds=range(spec.seed, spec.seed + spec.seeds),
    )


def _start(
    network: NetworkSpec, spec: CompareFixesSpec, splits: Splits, device: Any
) -> dict[str, Interval | None]:
    """Return the signal's ratio and the saturated and dead shares before training."""
    seeds = range(spec.seed, spec.seed + min(_INITIAL_SEEDS, spec.seeds))
    with one_thread():
        trace = initial.measure(
            network, splits, seeds=seeds, batch_size=spec.batch_size, device=device
        )
    values = measures.signal(trace, recurrent=network.recurrent)
    ratio = None
    if len(values) > 1 and (values[-1] != 0).all():
        ratios = measures.end_to_end(values, measures.floor_of(trace))
        ratio = over_members("output_grad_norm", ratios)
    return {
        "grad_ratio": ratio,
        "saturated_fraction": _share(trace, "saturated_fraction"),
        "dead_fraction": _share(trace, "dead_fraction"),
    }


def _share(trace: Trace, statistic: str) -> Interval | None:
    """Return the mean share over the hidden layers (gates do not saturate)."""
    places = [
        place
        for place in measures.path(trace, statistic)
        if statistic != "saturated_fraction" or not trace.layers[place].gate
    ]
    if not places:
        return None
    return interval(trace.columns[statistic][-1, places].mean(axis=0))


def _rows(
    tried: Sequence[_Tried], starts: dict[NetworkSpec, dict[str, Any]], spec: CompareFixesSpec
) -> list[dict[str, Any]]:
    """Return a row a fix and optimizer, each judged against the baseline of its optimizer."""
    baselines = {one.optimizer: one for one in tried if one.fix.label == "baseline"}
    judged = [one for one in tried if one.optimizer in baselines]
    others = [one for one in judged if one.fix.label != "baseline"]
    raw = [paired_p_value(one.gains(baselines[one.optimizer]).tolist()) for one in others]
    adjusted = dict(zip(map(id, others), holm(raw), strict=True))
    rows = []
    for one in judged:
        record, best = one.trainings.record, one.best
        reached = record.steps_to_target[best]
        p_value = adjusted.get(id(one), 1.0)
        rates = one.trainings.tried
        scores = [one.trainings.score(rate)[0] for rate in rates]
        gain = float(one.gains(baselines[one.optimizer]).mean())
        rows.append(
            {
                "label": one.fix.label,
                "fix": one.fix.label,
                "optimizer": one.optimizer,
                "best_lr": one.trainings.best_rate,
                **starts[one.fix.network],
                "test_accuracy": interval(one.accuracy),
                "validation_accuracy": interval(record.val_accuracy[-1, best]),
                "steps_to_target": interval(reached) if (reached > 0).all() else None,
                "diverged": int(record.diverged.sum()),
                "seconds": float(record.seconds[best].mean()),
                "p_value": p_value,
                "usable_decades": decades(rates, scores, max(scores) - NEAR),
                "rates": [
                    {"lr": rate, "validation_accuracy": score}
                    for rate, score in zip(rates, scores, strict=True)
                ],
                "verdict": _verdict(one, p_value, gain, spec.target),
            }
        )
    return rows


def _verdict(one: _Tried, p_value: float, gain: float, target: float) -> str:
    if one.fix.label == "baseline":
        return "baseline"
    if p_value >= _SIGNIFICANT:
        return "no effect"
    if gain < 0:
        return "harms"
    return "cures" if one.accuracy.mean() >= target else "helps"


def _norms(tried: Sequence[_Tried]) -> list[dict[str, Any]]:
    """Return the gradient norm over time (median over seeds) with and without clipping."""
    shown = []
    for one in tried:
        if one.fix.label in ("baseline", "clip_norm", "clip_value"):
            norms = one.trainings.record.gradient_norm[:, one.best]
            every = max(1, len(norms) // 100)
            shown.append(
                {
                    "label": one.fix.label,
                    "optimizer": one.optimizer,
                    "steps": list(range(1, len(norms) + 1, every)),
                    "gradient_norm": [_middle(values) for values in norms[::every]],
                }
            )
    return shown


def _middle(values: np.ndarray) -> float:
    """Return the median of the finite values, NaN where none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
