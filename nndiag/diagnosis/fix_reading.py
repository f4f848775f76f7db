"""What a comparison of fixes says, in sentences that follow from its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nndiag.diagnosis.rate_range import NEAR, decades
from nndiag.locales import _

Row = Mapping[str, Any]


def reading(rows: Sequence[Row], target: float) -> list[str]:
    """Return the sentences: the baseline, what cures everywhere, sometimes and never.

    Args:
        rows: `fix`, `optimizer`, `test_accuracy`, `verdict`, `diverged`, `best_lr`, `rates`
            of every trial.
        target: accuracy from which a significant gain counts as a cure.
    """
    if not rows:
        return []
    return [
        *_baseline(rows),
        *_cures(rows, target),
        *_pairs(rows),
        *_family(rows, _("initialisation alone"), lambda fix: fix.startswith("init=")),
        *_family(rows, _("clipping alone"), lambda fix: fix in ("clip_norm", "clip_value")),
        *_divergence(rows),
        *_clipping(rows),
    ]


def _by_fix(rows: Sequence[Row]) -> dict[str, list[Row]]:
    table: dict[str, list[Row]] = {}
    for row in rows:
        table.setdefault(row["fix"], []).append(row)
    return table


def _percent(row: Row) -> str:
    return f"{100 * row['test_accuracy'].mean:.0f} %"


def _baseline(rows: Sequence[Row]) -> list[str]:
    found = _by_fix(rows).get("baseline", [])
    parts = ", ".join(f"{row['optimizer']} {_percent(row)}" for row in found)
    return [_("As it is the network reaches {parts} on the test set.").format(parts=parts)]


def _cures(rows: Sequence[Row], target: float) -> list[str]:
    everywhere, sometimes = [], []
    for fix, trials in _by_fix(rows).items():
        cured = [row for row in trials if row["verdict"] == "cures"]
        if cured and len(cured) == len(trials):
            everywhere.append(fix)
        elif cured:
            names = ", ".join(row["optimizer"] for row in cured)
            sometimes.append(_("{fix} ({names} only)").format(fix=fix, names=names))
    sentences = []
    if everywhere:
        sentences.append(
            _(
                "Cured under every optimizer (significantly better, {target:.0%} or more): {fixes}."
            ).format(target=target, fixes="; ".join(everywhere))
        )
    if sometimes:
        sentences.append(_("Cured under some: {fixes}.").format(fixes="; ".join(sometimes)))
    if not everywhere and not sometimes:
        sentences.append(_("Nothing that was tried cures it."))
    return sentences


def _pairs(rows: Sequence[Row]) -> list[str]:
    """Say where an activation cures only together with its initialisation."""
    table = _by_fix(rows)
    needs = []
    for fix, trials in table.items():
        act = fix.split(",")[0]
        if fix.startswith("act=") and fix.count(",") == 1 and ",init=" in fix and act in table:
            alone = [row["verdict"] for row in table[act]]
            together = [row["verdict"] for row in trials]
            if together.count("cures") > alone.count("cures"):
                needs.append(act.removeprefix("act="))
    if not needs:
        return []
    return [
        _(
            "The cure is the pair: with its matching initialisation each of {acts} cures under "
            "more optimizers than alone."
        ).format(acts=", ".join(needs))
    ]


def _family(rows: Sequence[Row], name: str, belongs: Any) -> list[str]:
    """Say so when a whole family of fixes cures nowhere."""
    found = [row for row in rows if belongs(row["fix"]) and "," not in row["fix"]]
    if not found or any(row["verdict"] == "cures" for row in found):
        return []
    best = max(found, key=lambda row: row["test_accuracy"].mean)
    return [
        _("No {family} cures it: the best, {fix} under {optimizer}, reaches {share}.").format(
            family=name, fix=best["fix"], optimizer=best["optimizer"], share=_percent(best)
        )
    ]


def _divergence(rows: Sequence[Row]) -> list[str]:
    """Compare how often trainings diverge with and without clipping."""
    table = _by_fix(rows)
    sentences = []
    for row in table.get("baseline", []):
        for clipped in table.get("clip_norm", []):
            same = clipped["optimizer"] == row["optimizer"]
            if same and row["diverged"] > clipped["diverged"]:
                sentences.append(
                    _(
                        "{optimizer}: {before} trainings diverge as it is, {after} with the "
                        "gradient norm clipped."
                    ).format(
                        optimizer=row["optimizer"],
                        before=row["diverged"],
                        after=clipped["diverged"],
                    )
                )
    return sentences


def _clipping(rows: Sequence[Row]) -> list[str]:
    """Compare clipping with the baseline, each at its own best rate, and their usable rates."""
    table = _by_fix(rows)
    sentences = []
    for row in table.get("baseline", []):
        for clipped in table.get("clip_norm", []):
            if clipped["optimizer"] != row["optimizer"]:
                continue
            gain = clipped["test_accuracy"].mean - row["test_accuracy"].mean
            if gain > 0.02:
                sentences.append(
                    _(
                        "{optimizer}, tuned against tuned: {before} as it is, {after} with the "
                        "gradient norm clipped (p = {p:.2g}); best rate {slow:.2g} against "
                        "{fast:.2g}."
                    ).format(
                        optimizer=row["optimizer"],
                        before=_percent(row),
                        after=_percent(clipped),
                        p=clipped["p_value"],
                        slow=row["best_lr"],
                        fast=clipped["best_lr"],
                    )
                )
                sentences.append(_at_alike_rates(row, clipped))
    return sentences


def _at_alike_rates(row: Row, clipped: Row) -> str:
    """Compare both at the best rate of the clipped one, and over all rates."""
    lr, bar = clipped["best_lr"], max(one["validation_accuracy"] for one in row["rates"]) - NEAR
    return _(
        "Both at the rate {rate:.2g}: validation accuracy {before} as it is, {after} clipped. The "
        "range of rates that come within two points of the best without clipping: {narrow:.1f} "
        "decades as it is, {wide:.1f} clipped."
    ).format(
        rate=lr,
        before=_at(row, lr),
        after=_at(clipped, lr),
        narrow=_decades(row, bar),
        wide=_decades(clipped, bar),
    )


def _at(row: Row, lr: float) -> str:
    """Return the validation accuracy at the rate of the grid that is nearest."""
    one = min(row["rates"], key=lambda one: abs(math.log(one["lr"] / lr)))
    return f"{100 * one['validation_accuracy']:.0f} %"


def _decades(row: Row, bar: float) -> float:
    rates = row["rates"]
    scores = [one["validation_accuracy"] for one in rates]
    return decades([one["lr"] for one in rates], scores, bar)
