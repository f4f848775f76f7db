"""`nndiag ewma`: what exponentially weighted averages smooth, how late, and how they start."""

from __future__ import annotations

import math
import platform
import time
from importlib.metadata import version
from typing import Any

import numpy as np

from nndiag import __version__
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_principles import EwmaSpec

Array = np.ndarray

#: Windows that a measurement spans, and samples that it has at least.
_WINDOWS, _SHORTEST = 40, 500
#: Step at which the start's bias is measured, and the level it is measured against.
EARLY, LEVEL = 5, 10.0


def run(spec: EwmaSpec, *, watch: Watch | None = None) -> Result:
    """Average the series with every beta, and measure noise, lag and bias against theory."""
    started = time.perf_counter()
    watch = watch or Silent()
    clean, series = _series(spec)
    rows = []
    watch.stage(_("measuring averages"), len(spec.betas))
    for done, beta in enumerate(spec.betas, start=1):
        rows.append(_row(beta, clean, series, spec))
        watch.update(done)
    correlation = _autocorrelation(series) if clean is None else None
    return Result(
        command="ewma",
        spec=spec.to_dict(),
        environment={
            "device": "cpu",
            "torch": version("torch"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={
            "series": series.tolist(),
            "signal": None if clean is None else clean.tolist(),
            "averages": [_curves(beta, series) for beta in spec.betas],
            "rows": rows,
            "autocorrelation": correlation,
            "early": EARLY,
            "reading": _reading(rows, correlation, len(series)),
        },
        version=__version__,
    )


def average(series: Array, beta: float, first: Array | float = 0.0) -> Array:
    """Return v_t = beta v_{t-1} + (1 - beta) y_t along the first axis, from v_0 = `first`."""
    kept = np.empty_like(series)
    value = np.broadcast_to(first, series.shape[1:])
    for place, now in enumerate(series):
        value = beta * value + (1 - beta) * now
        kept[place] = value
    return kept


def corrected(averages: Array, beta: float) -> Array:
    """Return v_t / (1 - beta^t), unbiased from the first step (Kingma and Ba 2015, section 3)."""
    steps = np.arange(1, len(averages) + 1).reshape(-1, *[1] * (averages.ndim - 1))
    return averages / (1 - beta**steps)


def _series(spec: EwmaSpec) -> tuple[Array | None, Array]:
    """Return signal (None if unknown) and series: the user's, or a loss that falls in noise."""
    if spec.values is not None:
        return None, np.array(spec.values)
    steps = np.arange(spec.samples) / spec.samples
    clean = 0.5 + 2 * np.exp(-4 * steps) + 0.4 * np.sin(4 * math.pi * steps)
    noise = np.random.default_rng(spec.seed).normal(size=spec.samples)
    return clean, clean + spec.noise * noise


def _curves(beta: float, series: Array) -> dict[str, Any]:
    raw = average(series, beta)
    return {"label": f"{beta:g}", "raw": raw.tolist(), "corrected": corrected(raw, beta).tolist()}


def _row(beta: float, clean: Array | None, series: Array, spec: EwmaSpec) -> dict[str, Any]:
    started = time.perf_counter()
    length = int(max(_SHORTEST, _WINDOWS / (1 - beta)))
    draws = [np.random.default_rng([spec.seed + k, 1]) for k in range(spec.seeds)]
    noise = np.stack([draw.normal(size=length) for draw in draws], axis=1)
    smooth = corrected(average(series, beta), beta)
    row = {
        "label": f"{beta:g}",
        "beta": beta,
        "window": 1 / (1 - beta),
        "half_life": math.log(0.5) / math.log(beta) if beta else 0.0,
        **_noise_left(noise, beta, draws),
        **_lag(noise, beta),
        **_bias(noise, beta),
        "roughness": _roughness(smooth) / _roughness(series) if _roughness(series) else math.nan,
        "error": None,
        "diverged": 0,
    }
    if clean is not None:
        drawn = [
            np.random.default_rng(spec.seed + k).normal(size=len(clean)) for k in range(spec.seeds)
        ]
        noisy = clean[:, None] + spec.noise * np.stack(drawn, axis=1)
        error = corrected(average(noisy, beta), beta) - clean[:, None]
        row["error"] = interval(np.sqrt((error**2).mean(axis=0)))
    return row | {"seconds": time.perf_counter() - started}


def _noise_left(noise: Array, beta: float, draws: list[np.random.Generator]) -> dict[str, Any]:
    """Measure Var[v] / Var[y] on white noise (T, S), in the stationary state."""
    predicted = (1 - beta) / (1 + beta)
    first = math.sqrt(predicted) * np.array([draw.normal() for draw in draws])
    smooth = average(noise, beta, first)
    ratio = (smooth**2).mean(axis=0) / (noise**2).mean(axis=0)
    return {"variance_ratio": interval(ratio), "predicted_variance_ratio": predicted}


def _lag(noise: Array, beta: float) -> dict[str, Any]:
    """Measure by how many samples the average of a steady rise in noise is behind it."""
    rise = np.arange(len(noise), dtype=float)[:, None] + noise
    late = np.arange(len(noise), dtype=float)[:, None] - average(rise, beta)
    half = len(noise) // 2
    return {"lag": interval(late[half:].mean(axis=0)), "predicted_lag": beta / (1 - beta)}


def _bias(noise: Array, beta: float) -> dict[str, Any]:
    """Measure E[v_t] over the level of a level series, at an early step, raw and corrected."""
    raw = average(LEVEL + noise[:EARLY], beta)
    right = corrected(raw, beta)
    return {
        "early_raw": interval(raw[-1] / LEVEL),
        "early_corrected": interval(right[-1] / LEVEL),
        "predicted_early_raw": 1 - beta**EARLY,
    }


def _roughness(series: Array) -> float:
    """Return the root mean square of the differences between neighbours."""
    return float(np.sqrt((np.diff(series) ** 2).mean()))


def _autocorrelation(series: Array) -> float | None:
    """Return the correlation of a series with itself one step later; None for a constant."""
    centred = series - series.mean()
    power = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / power if power else None


def _reading(rows: list[dict[str, Any]], correlation: float | None, length: int) -> list[str]:
    said = [
        _(
            "beta {beta}: averages about {window} samples, leaves {left} % of the noise's "
            "variance (theory {theory} %) and has a lag of {lag} (theory {late})."
        ).format(
            beta=row["label"],
            window=f"{row['window']:.3g}",
            left=f"{100 * row['variance_ratio'].mean:.3g}",
            theory=f"{100 * row['predicted_variance_ratio']:.3g}",
            lag=f"{row['lag'].mean:.3g}",
            late=f"{row['predicted_lag']:.3g}",
        )
        for row in rows
    ]
    slow = max(rows, key=lambda row: row["beta"])
    said.append(
        _(
            "Started at 0, beta {beta} shows only {raw} % of a steady level after {early} steps; "
            "divided by 1 - beta^t it shows {right} %. This is Adam's bias correction."
        ).format(
            beta=slow["label"],
            raw=f"{100 * slow['early_raw'].mean:.1f}",
            right=f"{100 * slow['early_corrected'].mean:.1f}",
            early=EARLY,
        )
    )
    if rows[0]["error"] is not None and len(rows) > 1:
        best = min(rows, key=lambda row: row["error"].mean)
        said.append(
            _(
                "Closest to this signal: beta {beta}, root-mean-square error {error}: a smaller "
                "beta lets more noise through, a larger one comes later."
            ).format(beta=best["label"], error=f"{best['error'].mean:.3g}")
        )
    if correlation is not None:
        said.append(
            _(
                "Noise, lag and bias above are measured on drawn white noise. Your {count} values "
                "follow one another with correlation {correlation} (white noise: 0); what is "
                "correlated is smoothed less than theory says."
            ).format(count=length, correlation=f"{correlation:.2f}")
        )
    if length < 3 * slow["window"]:
        said.append(
            _(
                "{count} values are fewer than three windows of beta {beta}: even the corrected "
                "average is not yet free of its start."
            ).format(count=length, beta=slow["label"])
        )
    return said
