"""What a sweep says, in sentences that follow from its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _, localised
from nndiag.schema.axes import KINDS
from nndiag.schema.result import Interval
from nndiag.schema.spec_sweep import SweepSpec

Row = Mapping[str, Any]

#: Shares of the variance above which an axis is said to matter, and below which it is not.
_MATTERS, _HARDLY = 0.1, 0.01
#: Share left for interactions from which on no axis should be chosen alone.
_INTERACTS = 0.25
_LEVEL = 0.05


def reading(found: Mapping[str, Any], spec: SweepSpec) -> list[str]:
    """Return the sentences: the best configuration, what else is as good, what each axis does.

    Args:
        found: `rows`, `marginals`, `rungs`, `failed`, `samples` of a sweep.
    """
    rows: Sequence[Row] = found["rows"]
    if not rows:
        return [_("No run is complete yet.")]
    return [
        *_best(rows, spec),
        *_alike(rows, spec),
        *_folds(rows[0], spec, found["samples"]),
        *_axes(found["marginals"], spec),
        *_edges(rows[0], spec, found["rungs"]),
        *_halving(found["rungs"], spec),
        *_diverged(rows, found["marginals"]),
        *_failed(found["failed"]),
    ]


def comparison(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences on stored sweeps: the best of all, and each against the first.

    Args:
        found: `metric`, `rows` and `pairs`.
    """
    metric, sign = found["metric"], 1 if found["higher_is_better"] else -1
    best = max(found["rows"], key=lambda row: sign * row[metric].mean)
    text = _("Best {metric}: {value} in {sweep} with {label}.").format(
        metric=metric_name(metric),
        value=_with_interval(best[metric], metric),
        sweep=best["label"],
        label=best["best"],
    )
    return [text, *(_pair(pair, metric, sign) for pair in found["pairs"])]


def _pair(pair: Row, metric: str, sign: int) -> str:
    names = {"second": pair["label"], "first": pair["against"]}
    if not pair["shared"]:
        return _("{second} and {first} share no training: only their best can be compared.").format(
            **names
        )
    if pair["p_value"] >= _LEVEL:
        return _(
            "Over the {shared} trainings that {second} and {first} share no difference is shown "
            "(paired t-test, 5 %)."
        ).format(shared=pair["shared"], **names)
    gain = pair["difference"]
    if sign * gain.mean < 0:
        names = {"second": names["first"], "first": names["second"]}
    if gain.mean < 0:
        gain = Interval(-gain.mean, -gain.high, -gain.low)
    return _(
        "Over the {shared} trainings that they share {second} is better than {first} by {gain}."
    ).format(shared=pair["shared"], gain=_gain(gain, metric), **names)


def metric_name(metric: str) -> str:
    """Return a metric in words."""
    words = {
        "val_accuracy": _("validation accuracy"),
        "val_loss": _("validation loss"),
        "test_accuracy": _("test accuracy"),
        "test_loss": _("test loss"),
        "train_loss": _("training loss"),
    }
    return words[metric]


def amount(value: float, metric: str) -> str:
    """Return a metric's value for a sentence: accuracies in percent."""
    if metric.endswith("accuracy"):
        return localised(f"{100 * value:.1f} %")
    return localised(f"{value:.3g}")


def _with_interval(number: Interval, metric: str) -> str:
    text = amount(number.mean, metric)
    if number.low == number.high:
        return text
    low, high = amount(number.low, metric), amount(number.high, metric)
    return _("{value} [{low}, {high}]").format(value=text, low=low, high=high)


def _percent(share: float) -> str:
    """Return a share in percent; nearly all is not all."""
    return ">99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def _gain(number: Interval, metric: str) -> str:
    """Return a difference: of accuracies in points of percent."""
    if not metric.endswith("accuracy"):
        return _with_interval(number, metric)
    ends = (number.low, number.mean, number.high)
    low, mean, high = (localised(f"{100 * value:.1f}") for value in ends)
    return _("{mean} points [{low}, {high}]").format(mean=mean, low=low, high=high)


def _best(rows: Sequence[Row], spec: SweepSpec) -> Iterator[str]:
    best = rows[0]
    text = _("Best {metric}: {value} with {label}.")
    yield text.format(
        metric=metric_name(spec.metric),
        value=_with_interval(best[spec.metric], spec.metric),
        label=best["label"] or _("the one configuration"),
    )
    if spec.metric.startswith("val_") and spec.folds is None:
        metric = spec.metric.replace("val_", "test_")
        yield _(
            "On the test set, which had no say in the choice, it reaches {value} ({metric})."
        ).format(value=_with_interval(best[metric], metric), metric=metric_name(metric))
    if spec.metric.startswith("test_") and spec.folds is None and len(rows) > 1:
        yield _(
            "Chosen on the test set its own figure is too good; choose by val_accuracy or val_loss."
        )


def _alike(rows: Sequence[Row], spec: SweepSpec) -> Iterator[str]:
    others = [row for row in rows[1:] if row["p_value"] is not None]
    if not others:
        return
    if rows[0]["runs"] < 2:
        yield _("With one run each, luck and merit cannot be told apart; give --seeds 5.")
        return
    tied = sum(row["tied"] for row in others)
    if tied == len(others):
        yield _(
            "No configuration is shown to be worse than it (paired t-test, Holm-corrected, 5 %)."
        )
    elif tied:
        yield _(
            "Not told apart from it: {tied} of the {others} other configurations (paired t-test, "
            "Holm-corrected, 5 %)."
        ).format(tied=tied, others=len(others))
    else:
        yield _(
            "Every other configuration is worse beyond chance (paired t-test, Holm-corrected, 5 %)."
        )


def _folds(best: Row, spec: SweepSpec, samples: int) -> Iterator[str]:
    if spec.folds is None:
        return
    yield _(
        "Over the {folds} folds its {metric} spreads with a standard deviation of {spread}; "
        "pooled over all {samples} samples, each held out once, the accuracy is {pooled}."
    ).format(
        folds=spec.folds,
        metric=metric_name(spec.metric),
        spread=amount(best["fold_spread"], spec.metric),
        samples=samples,
        pooled=amount(best["pooled_accuracy"], "test_accuracy"),
    )
    yield _(
        "Folds share their training data: the interval over them is a guide (no unbiased "
        "estimate of its width exists, Bengio and Grandvalet 2004)."
    )


def _axes(effects: Sequence[Row], spec: SweepSpec) -> Iterator[str]:
    known = [one for one in effects if math.isfinite(one["share"])]
    for one in known:
        if one["share"] >= _MATTERS:
            shown = _(
                "{axis} explains {share} % of the differences: on average over the rest "
                "{best} is better than {worst} by {gain}."
            )
            unsure = _(
                "{axis} explains {share} % of the differences, but the lead of {best} over "
                "{worst}, {gain}, may be luck."
            )
            text = shown if one["effect"].low > 0 else unsure
            yield text.format(
                axis=one["axis"],
                share=_percent(one["share"]),
                best=one["best"],
                worst=one["worst"],
                gain=_gain(one["effect"], spec.metric),
            )
    hardly = [one["axis"] for one in known if one["share"] < _HARDLY]
    if hardly:
        yield _("Hardly any effect: {axes} (less than 1 % of the differences).").format(
            axes=", ".join(hardly)
        )
    rest = 1 - sum(one["share"] for one in known)
    whole = spec.samples is None and len(known) == len(effects) > 1
    if whole and rest >= _INTERACTS:
        yield _(
            "{rest} % of the differences are no axis's own: the best value of one depends on the "
            "others, so choose them together."
        ).format(rest=f"{100 * rest:.0f}")


def _edges(best: Row, spec: SweepSpec, rungs: Sequence[Row]) -> Iterator[str]:
    for axis in spec.parsed:
        if KINDS[axis.name].form not in ("integer", "number") or len(axis.values) < 3:
            continue
        numbers = [value for value in axis.values if isinstance(value, int | float)]
        if axis.name == "steps" and rungs:
            continue
        if best[axis.name] in (min(numbers), max(numbers)):
            end = _("smallest") if best[axis.name] == min(numbers) else _("largest")
            yield _("The best {axis} is the {end} that was tried: look beyond it.").format(
                axis=axis.name, end=end
            )


def _halving(rungs: Sequence[Row], spec: SweepSpec) -> Iterator[str]:
    if not rungs:
        return
    spent = sum(rung["configurations"] * rung["steps"] for rung in rungs)
    whole = rungs[0]["configurations"] * rungs[-1]["steps"]
    yield _(
        "Successive halving took {share} % of the steps that full trainings of all would have "
        "taken; effects of axes are those of its first rung, at {steps} steps, and the test "
        "compares the {count} of the last one."
    ).format(
        share=f"{100 * spent / whole:.0f}",
        steps=rungs[0]["steps"],
        count=rungs[-1]["configurations"],
    )


def _diverged(rows: Sequence[Row], effects: Sequence[Row]) -> Iterator[str]:
    diverged = sum(row["diverged"] for row in rows)
    if not diverged:
        return
    runs = sum(row["runs"] for row in rows)
    text = _("{diverged} of {runs} runs diverged").format(diverged=diverged, runs=runs)
    always = [
        f"{one['axis']}={level['label']}"
        for one in effects
        for level in one["rows"]
        if level["diverged"] == level["runs"]
    ]
    if always:
        text += "; " + _("always with {values}").format(values=", ".join(always))
    yield text + "."


def _failed(failed: Sequence[Row]) -> Iterator[str]:
    if failed:
        yield _(
            "{count} runs failed and are left out; the same command tries them again. The first: "
            "{error}"
        ).format(count=len(failed), error=failed[0]["error"])
