"""What unsupervised and transductive transfer say, in words that follow from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nndiag.locales import _, localised
from nndiag.schema.result import Interval, interval

Row = Mapping[str, Any]


def clusters(rows: Sequence[Row]) -> list[str]:
    """Return how well groups of each kind of feature agree with the classes.

    Args:
        rows: pre-trained features first; each with `label`, `nmi`, `ari`, `accuracy` and `runs`.
    """
    learnt, *others = rows
    sentences = [
        _(
            "Groups found in the {name} features, without a label: NMI {nmi} %, ARI {ari} % (0: "
            "chance, 100: the classes); named after the classes, {right} % of images are right."
        ).format(
            name=learnt["label"],
            nmi=_percent(learnt["nmi"].mean),
            ari=_percent(learnt["ari"].mean),
            right=_percent(learnt["accuracy"].mean),
        )
    ]
    if _alone(rows):
        return [*sentences, _alone_text()]
    for other in others:
        gain = _paired(learnt, other, "nmi")
        if not gain.sure:
            text = _("Against {name} no measurable difference in NMI ({points}).")
        elif gain.mean > 0:
            text = _("Against {name} pre-training adds NMI: {points}.")
        else:
            text = _("Negative transfer: {name} group better than pre-trained features ({points}).")
        sentences.append(text.format(name=other["label"], points=_points(gain)))
    return sentences


def domains(rows: Sequence[Row]) -> list[str]:
    """Return what each method of adaptation gave on each domain.

    Args:
        rows: one a domain and method, with `domain`, `method`, `before`, `gain` and `runs`.
    """
    if _alone(rows):
        return [_alone_text()]
    sentences = []
    for domain in dict.fromkeys(row["domain"] for row in rows):
        of_domain = [row for row in rows if row["domain"] == domain]
        parts = [
            f"{row['method']} {_verdict(row['gain'])} ({_points(row['gain'])})" for row in of_domain
        ]
        sentences.append(
            _("{domain}: {before} % as trained; {parts}.").format(
                domain=domain,
                before=_percent(of_domain[0]["before"].mean),
                parts=", ".join(parts),
            )
        )
    return sentences


def _alone(rows: Sequence[Row]) -> bool:
    return bool(rows) and len(rows[0]["runs"]) == 1


def _alone_text() -> str:
    return _("One seed shows no spread: differences of any size may be chance.")


def _verdict(gain: Interval) -> str:
    if not gain.sure:
        return _("changes nothing measurable")
    return _("helps") if gain.mean > 0 else _("harms")


def _paired(row: Row, base: Row, name: str) -> Interval:
    """Return row minus base, paired by seed: both saw the same images."""
    pairs = zip(row["runs"], base["runs"], strict=True)
    return interval([one[name] - other[name] for one, other in pairs])


def _percent(share: float) -> str:
    return localised(f"{100 * share:.0f}")


def _points(gain: Interval) -> str:
    half = 100 * (gain.high - gain.mean)
    return _("{mean} ±{half} points").format(
        mean=localised(f"{100 * gain.mean:+.1f}"), half=localised(f"{half:.1f}")
    )
