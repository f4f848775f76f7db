"""What `nndiag losses` and `descent` print: tables, curves, then the reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact, decimals, percent, scientific, widest
from nndiag.report.principle_parts import Lines, Row, View, column, numbers, table, within
from nndiag.report.prose import sentence
from nndiag.schema.result import Result


def losses(result: Result) -> RenderableType:
    """Return what `nndiag losses` prints."""
    return View(result, _losses)


def _losses(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found, spec = result.result, result.spec
    yield _formulas(found, width, glyphs)
    yield _softmax(found["softmax"], width)
    yield table(
        _("On a linear output, by the error e = output - target"),
        _residual_columns(found["residuals"], spec["delta"]),
        width,
        glyphs,
    )
    title = _(
        "One sigmoid unit from score {start}, {seeds} starts, {steps} steps of gradient descent"
    )
    yield table(
        title.format(start=f"{spec['start']:g}", seeds=spec["seeds"], steps=spec["steps"]),
        _training_columns(found["rows"], spec["seeds"], found["goal"]),
        width,
        glyphs,
    )
    curves = [
        Curve(one["label"], one["steps"], [100 * point.mean for point in one["accuracy"]])
        for one in found["curves"]
    ]
    title = _("Accuracy (%) from the wrong start")
    yield Plot(curves=curves, title=title, x_name=_("step")).lines(
        width, ascii_only=glyphs.ascii_only
    )


def _formulas(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Lines:
    yield Text(_("Derivative by the score z, p = sigmoid(z), class y"), style="bold")
    full = {"bce": _("bce (binary cross-entropy)")}
    formulas = {_("cross-entropy (softmax)"): "p - onehot(y)"} | {
        full.get(name, name): formula for name, formula in found["formulas"].items()
    }
    for name, formula in formulas.items():
        yield Text(f"{name:<{widest(formulas)}}  {formula}")
    yield Text()
    rows = found["gradients"]
    columns = [
        column("z", rows, lambda row: f"{row['score']:g}"),
        column("p", rows, lambda row: _small(row["p"])),
        *(
            Column(title=name, cells=tuple(_small(row["slope"][name]) for row in rows))
            for name in found["formulas"]
        ),
    ]
    yield from table(_("At a sample of class 1"), columns, width, glyphs)


def _small(value: float) -> str:
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else scientific(value)


def _softmax(one: Mapping[str, Any], width: int) -> Lines:
    text = _(
        "Softmax of ({scores}) = ({p}); label {label}: loss {loss}, derivatives ({slope}), "
        "which add up to 0."
    ).format(
        scores=numbers(one["scores"]),
        p=", ".join(f"{value:.4f}" for value in one["p"]),
        label=one["label"],
        loss=f"{one['loss']:.4f}",
        slope=", ".join(f"{value:.4f}" for value in one["slope"]),
    )
    yield from sentence(text, width)


def _residual_columns(rows: Sequence[Row], delta: float) -> list[Column]:
    return [
        column("e", rows, lambda row: f"{row['error']:g}"),
        column("mse 2 e", rows, lambda row: f"{row['mse']:g}"),
        column("mae sign(e)", rows, lambda row: f"{row['mae']:g}"),
        column(f"huber {delta:g}", rows, lambda row: f"{row['huber']:g}"),
    ]


def _training_columns(rows: Sequence[Row], seeds: int, goal: float) -> list[Column]:
    steps = _("steps to {goal} %").format(goal=percent(goal))
    return [
        column(_("loss"), rows, lambda row: row["label"], left=True),
        column(_("rate"), rows, lambda row: compact(row["lr"], 2)),
        column(_("first gradient"), rows, lambda row: compact(row["gradient_at_start"].mean)),
        column(_("arrived"), rows, lambda row: f"{row['reached']}/{seeds}"),
        column(steps, rows, lambda row: within(row["steps"])),
        column(_("final %"), rows, lambda row: percent(row["accuracy"].mean)),
    ]


def descent(result: Result) -> RenderableType:
    """Return what `nndiag descent` prints."""
    return View(result, _descent)


def _descent(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found, spec = result.result, result.spec
    title = _("{model} on {data}; {count} samples, rate {lr}, {epochs} epochs").format(
        model=_("linear regression") if spec["model"] == "linear" else _("logistic regression"),
        data=found["data"],
        count=found["samples"],
        lr=f"{spec['lr']:g}",
        epochs=spec["epochs"],
    )
    yield table(title, _descent_columns(found["rows"], spec["seeds"]), width, glyphs)
    curves = [
        Curve(one["label"], one["epochs"], [point.mean for point in one["excess"]])
        for one in found["curves"]
    ]
    title = _("Loss above the minimum, by batch size (log scale)")
    yield Plot(curves=curves, title=title, log=True, height=10, x_name=_("epoch")).lines(
        width, ascii_only=glyphs.ascii_only
    )
    paths = [
        Curve(one["label"], *zip(*one["path"], strict=True))
        for one in found["curves"]
        if all(abs(w) < 100 for point in one["path"] for w in point)
    ]
    title = _("Paths of the first seed: second weight by first, minimum ({minimum})").format(
        minimum=", ".join(compact(weight) for weight in found["minimum"])
    )
    yield Plot(curves=paths, title=decimals(title), height=12, x_name=_("first weight")).lines(
        width, ascii_only=glyphs.ascii_only
    )


def _descent_columns(rows: Sequence[Row], seeds: int) -> list[Column]:
    noise, measured, theory = _("gradient noise, minimum"), _("measured"), _("theory")
    start = _("gradient noise, start")
    return [
        column(_("batch"), rows, lambda row: row["label"]),
        column(_("steps"), rows, lambda row: str(row["steps"])),
        column(measured, rows, lambda row: within(row["noise_minimum"], 2), group=noise),
        column(theory, rows, lambda row: compact(row["predicted_noise_minimum"], 2), group=noise),
        column(measured, rows, lambda row: within(row["noise_start"], 2), group=start, rank=2),
        column(
            theory, rows, lambda row: compact(row["predicted_noise_start"], 2), group=start, rank=2
        ),
        column(_("epochs to 1 %"), rows, lambda row: within(row["epochs_to_goal"])),
        column(_("arrived"), rows, lambda row: f"{row['reached']}/{seeds}", rank=1),
        column(_("excess"), rows, lambda row: compact(row["last_excess"].mean, 2)),
    ]
