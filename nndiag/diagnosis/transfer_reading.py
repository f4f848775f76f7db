"""What the rows of `nndiag transfer` say, in words that follow from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nndiag.locales import _
from nndiag.schema.result import Interval, interval

#: The three advantages of transfer (Torrey & Shavlik 2010): key, and name for the reader.
_ADVANTAGES = ("start", "slope", "test_accuracy")


def reading(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence on each strategy against scratch, and on each frozen one against chance.

    A difference counts where the 95 % interval of the paired differences over seeds leaves out 0.
    """
    sentences = []
    for labels in dict.fromkeys(row["labels_per_class"] for row in rows):
        alike = {row["strategy"]: row for row in rows if row["labels_per_class"] == labels}
        base = alike.get("scratch")
        if base is not None:
            sentences += [
                _against_scratch(row, base)
                for name, row in alike.items()
                if name not in ("scratch", "random")
            ]
        if "frozen" in alike and "random" in alike:
            sentences.append(_architecture(alike["frozen"], alike["random"]))
        if "gradual" in alike and "finetune" in alike:
            sentences.append(_gradual(alike["gradual"], alike["finetune"]))
    return sentences


def clusters(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how well clusters of each kind of feature agree with the classes."""
    best = max(rows, key=lambda row: row["nmi"].mean)
    sentences = [
        _(
            "Clusters of {name} features agree best with the classes that they were never told: "
            "NMI {nmi:.0%}, ARI {ari:.0%} (0: chance, 100: the same groups)."
        ).format(name=best["label"], nmi=best["nmi"].mean, ari=best["ari"].mean)
    ]
    learnt, others = rows[0], rows[1:]
    return sentences + [
        _("{name} ({nmi:.0%}) are no worse than pre-trained features here.").format(
            name=other["label"], nmi=other["nmi"].mean
        )
        for other in others
        if other["nmi"].mean >= learnt["nmi"].mean
    ]


def domains(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what adaptation gave on each domain."""
    sentences = []
    for domain in dict.fromkeys(row["domain"] for row in rows):
        of_domain = [row for row in rows if row["domain"] == domain]
        parts = [
            _("{method} {points}").format(method=row["method"], points=_verdict(row["gain"]))
            for row in of_domain
        ]
        sentences.append(
            _("{domain}: {before} % as trained; {parts}.").format(
                domain=domain,
                before=f"{100 * of_domain[0]['before'].mean:.0f}",
                parts=", ".join(parts),
            )
        )
    return sentences


def _verdict(gain: Interval) -> str:
    if not _sure(gain):
        return _("changes nothing measurable ({points})").format(points=_points(gain))
    if gain.mean > 0:
        return _("gains {points}").format(points=_points(gain))
    return _("harms: {points}").format(points=_points(gain))


def difference(row: Mapping[str, Any], base: Mapping[str, Any], name: str) -> Interval:
    """Return row minus base, paired by seed."""
    pairs = zip(row["runs"], base["runs"], strict=True)
    return interval([one[name] - other[name] for one, other in pairs])


def _against_scratch(row: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    higher: list[str] = []
    lower: list[str] = []
    same: list[str] = []
    for name in _ADVANTAGES:
        gain = difference(row, base, name)
        text = _("{name} by {points}").format(name=_name(name), points=_points(gain))
        if _sure(gain):
            (higher if gain.mean > 0 else lower).append(text)
        else:
            same.append(_name(name))
    parts = []
    if higher:
        parts.append(_("higher: {what}").format(what=", ".join(higher)))
    if lower:
        parts.append(_("negative transfer, lower: {what}").format(what=", ".join(lower)))
    if same:
        parts.append(_("no measurable difference: {what}").format(what=", ".join(same)))
    return _("{strategy} with {labels} labels a class against scratch: {parts}.").format(
        strategy=row["strategy"], labels=row["labels_per_class"], parts="; ".join(parts)
    )


def _architecture(frozen: Mapping[str, Any], random: Mapping[str, Any]) -> str:
    gain = difference(frozen, random, "test_accuracy")
    if _sure(gain) and gain.mean > 0:
        text = _(
            "With {labels} labels a class a frozen random backbone reaches {random}; pre-training "
            "adds {points} to what the architecture gives by itself."
        )
    else:
        text = _(
            "With {labels} labels a class a frozen random backbone reaches {random}: what "
            "pre-training adds to it ({points}) cannot be told from chance."
        )
    return text.format(
        labels=frozen["labels_per_class"],
        random=f"{100 * random['test_accuracy'].mean:.1f} %",
        points=_points(gain),
    )


def _gradual(gradual: Mapping[str, Any], finetune: Mapping[str, Any]) -> str:
    gain = difference(gradual, finetune, "test_accuracy")
    if not _sure(gain):
        text = _("Freeing block by block ends level with fine-tuning all at once ({points}).")
    elif gain.mean > 0:
        text = _("Freeing block by block ends above fine-tuning all at once ({points}).")
    else:
        text = _("Freeing block by block ends below fine-tuning all at once ({points}).")
    return text.format(points=_points(gain))


def _sure(gain: Interval) -> bool:
    """Whether the interval of several seeds leaves out 0 (a single seed shows no spread)."""
    return bool(np.isfinite(gain.mean)) and gain.low < gain.high and gain.low * gain.high > 0


def _points(gain: Interval) -> str:
    half = 100 * (gain.high - gain.mean)
    return _("{mean:+.1f} ±{half:.1f} points").format(mean=100 * gain.mean, half=half)


def _name(name: str) -> str:
    return {
        "start": _("start"),
        "slope": _("early slope (an epoch)"),
        "test_accuracy": _("final accuracy"),
    }[name]
