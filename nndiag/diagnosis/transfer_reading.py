"""What the rows of `nndiag transfer` say, in words that follow from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nndiag.locales import _, localised
from nndiag.schema.result import Interval, interval

Row = Mapping[str, Any]

#: The three advantages of transfer (Torrey & Shavlik 2010): key, and name for the reader.
_ADVANTAGES = ("start", "slope", "test_accuracy")


def gains(row: Row, base: Row) -> dict[str, Interval]:
    """Return how much higher a row is than another in start, slope and final accuracy.

    Differences are paired by seed: both saw the same images in the same order.
    """
    return {name: _difference(row, base, name) for name in _ADVANTAGES}


def reading(rows: Sequence[Row]) -> list[str]:
    """Return a sentence on each strategy against scratch, on the control, on freeing by steps.

    A difference counts where its 95 % interval over seeds leaves out 0.
    """
    sentences = []
    for labels in dict.fromkeys(row["labels_per_class"] for row in rows):
        alike = {
            row["strategy"]: row
            for row in rows
            if row["labels_per_class"] == labels and row["first_frozen"] is None
        }
        sentences += [
            _against_scratch(row)
            for name, row in alike.items()
            if row["gain"] is not None and name != "random"
        ]
        if "frozen" in alike and "random" in alike:
            sentences.append(_architecture(alike["frozen"], alike["random"]))
        if "gradual" in alike and "finetune" in alike:
            sentences.append(_gradual(alike["gradual"], alike["finetune"]))
    sentences += _fewer_labels(rows)
    by_layer = [row for row in rows if row["first_frozen"] is not None]
    if by_layer:
        sentences.append(_by_layer(by_layer))
    if rows and all(len(row["runs"]) == 1 for row in rows):
        sentences.append(_("One seed shows no spread: differences of any size may be chance."))
    return sentences


def _difference(row: Row, base: Row, name: str) -> Interval:
    pairs = zip(row["runs"], base["runs"], strict=True)
    return interval([one[name] - other[name] for one, other in pairs])


def _against_scratch(row: Row) -> str:
    gain = row["gain"]
    higher = [_name(name) for name in gain if gain[name].sure and gain[name].mean > 0]
    lower = [_name(name) for name in gain if gain[name].sure and gain[name].mean < 0]
    same = [_name(name) for name in gain if not gain[name].sure]
    parts = []
    if len(higher) == len(gain):
        parts.append(_("all three advantages of transfer: higher {what}"))
    elif higher:
        parts.append(_("higher {what}"))
    parts = [text.format(what=_listed(higher)) for text in parts]
    if lower:
        parts.append(_("negative transfer: lower {what}").format(what=_listed(lower)))
    if len(same) == len(gain):
        parts.append(_("no measurable difference"))
    elif same:
        parts.append(_("no measurable difference in {what}").format(what=_listed(same)))
    return _("{strategy}, {labels} labels a class, against scratch: {parts}.").format(
        strategy=row["strategy"], labels=row["labels_per_class"], parts=_("; ").join(parts)
    )


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return _("{names} and {last}").format(names=", ".join(others), last=last) if others else last


def _fewer_labels(rows: Sequence[Row]) -> list[str]:
    """Say how many labels scratch needs for what fine-tuning reaches with fewer."""
    tuned, scratch = (
        sorted(
            (row for row in rows if row["strategy"] == name),
            key=lambda row: row["labels_per_class"],
        )
        for name in ("finetune", "scratch")
    )
    if len(scratch) < 2 or not tuned:
        return []
    few, reached = tuned[0]["labels_per_class"], tuned[0]["test_accuracy"].mean
    enough = [row for row in scratch if row["test_accuracy"].mean >= reached]
    if enough:
        text = _(
            "With {few} labels a class fine-tuning reaches {reached} %, for which scratch needs "
            "about {many} labels."
        )
        many = enough[0]["labels_per_class"]
    else:
        text = _(
            "With {few} labels a class fine-tuning reaches {reached} %; scratch does not, even "
            "with {many} labels."
        )
        many = scratch[-1]["labels_per_class"]
    return [text.format(few=few, reached=localised(f"{100 * reached:.1f}"), many=many)]


def _by_layer(rows: Sequence[Row]) -> str:
    """Say how many blocks can be kept as they are (Yosinski et al. 2014)."""
    free, *others = sorted(rows, key=lambda row: row["first_frozen"])
    losses = [(row, _difference(row, free, "test_accuracy")) for row in others]
    worse = [row["first_frozen"] for row, loss in losses if loss.sure and loss.mean < 0]
    row, loss = losses[-1]
    all_frozen = _("all {count} frozen: {points}").format(
        count=row["first_frozen"], points=_points(loss)
    )
    if not worse:
        return _(
            "By layer: freezing any number of the first blocks ends level with none ({all_frozen})."
        ).format(all_frozen=all_frozen)
    return _(
        "By layer: up to {kept} frozen blocks nothing measurable is lost against none; from {lost} "
        "on accuracy falls ({all_frozen}): later blocks hold what belongs to the source task."
    ).format(kept=worse[0] - 1, lost=worse[0], all_frozen=all_frozen)


def _architecture(frozen: Row, random: Row) -> str:
    gain = _difference(frozen, random, "test_accuracy")
    if gain.sure and gain.mean > 0:
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
        random=localised(f"{100 * random['test_accuracy'].mean:.1f} %"),
        points=_points(gain),
    )


def _gradual(gradual: Row, finetune: Row) -> str:
    gain = _difference(gradual, finetune, "test_accuracy")
    if not gain.sure:
        text = _("Freeing block by block ends level with fine-tuning all at once ({points}).")
    elif gain.mean > 0:
        text = _("Freeing block by block ends above fine-tuning all at once ({points}).")
    else:
        text = _("Freeing block by block ends below fine-tuning all at once ({points}).")
    return text.format(points=_points(gain))


def _points(gain: Interval) -> str:
    half = 100 * (gain.high - gain.mean)
    return _("{mean} ±{half} points").format(
        mean=localised(f"{100 * gain.mean:+.1f}"), half=localised(f"{half:.1f}")
    )


def _name(name: str) -> str:
    return {
        "start": _("start"),
        "slope": _("early slope"),
        "test_accuracy": _("final accuracy"),
    }[name]
