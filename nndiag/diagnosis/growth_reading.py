"""What a learning curve says: would more data help, or more capacity?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nndiag.locales import _
from nndiag.schema.result import Interval

#: Sizes that a power law is fitted to, at least.
_FEWEST = 3
#: Share of the variance that a law must explain to be spoken of.
_STRAIGHT = 0.8


def power_law(rows: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Fit error = a n^(-b) to the validation errors (Hestness et al. 2017).

    Least squares in the logarithms. None for fewer than three sizes with an error above 0.
    """
    points = [
        (row["train_samples"], 1 - row["val_accuracy"].mean)
        for row in rows
        if row["val_accuracy"].mean < 1
    ]
    if len(points) < _FEWEST:
        return None
    n, error = np.log(np.array(points)).T
    slope, offset = np.polyfit(n, error, 1)
    rest = error - (slope * n + offset)
    spread = float(((error - error.mean()) ** 2).sum())
    return {
        "a": math.exp(offset),
        "b": -float(slope),
        "r_squared": 1 - float((rest**2).sum()) / spread if spread else 0.0,
        "error_at_double": math.exp(offset + slope * (n[-1] + math.log(2))),
    }


def reading(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the advice (data, capacity, neither; None where too little was trained) and why."""
    rows = found["rows"]
    if not rows:
        return {"advice": None, "reading": []}
    last = rows[-1]
    said = [
        _(
            "On {size} samples: {train} % of the training and {validation} % of the validation "
            "samples right, a gap of {gap} points."
        ).format(
            size=last["label"],
            train=f"{100 * last['train_accuracy'].mean:.1f}",
            validation=f"{100 * last['val_accuracy'].mean:.1f}",
            gap=_points(last["gap"], sign=False),
        )
    ]
    data, width = found["data_gain"], found["width_gain"]
    if data is not None:
        said.append(
            _("From {before} to {size} samples, validation gained {gain} points.").format(
                before=rows[-2]["label"], size=last["label"], gain=_points(data)
            )
        )
    if width is not None:
        said.append(
            _("{factor} times the width on {size} samples gained {gain} points.").format(
                factor=found["wider_factor"], size=last["label"], gain=_points(width)
            )
        )
    said += _law(found["power_law"])
    advice = None if data is None or width is None else _advice(data, width)
    return {"advice": advice, "reading": [*said, *_advised(advice, last)]}


def _points(number: Interval, *, sign: bool = True) -> str:
    form = "+.1f" if sign else ".1f"
    low, mean, high = (
        format(100 * value, form) for value in (number.low, number.mean, number.high)
    )
    return f"{mean} [{low}, {high}]"


def _law(law: Mapping[str, float] | None) -> list[str]:
    if law is None or law["b"] <= 0 or law["r_squared"] < _STRAIGHT:
        return []
    return [
        _(
            "The validation error falls about as n^-{b} (R^2 {fit}); if it goes on so, twice the "
            "data would leave {error} %."
        ).format(
            b=f"{law['b']:.2f}",
            fit=f"{law['r_squared']:.2f}",
            error=f"{100 * law['error_at_double']:.1f}",
        )
    ]


def _advice(data: Interval, width: Interval) -> str:
    if data.low > 0 and data.mean >= width.mean:
        return "data"
    if width.low > 0:
        return "capacity"
    return "neither"


def _advised(advice: str | None, last: Mapping[str, Any]) -> list[str]:
    if advice == "data":
        return [
            _("More data is what helps most here: the curve of validation still rises with it.")
        ]
    if advice == "capacity":
        return [
            _(
                "More capacity is what helps most here: a wider network does better on the same "
                "samples, more than the last data did."
            )
        ]
    if advice == "neither" and last["train_accuracy"].mean < 0.99:
        return [
            _(
                "Neither more data nor more width shows a gain beyond chance, and the training "
                "samples are not learnt either: try another rate, more steps or another network."
            )
        ]
    if advice == "neither":
        return [
            _(
                "Neither more data nor more width shows a gain beyond chance: the curve is flat "
                "for {seeds} seeds."
            ).format(seeds=last["runs"])
        ]
    return []
