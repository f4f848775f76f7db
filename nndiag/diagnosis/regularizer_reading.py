"""What `compare-regularizers` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.diagnosis import variant_reading as said
from nndiag.locales import _
from nndiag.schema.result import Interval

Row = Mapping[str, Any]

#: A gap between training and validation from which on a network is said to overfit.
_OVERFITS = 0.05


def reading(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        found: `rows`, `decay`, `dropout`, `balls`, `zero` and `edges` of the result.
    """
    rows: Sequence[Row] = found["rows"]
    dense = [row for row in rows if not row["label"].startswith("cnn")]
    convolved = [row for row in rows if row not in dense]
    by_label = {row["label"]: row for row in rows}
    return [
        *_overfitting(by_label.get("none")),
        *said.best(dense),
        *said.against_reference(dense),
        *_gaps(dense),
        *_weights(by_label, found["zero"]),
        *_stopping(by_label.get("early_stopping")),
        *said.against_reference(convolved),
        *_decay(found),
        *_dropout(found["dropout"]),
        *_balls(found["balls"]),
        *said.caveats(found),
    ]


def _overfitting(row: Row | None) -> Iterator[str]:
    if row is None:
        return
    text = _(
        "Without any: {train} % of the training labels right, {val} % of validation, a gap of "
        "{gap}."
    ).format(
        train=f"{100 * row['train_accuracy'].mean:.1f}",
        val=f"{100 * row['val_accuracy'].mean:.1f}",
        gap=said.points(row["gap"]),
    )
    if row["gap"].low > _OVERFITS:
        text += " " + _("It overfits: there is something to hold back.")
    else:
        text += " " + _("It hardly overfits: little can be gained here.")
    yield text


def _gaps(rows: Sequence[Row]) -> Iterator[str]:
    plain = next((row for row in rows if row["label"] == "none"), None)
    closer = [row for row in rows if plain is not None and row["gap"].high < plain["gap"].low]
    if closer:
        closer = sorted(closer, key=lambda row: row["gap"].mean)
        yield _("Smaller gap beyond the intervals: {which}.").format(
            which=", ".join(f"{row['label']} ({100 * row['gap'].mean:+.1f})" for row in closer)
        )


def _weights(rows: Mapping[str, Row], zero: float) -> Iterator[str]:
    """Set what L1 and L2 do to the weights side by side."""
    plain, l1, l2 = (rows.get(name) for name in ("none", "l1", "l2"))
    if plain is None or l1 is None or l2 is None:
        return
    yield _(
        "L1 makes weights vanish: {l1} % lie below {zero:g} in absolute value, {l2} % with L2, "
        "{plain} % without. L2 makes them small: norm {small}, {one} with L1, {large} without."
    ).format(
        l1=_share(l1["sparsity"]),
        l2=_share(l2["sparsity"]),
        plain=_share(plain["sparsity"]),
        zero=zero,
        small=f"{l2['weight_norm'].mean:.3g}",
        one=f"{l1['weight_norm'].mean:.3g}",
        large=f"{plain['weight_norm'].mean:.3g}",
    )


def _share(number: Interval) -> str:
    return f"{100 * number.mean:.3g}"


def _stopping(row: Row | None) -> Iterator[str]:
    if row is None or row["stopped_at"] is None:
        return
    yield _(
        "Early stopping ends after {steps} of {all} steps on average and keeps the best weights "
        "it saw (Prechelt 1998)."
    ).format(steps=f"{row['stopped_at'].mean:.0f}", all=row["steps"])


def _decay(found: Mapping[str, Any]) -> Iterator[str]:
    """Say how a penalty in the loss differs from weight decay of the same strength."""
    norm = {row["label"]: row["weight_norm"] for row in found["decay"]}
    if len(norm) < 6:
        return
    strength = found["decay_strength"]
    yield _(
        "The penalty lambda/N sum |W|^2 with lambda {l2:g} has the gradient {decay:.3g} W. With "
        "SGD it is weight decay of {decay:.3g}: norms {sgd_penalty} and {sgd_decay} (without "
        "{sgd}). Adam divides it by the size of past gradients like all else: {adam_penalty}, "
        "decoupled (AdamW) {adam_decay} (without {adam}); the same number means two strengths "
        "(Loshchilov and Hutter 2019)."
    ).format(
        l2=strength["l2"],
        decay=strength["weight_decay"],
        sgd=f"{norm['sgd'].mean:.3g}",
        sgd_penalty=f"{norm['sgd, penalty'].mean:.3g}",
        sgd_decay=f"{norm['sgd, decay'].mean:.3g}",
        adam=f"{norm['adam'].mean:.3g}",
        adam_penalty=f"{norm['adam, penalty'].mean:.3g}",
        adam_decay=f"{norm['adamw, decay'].mean:.3g}",
    )


def _dropout(one: Mapping[str, Any]) -> Iterator[str]:
    inverted, plain = one["inverted"], one["plain"]
    yield _(
        "Inverted dropout keeps the expectation: outputs divided by 1 - p have {inverted} of "
        "their mean over {masks} masks at p = {p:g}; undivided they would have {plain}, and every "
        "weight would have to be scaled at test time."
    ).format(
        inverted=f"{inverted.mean:.3f} [{inverted.low:.3f}, {inverted.high:.3f}]",
        plain=f"{plain.mean:.3f}",
        masks=one["masks"],
        p=one["p"],
    )


def _balls(balls: Mapping[str, Any]) -> Iterator[str]:
    l1, l2 = balls["touch"]["l1"], balls["touch"]["l2"]
    yield _(
        "Why L1 gives zeros: a loss touches the L1 ball at a corner ({l1}), the L2 ball anywhere "
        "({l2}); see --plot."
    ).format(
        l1=", ".join(f"{value:.2f}" for value in l1), l2=", ".join(f"{value:.2f}" for value in l2)
    )
